"""What the proto of a method says to its callers: who may call it, and how long it takes."""

from google.protobuf.descriptor import MethodDescriptor

from throughline.options.v1 import options_pb2
from throughline_runtime.identity import Access


class AccessUndeclared(Exception):
    """A method says nobody may call it: its proto lacks the `access` option, a scope or a role."""


def access_of(method: MethodDescriptor) -> Access:
    """Return what the method demands of its caller.

    Raises:
        AccessUndeclared: it says nothing, so a process must not serve it.
    """
    declared = method.GetOptions().Extensions[options_pb2.access]
    roles = frozenset(options_pb2.Role.Name(role) for role in declared.roles if role)
    if not declared.scope or not roles:
        raise AccessUndeclared(f"{method.full_name} declares no scope and roles to call it")
    return Access(declared.scope, roles)


def seconds_of(method: MethodDescriptor) -> float | None:
    """Return how long to wait for the method's answer, None where it says nothing."""
    return float(method.GetOptions().Extensions[options_pb2.seconds]) or None
