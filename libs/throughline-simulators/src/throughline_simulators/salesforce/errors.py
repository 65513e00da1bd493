"""Salesforce's refusals: an HTTP status and a list of coded errors."""

from collections.abc import Sequence
from http import HTTPStatus


class ApiError(Exception):
    """One refusal of the REST API; `fields` are the API names of the fields at fault."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int = HTTPStatus.BAD_REQUEST,
        fields: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = int(status)
        self.fields = tuple(fields)


class TokenError(Exception):
    """A refusal of the token endpoint, in OAuth's own shape."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


def not_found(message: str = "The requested resource does not exist") -> ApiError:
    return ApiError("NOT_FOUND", message, status=HTTPStatus.NOT_FOUND)


def no_such_column(name: str, entity: str) -> ApiError:
    """A write named a field that the object does not have, or that the caller may not see."""
    return ApiError("INVALID_FIELD", f"No such column '{name}' on sobject of type {entity}")


def invalid_session() -> ApiError:
    return ApiError(
        "INVALID_SESSION_ID", "Session expired or invalid", status=HTTPStatus.UNAUTHORIZED
    )
