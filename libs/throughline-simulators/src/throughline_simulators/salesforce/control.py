"""Controls of the simulated org: what an administrator, CPQ and time do to a real one."""

from collections.abc import Mapping
from typing import cast

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic import Field as ModelField

from throughline_simulators import exact_json
from throughline_simulators.clock import Clock
from throughline_simulators.gate import Calls, Gate
from throughline_simulators.salesforce.api import RestApi
from throughline_simulators.salesforce.errors import ApiError
from throughline_simulators.salesforce.ids import normalised
from throughline_simulators.salesforce.objects import QUOTE
from throughline_simulators.salesforce.org import Org
from throughline_simulators.salesforce.schema import NUMERIC, Field, FieldType
from throughline_simulators.salesforce.seed import Seed
from throughline_simulators.salesforce.switches import SalesforceSwitches
from throughline_simulators.store import Store
from throughline_simulators.switchboard import SwitchBoard
from throughline_simulators.vendor import Vendor


class CustomField(BaseModel):
    """A field the org adds to an object, such as an external id or a VAT number."""

    model_config = ConfigDict(extra="forbid")

    object: str
    name: str = ModelField(pattern=r"^[A-Za-z]\w*__c$")
    type: FieldType = FieldType.STRING
    length: int = ModelField(default=255, gt=0)
    scale: int = ModelField(default=0, ge=0, le=17)
    external_id: bool = False
    unique: bool = False

    def field(self) -> Field:
        return Field(
            self.name,
            self.type,
            self.name.removesuffix("__c"),
            length=self.length if self.type is FieldType.STRING else 0,
            precision=18 if self.type in NUMERIC else 0,
            scale=self.scale,
            external_id=self.external_id,
            unique=self.unique,
            custom=True,
        )


class Hiding(BaseModel):
    """A field to take out of the caller's sight, or to give back."""

    model_config = ConfigDict(extra="forbid")

    object: str
    field: str
    hidden: bool = True


class Edited(BaseModel):
    """A quote somebody has just edited."""

    model_config = ConfigDict(extra="forbid")

    quote_id: str


class Seeded(BaseModel):
    """The id each reference of a seed got."""

    ids: dict[str, str]


class Expired(BaseModel):
    """How many sessions ended."""

    sessions: int


def salesforce(store: Store, clock: Clock) -> Vendor[SalesforceSwitches]:
    """Return the simulated org over `store`."""
    board = SwitchBoard(store, "salesforce", SalesforceSwitches)
    calls = Calls()
    api = RestApi(Org(store, board, clock))
    gate = Gate(
        api.application(),
        store=store,
        board=board,
        calls=calls,
        unavailable=api.unavailable,
        throttled=api.throttled,
    )

    def forget() -> None:
        api.cursors.clear()
        api.org.reset()

    return Vendor("salesforce", gate, board, calls, _controls(api), forget)


def _controls(api: RestApi) -> APIRouter:
    router = APIRouter(prefix="/salesforce", tags=["salesforce"])

    @router.post("/seed", openapi_extra={"requestBody": {"content": {"application/json": {}}}})
    async def seed(request: Request) -> Seeded:
        """Load `{"fields": [custom field], "records": [record]}`; loading it again replaces."""
        try:
            body = exact_json.read(await request.body())
            given = cast("Mapping[str, list[Mapping[str, object]]]", body)
            for field in [CustomField.model_validate(each) for each in given.get("fields", [])]:
                api.org.add_field(field.object, field.field())
            loader = Seed(api.org, api.records, api.pricing)
            return Seeded(ids=dict(loader.load(given.get("records", []))))
        except (ApiError, ValidationError, ValueError) as error:
            raise HTTPException(422, str(error)) from error

    @router.post("/fields", status_code=204)
    async def add_field(field: CustomField) -> None:
        """Give an object a field of the org's own."""
        try:
            api.org.add_field(field.object, field.field())
        except ApiError as error:
            raise HTTPException(404, error.message) from error

    @router.post("/hidden-fields", status_code=204)
    async def hide_field(hiding: Hiding) -> None:
        """Hide a field as field-level security, or an older package, would; or show it again."""
        try:
            api.org.hide_field(hiding.object, hiding.field, hidden=hiding.hidden)
        except ApiError as error:
            raise HTTPException(404, error.message) from error

    @router.post("/recalculate", status_code=204)
    async def recalculate(edited: Edited) -> None:
        """Let CPQ recalculate a quote as after an edit, with the lag that the switches ask for."""
        quote_id = normalised(edited.quote_id)
        if quote_id is None or api.org.find(api.org.require(QUOTE), quote_id) is None:
            raise HTTPException(404, f"no quote {edited.quote_id}")
        api.pricing.recalculate(quote_id)

    @router.post("/expire-sessions")
    async def expire_sessions() -> Expired:
        """End every session; the next call of each client meets INVALID_SESSION_ID."""
        return Expired(sessions=api.sessions.expire_all())

    return router
