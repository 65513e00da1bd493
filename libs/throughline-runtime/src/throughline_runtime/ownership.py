"""The ownership matrix: which outside system may create, update, approve or close what, as data.

People are not limited by it. A caller that speaks for a system is, before its call reaches the
handler, by the rules as they are at this moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor import MethodDescriptor
from sqlalchemy import Row, and_, func, insert, select, text, tuple_
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from throughline.options.v1 import options_pb2
from throughline_core.errors import InvalidArgument, PermissionDenied
from throughline_core.ids import derived_id
from throughline_runtime import audit, database
from throughline_runtime.identity import Caller, current_caller
from throughline_runtime.schema import ownership_rule, run_sql

if TYPE_CHECKING:  # Only migrations need Alembic, which is slow to import.
    from alembic.operations import Operations

ANY: Final = "*"
"""Stands in a rule for every object, action or system that has no rule of its own."""

_TABLE: Final = """
-- Which outside system may create, update, approve or close what; `*` where a rule names none. The
-- latest version of each key is in force.
CREATE TABLE ownership_rule (
    object  text        NOT NULL CHECK (object ~ '^([*]|[a-z][a-z0-9_]*)$'),
    action  text        NOT NULL CHECK (action IN ('*', 'create', 'update', 'approve', 'close')),
    system  text        NOT NULL CHECK (system ~ '^([*]|[a-z][a-z0-9_-]*)$'),
    version integer     NOT NULL CHECK (version > 0),
    allowed boolean     NOT NULL,
    reason  text        NOT NULL,
    put_by  text        NOT NULL,
    put_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (object, action, system, version)
);
COMMENT ON TABLE ownership_rule IS
    'append-only: which outside system may do what; the latest version is in force';
INSERT INTO ownership_rule (object, action, system, version, allowed, reason, put_by)
VALUES ('*', '*', '*', 1, false, 'a system changes only what a rule names', 'throughline');
"""

_ALLOW: Final = text("""
    INSERT INTO ownership_rule (object, action, system, version, allowed, reason, put_by)
    VALUES (:object, :action, :system, 1, true, 'the usual owner', 'throughline')
""")


class OwnershipNotAllowed(PermissionDenied):
    """Another system, or a person, owns what the calling system wants to change."""

    code = "ownership.not_allowed"


class OwnershipObjectUnknown(InvalidArgument):
    """No method of this service touches such an object."""

    code = "ownership.object_unknown"


class PeopleOnly(PermissionDenied):
    """A system may not change the rules that limit it."""

    code = "ownership.people_only"


class OwnershipUndeclared(Exception):
    """A method names an object without an action, or an action without an object."""


class Action(StrEnum):
    """What is done to an object."""

    CREATE = "create"
    UPDATE = "update"
    APPROVE = "approve"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Owned:
    """What a method's `owned` option says it touches."""

    object: str
    action: Action


@dataclass(frozen=True, slots=True)
class Rule:
    """What a system, or any, may do to an object, or to any; `ANY` where none is named."""

    object: str
    action: str
    system: str
    allowed: bool

    @property
    def precision(self) -> tuple[bool, bool, bool]:
        """The rule that names most of what is asked about decides; the object weighs most."""
        return (self.object != ANY, self.action != ANY, self.system != ANY)


@dataclass(frozen=True, slots=True)
class PutRule:
    """A rule in force, with who put it and why."""

    rule: Rule
    version: int
    reason: str
    put_by: str
    put_at: datetime


def create(op: "Operations", *allowed: tuple[str, str, str]) -> None:
    """Create the matrix with what systems may do from the first day.

    `allowed` are object, action and system; what none of them names is refused to every system.
    """
    run_sql(op, _TABLE)
    rows = [
        {"object": name, "action": action, "system": system} for name, action, system in allowed
    ]
    if rows:
        op.get_bind().execute(_ALLOW, rows)


def owned_by(method: MethodDescriptor) -> Owned | None:
    """Return what the method touches, None when it declares nothing.

    Raises:
        OwnershipUndeclared: it says only half.
    """
    if not method.GetOptions().HasExtension(options_pb2.owned):
        return None
    declared = method.GetOptions().Extensions[options_pb2.owned]
    if not declared.object or not declared.action:
        raise OwnershipUndeclared(f"{method.full_name} names no object or no action")
    return Owned(declared.object, _action_of(declared.action))


def is_allowed(rules: Sequence[Rule], owned: Owned, *, system: str) -> bool:
    """Whether the most precise rule that covers the question allows it; without one, no."""
    covering = [rule for rule in rules if _covers(rule, owned) and rule.system in (system, ANY)]
    return bool(covering) and max(covering, key=lambda rule: rule.precision).allowed


def owners_of(rules: Sequence[Rule], owned: Owned) -> tuple[str, ...]:
    """Return the systems by name that may do this, in order."""
    named = {rule.system for rule in rules if _covers(rule, owned)} - {ANY}
    return tuple(sorted(name for name in named if is_allowed(rules, owned, system=name)))


class Ownership:
    """The rules in a service's own database, and the objects its methods declare."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._objects: set[str] = set()

    @property
    def objects(self) -> tuple[str, ...]:
        """What the methods mounted so far touch, in order."""
        return tuple(sorted(self._objects))

    def declare(self, owned: Owned) -> None:
        """Take note of an object that a mounted method touches."""
        self._objects.add(owned.object)

    async def admit(self, caller: Caller, owned: Owned) -> None:
        """Refuse a system that no rule lets do this.

        Raises:
            OwnershipNotAllowed: naming the system that owns it.
        """
        if caller.system is None:
            return
        async with database.read(self._engine) as tx:
            _decide(await _rules_for(tx, owned), owned, system=caller.system)


async def require(tx: AsyncConnection, object_: str, action: Action) -> None:
    """Refuse the current caller when it speaks for a system that may not do this.

    For commands that do more than their method declares: an import that also approves.

    Raises:
        OwnershipNotAllowed: naming the system that owns it.
    """
    system = current_caller().system
    if system is not None:
        owned = Owned(object_, action)
        _decide(await _rules_for(tx, owned), owned, system=system)


async def put(tx: AsyncConnection, rule: Rule, *, reason: str) -> PutRule:
    """Put a rule in force in place of the one before, which is kept."""
    audit.touch(tx, derived_id("ownership_rule", f"{rule.object}/{rule.action}/{rule.system}"))
    table = ownership_rule
    key = and_(
        table.c.object == rule.object,
        table.c.action == rule.action,
        table.c.system == rule.system,
    )
    # Two that put the same rule at once would take the same number: the second one waits.
    await tx.execute(
        select(func.pg_advisory_xact_lock(func.hashtextextended("throughline.ownership_rule", 0)))
    )
    latest: int = (
        await tx.execute(select(func.coalesce(func.max(table.c.version), 0)).where(key))
    ).scalar_one()
    row = (
        await tx.execute(
            insert(table)
            .values(
                object=rule.object,
                action=rule.action,
                system=rule.system,
                allowed=rule.allowed,
                version=latest + 1,
                reason=reason,
                put_by=current_caller().subject,
            )
            .returning(table)
        )
    ).one()
    return _put_rule_from(row)


async def page(
    tx: AsyncConnection,
    *,
    after: tuple[str, str, str] | None,
    size: int,
    object_: str | None = None,
    system: str | None = None,
) -> Sequence[PutRule]:
    """Return rules in force by object, action and system, at most `size` past `after`."""
    table = ownership_rule
    keys = (table.c.object, table.c.action, table.c.system)
    query = _in_force().order_by(*keys, table.c.version.desc()).limit(size)
    if after is not None:
        query = query.where(tuple_(*keys) > after)
    if object_ is not None:
        query = query.where(table.c.object == object_)
    if system is not None:
        query = query.where(table.c.system == system)
    return [_put_rule_from(row) for row in await tx.execute(query)]


def _covers(rule: Rule, owned: Owned) -> bool:
    return rule.object in (owned.object, ANY) and rule.action in (owned.action, ANY)


def _decide(rules: Sequence[Rule], owned: Owned, *, system: str) -> None:
    if is_allowed(rules, owned, system=system):
        return
    owners = owners_of(rules, owned)
    whose = f"{', '.join(owners)} may" if owners else "no outside system may, only people"
    raise OwnershipNotAllowed(
        f"{system} may not {owned.action} {owned.object}: {whose}",
        advice=f"change it in {owners[0]}, or ask an administrator for a rule that lets {system}"
        if owners
        else f"let a person do it, or ask an administrator for a rule that lets {system}",
    )


def _in_force() -> Any:
    table = ownership_rule
    return select(table).ext(distinct_on(table.c.object, table.c.action, table.c.system))


async def _rules_for(tx: AsyncConnection, owned: Owned) -> list[Rule]:
    table = ownership_rule
    rows = await tx.execute(
        _in_force()
        .where(table.c.object.in_((owned.object, ANY)), table.c.action.in_((owned.action, ANY)))
        .order_by(table.c.object, table.c.action, table.c.system, table.c.version.desc())
    )
    return [_rule_from(row) for row in rows]


def _rule_from(row: Row[Any]) -> Rule:
    return Rule(row.object, row.action, row.system, row.allowed)


def _put_rule_from(row: Row[Any]) -> PutRule:
    return PutRule(_rule_from(row), row.version, row.reason, row.put_by, row.put_at)


def _action_of(number: int) -> Action:
    return Action(options_pb2.Action.Name(number).removeprefix("ACTION_").lower())  # type: ignore[arg-type]  # the enum's own number
