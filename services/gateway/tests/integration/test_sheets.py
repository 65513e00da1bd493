"""Lists as sheets: what finance opens in a spreadsheet or loads into one."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from gateway_front import Front, expect

from gateway import sheets
from throughline.billing_event.v1 import billing_event_pb2 as event_pb
from throughline.billing_event.v1 import billing_event_service_pb2 as holds_pb
from throughline.billing_event.v1 import limit_service_pb2 as limit_pb
from throughline.billing_event.v1 import position_service_pb2 as position_pb
from throughline.billing_event.v1 import rerating_service_pb2 as rerating_pb
from throughline.billing_event.v1 import shadow_service_pb2 as shadow_pb
from throughline.common.v1 import money_pb2

pytestmark = pytest.mark.asyncio(loop_scope="module")

ID = "01980000-0000-7000-8000-000000000131"
CSV = {"Accept": "text/csv"}


def eur(amount: str) -> money_pb2.Money:
    return money_pb2.Money(amount=amount, currency="EUR")


def rows_of(text: str, heads: Sequence[str] | None = None) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), heads))


def a_hold(number: int, **different: Any) -> holds_pb.Hold:
    return holds_pb.Hold(hold_id=f"hold-{number}", amount=eur(f"{number}.00"), **different)


async def holds(front: Front, count: int) -> list[int]:
    """Have so many holds listed, in pages of two at most; return the sizes that are asked for."""
    asked: list[int] = []

    async def answer(request: holds_pb.ListHoldsRequest) -> holds_pb.ListHoldsResponse:
        asked.append(request.page_size)
        first = int(request.page_token or 0)
        last = min(first + min(request.page_size, 2), count)
        token = str(last) if last < count else ""
        listed = map(a_hold, range(first, last))
        return holds_pb.ListHoldsResponse(holds=listed, next_page_token=token)

    front.peers.answers["ListHolds"] = answer
    return asked


async def test_a_row_has_a_cell_for_each_value(front: Front) -> None:
    opened_at = datetime(2026, 9, 30, 12, tzinfo=UTC)
    odd = a_hold(
        -5,
        reason=event_pb.HOLD_REASON_MANUAL,
        detail='=SUM(A1), "quoted"\nand more',
        opened_at=opened_at,
        age_days=3,
    )

    async def answer(_request: Any) -> holds_pb.ListHoldsResponse:
        return holds_pb.ListHoldsResponse(holds=[odd, holds_pb.Hold(hold_id="bare")])

    front.peers.answers["ListHolds"] = answer
    reply = await front.ask("GET", "/v1/holds", headers=CSV)

    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert reply.headers["content-disposition"] == 'attachment; filename="holds.csv"'
    assert "link" not in reply.headers
    full, bare = rows_of(reply.text)
    assert full == full | {
        "hold_id": "hold--5",
        "reason": "manual",
        "detail": '\'=SUM(A1), "quoted"\nand more',
        "opened_at": "2026-09-30T12:00:00.000Z",
        "age_days": "3",
        "amount": "-5.00",
        "amount_currency": "EUR",
    }
    assert {bare["amount"], bare["amount_currency"], bare["opened_at"], bare["reason"]} == {""}
    assert reply.text.count("\r\n") == 3


async def test_values_within_a_value_and_lists_of_words_have_columns(front: Front) -> None:
    async def differences(_request: Any) -> shadow_pb.ListShadowDifferencesResponse:
        live = shadow_pb.ShadowOutcome(outcome="priced", amount=eur("1440.00"))
        found = shadow_pb.ShadowDifference(live=live, difference=eur("-1440.00"))
        return shadow_pb.ListShadowDifferencesResponse(differences=[found])

    async def limits(_request: Any) -> limit_pb.ListLimitsResponse:
        return limit_pb.ListLimitsResponse(limits=[limit_pb.Limit(alert_percents=[80, 100])])

    front.peers.answers |= {"ListShadowDifferences": differences, "ListLimits": limits}
    [found] = rows_of(
        (await front.ask("GET", f"/v1/shadow-runs/{ID}/differences", headers=CSV)).text
    )
    assert (found["live_amount"], found["live_amount_currency"]) == ("1440.00", "EUR")
    assert (found["shadow_amount"], found["difference"]) == ("", "-1440.00")
    [limit] = rows_of((await front.ask("GET", "/v1/limits", headers=CSV)).text)
    assert limit["alert_percents"] == "80;100"


async def test_all_pages_are_one_file(front: Front) -> None:
    asked = await holds(front, 5)
    reply = await front.ask("GET", "/v1/holds", headers=CSV)
    assert [row["hold_id"] for row in rows_of(reply.text)] == [f"hold-{n}" for n in range(5)]
    assert asked == [500, 500, 500]
    assert "link" not in reply.headers


async def test_a_sheet_ends_at_its_bound_and_says_where_it_goes_on(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "ROWS_MAX", 3)
    await holds(front, 7)
    first = await front.ask("GET", "/v1/holds?owner=the%20pmo", headers=CSV)
    assert len(rows_of(first.text)) == 4
    assert first.headers["link"] == '</v1/holds?owner=the+pmo&page_token=4>; rel="next"'
    rest = await front.ask("GET", "/v1/holds?owner=the+pmo&page_token=4", headers=CSV)
    assert rest.headers["content-type"] == "text/csv; charset=utf-8; header=absent"
    assert "link" not in rest.headers
    whole = rows_of(first.text + rest.text)
    assert [row["hold_id"] for row in whole] == [f"hold-{n}" for n in range(7)]
    assert {request.owner for _, request, _ in front.peers.asked} == {"the pmo"}  # type: ignore[attr-defined]  # a request of any type


async def test_a_sheet_of_long_rows_ends_before_it_fills_the_memory(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "BYTES_MAX", 200)
    await holds(front, 7)
    reply = await front.ask("GET", "/v1/holds", headers=CSV)
    assert len(rows_of(reply.text)) == 2
    assert "page_token=2" in reply.headers["link"]


async def test_with_a_size_it_is_one_page(front: Front) -> None:
    asked = await holds(front, 5)
    reply = await front.ask("GET", "/v1/holds?page_size=2", headers=CSV)
    assert len(rows_of(reply.text)) == 2
    assert asked == [2]
    assert reply.headers["link"] == '</v1/holds?page_size=2&page_token=2>; rel="next"'


async def test_a_list_without_rows_has_headings(front: Front) -> None:
    await holds(front, 0)
    reply = await front.ask("GET", "/v1/holds", headers=CSV)
    [heads] = reply.text.splitlines()
    assert heads.startswith("hold_id,reason,source_item_id,")


async def test_of_several_lists_the_contract_names_the_rows(front: Front) -> None:
    async def answer(_request: Any) -> position_pb.GetWipResponse:
        line = position_pb.WipLine(amount=eur("1440.00"), up_to_30_days=eur("1440.00"))
        return position_pb.GetWipResponse(lines=[line], totals=[eur("1440.00")])

    front.peers.answers["GetWip"] = answer
    reply = await front.ask("GET", "/v1/wip?as_of=2026-09-30", headers=CSV)
    [line] = rows_of(reply.text)
    assert (line["amount"], line["amount_currency"], line["over_90_days"]) == ("1440.00", "EUR", "")


async def test_text_that_is_csv_already_comes_as_it_is_all_pages_of_it(front: Front) -> None:
    async def answer(request: Any) -> rerating_pb.ExportReratingItemsResponse:
        page = {"": ("item,difference\r\na,1.00\r\n", "b"), "b": ("b,-2.00\r\n", "")}
        text, token = page[request.page_token]
        return rerating_pb.ExportReratingItemsResponse(csv=text, next_page_token=token)

    front.peers.answers["ExportReratingItems"] = answer
    path = f"/v1/rerating-runs/{ID}/items:export"
    reply = await front.ask("GET", path, headers=CSV)
    assert reply.text == "item,difference\r\na,1.00\r\nb,-2.00\r\n"
    assert 'filename="rerating-runs-items-export.csv"' in reply.headers["content-disposition"]
    assert (await front.ask("GET", path)).json()["csv"] == "item,difference\r\na,1.00\r\n"


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json, text/csv;q=0.5"])
async def test_who_does_not_ask_for_a_sheet_gets_json(front: Front, accept: str) -> None:
    reply = await front.ask("GET", "/v1/holds", headers={"Accept": accept})
    assert reply.headers["content-type"] == "application/json"


async def test_what_is_no_list_stays_json_and_a_refusal_a_problem(front: Front) -> None:
    one = await front.ask("GET", f"/v1/billing-events/{ID}", headers=CSV)
    assert one.headers["content-type"] == "application/json"
    consultant = {**front.bearer("consultant"), **CSV}
    refused = await front.client.get("/v1/holds", headers=consultant)
    expect(refused, 403, "caller.role_missing")
