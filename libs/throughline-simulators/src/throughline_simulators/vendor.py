"""What the process holds of each vendor, and the controls that all of them share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic

from fastapi import APIRouter, Body, HTTPException
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.types import ASGIApp

from throughline_simulators.gate import Calls
from throughline_simulators.switchboard import AnySwitches, SwitchBoard


@dataclass(frozen=True, slots=True)
class Vendor(Generic[AnySwitches]):
    """One simulated vendor: what answers its clients, and what a test may do to it."""

    name: str
    app: ASGIApp
    board: SwitchBoard[AnySwitches]
    calls: Calls
    controls: APIRouter
    forget: Callable[[], None]


class CallCounts(BaseModel):
    """Calls since the last reset, by operation, by HTTP status, and by fault that struck."""

    model_config = ConfigDict(frozen=True)

    operations: dict[str, int]
    statuses: dict[str, int]
    faults: dict[str, int]


def shared_controls(vendor: Vendor[AnySwitches]) -> APIRouter:
    """Return the controls every vendor has: switches, call counts, reset."""
    router = APIRouter(prefix=f"/{vendor.name}", tags=[vendor.name])

    @router.get("/switches")
    async def show_switches() -> dict[str, Any]:
        """Show all switches as they stand."""
        return vendor.board.now.model_dump(mode="json")

    @router.patch("/switches")
    async def turn_switches(
        changes: Mapping[str, Any] = Body(description="Switches to set; the others stay."),
    ) -> dict[str, Any]:
        """Set some switches; an unknown name or a value out of range is refused."""
        try:
            return vendor.board.turn(changes).model_dump(mode="json")
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False)
            raise HTTPException(422, details) from error

    @router.get("/calls")
    async def count_calls() -> CallCounts:
        """Count the calls since the last reset."""
        calls = vendor.calls
        return CallCounts(
            operations=dict(calls.operations),
            statuses=dict(calls.statuses),
            faults=dict(calls.faults),
        )

    @router.post("/reset", status_code=204)
    async def reset(data: bool = False) -> None:
        """Turn all switches back and zero the counts; with `data` forget all records as well."""
        vendor.board.reset()
        vendor.calls.clear()
        if data:
            vendor.forget()

    return router
