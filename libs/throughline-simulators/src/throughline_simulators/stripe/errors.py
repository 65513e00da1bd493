"""Stripe's refusals, in the shape of its error object."""

from collections.abc import Mapping
from http import HTTPStatus


class ApiError(Exception):
    """One refusal; `extra` goes into the error object beside the usual attributes."""

    def __init__(
        self,
        message: str,
        *,
        status: int = HTTPStatus.BAD_REQUEST,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = int(status)
        self.type = type
        self.code = code
        self.param = param
        self.extra = dict(extra or {})

    def body(self) -> dict[str, object]:
        """Return the reply's document; attributes that say nothing are left out."""
        error: dict[str, object] = {"message": self.message, "type": self.type}
        if self.code is not None:
            error["code"] = self.code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        if self.param is not None:
            error["param"] = self.param
        return {"error": {**error, **self.extra}}


class InvalidRequest(ApiError):
    """The parameters are wrong: nothing was executed, so no idempotent reply is kept."""


def missing(noun: str, key: str) -> InvalidRequest:
    """Return the refusal of an id that names nothing."""
    return InvalidRequest(
        f"No such {noun}: '{key}'",
        status=HTTPStatus.NOT_FOUND,
        code="resource_missing",
        param="id",
    )
