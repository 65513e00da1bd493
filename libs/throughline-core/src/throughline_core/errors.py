"""Refusals: errors a caller can act on, each with a stable code.

The eight kinds mirror the canonical gRPC statuses. A rule subclasses one kind next to itself and
sets `code`; one interceptor maps kinds to gRPC and HTTP, and nobody else catches them.
"""

from typing import ClassVar


class Refusal(Exception):
    """The state of affairs that stops a request, in words its sender can act on.

    `field` names the offending request field by its proto path (`lines[2].quantity`); `advice`
    says what to do next. Neither may hold a secret or personal data.
    """

    code: ClassVar[str] = "request.refused"
    usual_advice: ClassVar[str | None] = None
    """What to do about any refusal of this kind, where the one who raises it knows no better."""

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        advice: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.advice = self.usual_advice if advice is None else advice
        self._code = code

    @property
    def stable_code(self) -> str:
        """`<aggregate>.<reason>`: the instance's own code, else that of its class.

        An instance carries its own code when it was rebuilt from a peer's answer.
        """
        return self._code or self.code


class InvalidArgument(Refusal):
    """The request itself is malformed; sending it again changes nothing."""

    code = "request.invalid"


class Unauthenticated(Refusal):
    """The caller did not prove who it is."""

    code = "request.unauthenticated"


class PermissionDenied(Refusal):
    """The caller is known and may not do this."""

    code = "request.permission_denied"


class NotFound(Refusal):
    """No such object, or none the caller may see."""

    code = "request.not_found"
    usual_advice = "check it against the list; what was made a moment ago may still be coming"


class AlreadyExists(Refusal):
    """An object with this identity exists; read it instead."""

    code = "request.already_exists"


class FailedPrecondition(Refusal):
    """The object's state forbids the request; change the state first."""

    code = "request.failed_precondition"


class IllegalTransition(FailedPrecondition):
    """The state machine has no such move from the present state."""

    code = "request.illegal_transition"
    usual_advice = "look at its state as it is now"


class Aborted(Refusal):
    """Another writer was faster; reload and try again."""

    code = "request.aborted"
    usual_advice = "read it again, and repeat the change on what it says now"


class StaleVersion(Aborted):
    """The stored version is not the one the decision was made on."""

    code = "request.stale_version"


class ResourceExhausted(Refusal):
    """A rate, size or quota is used up; wait, or ask for less."""

    code = "request.resource_exhausted"


class Unavailable(Refusal):
    """A part the request needs is out of reach for now; back off and retry."""

    code = "request.unavailable"
    usual_advice = "try again in a moment"
