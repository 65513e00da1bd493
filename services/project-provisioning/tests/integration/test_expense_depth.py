"""Expenses in depth: other currencies, policies, corrections, imports and paying back."""

from datetime import date
from typing import Any

import pytest
from project_provisioning_builders import DE01, US01
from project_provisioning_people import FINANCE, People, a_line, eur
from project_provisioning_world import (
    ADA_SIGNED_IN,
    INTEGRATION,
    PMO,
    World,
    a_key,
    contract_activated,
)

from project_provisioning.consumers import keep_expense_terms
from throughline.common.v1.money_pb2 import Money
from throughline.common.v1.source_pb2 import SourceRef
from throughline.customer_contract.v1 import quote_pb2
from throughline.project_provisioning.events.v1.project_provisioning_events_pb2 import (
    ExchangeRatesRecorded,
    ExpenseReportApproved,
)
from throughline.project_provisioning.v1 import exchange_rate_service_pb2 as rate_pb
from throughline.project_provisioning.v1 import expense_intake_service_pb2 as intake_pb
from throughline.project_provisioning.v1 import expense_policy_service_pb2 as policy_pb
from throughline.project_provisioning.v1 import expense_service_pb2 as pb
from throughline.project_provisioning.v1 import project_pb2
from throughline.project_provisioning.v1 import reimbursement_service_pb2 as paid_pb
from throughline.project_provisioning.v1 import time_rule_service_pb2 as rule_pb
from throughline_core.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)

WARN, STOP = rule_pb.RULE_SEVERITY_WARN, rule_pb.RULE_SEVERITY_STOP


@pytest.fixture
def people(world: World) -> People:
    return People(world)


@pytest.fixture
async def project(world: World) -> project_pb2.Project:
    return await world.the_project()


def usd(amount: str) -> Money:
    return Money(amount=amount, currency="USD")


async def test_a_receipt_in_dollars_is_a_cost_in_euro_at_the_rate_of_its_day(
    world: World, people: People, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    line = a_line(project, net_amount=usd("108.43"), tax_amount=usd("10.00"))
    with pytest.raises(FailedPrecondition) as refused:
        await people.a_report(ada.person_id, line)
    assert refused.value.stable_code == "expense_line.exchange_rate_missing"

    await people.put_rates(("EUR", "USD", "2026-09-07", "1.0843"))
    report = await people.a_report(ada.person_id, line)
    await people.approve(await people.submit(report))

    [event] = await world.published(ExpenseReportApproved)
    [said] = event.lines
    assert (said.net_amount, said.tax_amount) == (eur("100.00"), eur("9.22"))
    assert said.receipt_net_amount == usd("108.43")
    assert (said.exchange_rate_source, said.exchange_rate_on) == ("ecb", "2026-09-07")
    assert said.exchange_rate == "0.9222539887"


async def test_a_published_rate_does_not_change(world: World, people: People) -> None:
    await people.put_rates(("EUR", "USD", "2026-09-07", "1.0843"))
    await people.put_rates(("EUR", "USD", "2026-09-07", "1.0843"))
    [told] = await world.published(ExchangeRatesRecorded)
    assert [(each.quote, each.rate) for each in told.rates] == [("USD", "1.0843")]

    with pytest.raises(AlreadyExists) as refused:
        await people.put_rates(("EUR", "USD", "2026-09-07", "1.0844"))
    assert refused.value.stable_code == "exchange_rate.differs"
    found = await people.rates().GetExchangeRate(
        rate_pb.GetExchangeRateRequest(from_currency="EUR", to_currency="USD", rate_on="2026-09-10")
    )
    assert (found.rate, found.rate_on) == ("1.0843", "2026-09-07")
    with pytest.raises(NotFound):
        await people.rates().GetExchangeRate(
            rate_pb.GetExchangeRateRequest(
                from_currency="EUR", to_currency="USD", rate_on="2026-09-10", days_max=2
            )
        )


async def test_a_warning_takes_a_reason_and_a_stop_an_exception_of_finance(
    world: World, people: People, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    await people.put_policy(
        caps=[
            policy_pb.ExpenseCap(
                category="travel", per_day=True, amount=eur("250.00"), severity=STOP
            )
        ],
        weekend=WARN,
    )
    fine = a_line(project)
    sunday = a_line(project, incurred_on="2026-09-13", justification="")
    report = await people.a_report(ada.person_id, fine, fine, sunday)

    rules = [[each.rule for each in detail.findings] for detail in report.line_details]
    assert rules == [[], ["expense_policy.day_cap"], ["expense_policy.weekend"]]
    with pytest.raises(FailedPrecondition) as stopped:
        await people.submit(report)
    assert stopped.value.stable_code == "expense_line.policy_stop"

    over = report.lines[1].expense_line_id
    request = pb.ExceptExpenseLinesRequest(
        request_id=a_key(),
        expense_report_id=report.expense_report_id,
        expense_line_ids=[over],
        reason="agreed with the client",
    )
    with pytest.raises(PermissionDenied):
        await world.expenses(PMO).ExceptExpenseLines(request)
    await world.expenses(FINANCE).ExceptExpenseLines(request)
    with pytest.raises(FailedPrecondition) as warned:
        await people.submit(report)
    assert warned.value.stable_code == "expense_line.justification_missing"

    await world.expenses(ADA_SIGNED_IN).ChangeExpenseLine(
        pb.ChangeExpenseLineRequest(
            request_id=a_key(),
            expense_line_id=report.lines[2].expense_line_id,
            line=a_line(project, incurred_on="2026-09-13", justification="workshop on Monday"),
        )
    )
    submitted = await people.submit(report)
    [excepted] = submitted.line_details[1].findings
    assert (excepted.excepted_by, excepted.exception_reason) == (
        "user:fina.finance",
        "agreed with the client",
    )


async def test_what_the_contract_does_not_take_is_found(
    world: World, people: People, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    event = contract_activated()
    [line] = [
        each
        for each in event.contract.lines
        if each.terms.billing_model == quote_pb2.BILLING_MODEL_PASS_THROUGH
    ]
    line.terms.expense_policy.CopyFrom(
        quote_pb2.ExpensePolicy(
            rules=[quote_pb2.ExpenseRule(category="travel", daily_cap=eur("150.00"))],
            receipt_from=eur("500.00"),
        )
    )
    await world.consume(keep_expense_terms, event)

    report = await people.a_report(
        ada.person_id,
        a_line(project),
        a_line(project, category="meals"),
        a_line(project, category="meals", billable=False),
    )

    rules = [[each.rule for each in detail.findings] for detail in report.line_details]
    assert rules == [["contract.daily_cap"], ["contract.category"], []]


async def test_a_returned_report_is_corrected_and_handed_in_again(
    world: World, people: People, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    source = SourceRef(system="expense-tool", object_type="item", object_id="X-1")
    report = await people.submit(
        await people.a_report(ada.person_id, a_line(project, source=source), a_line(project))
    )
    await world.expenses(PMO).ReturnExpenseReport(
        pb.ReturnExpenseReportRequest(
            request_id=a_key(),
            expense_report_id=report.expense_report_id,
            reason="the second train was cancelled",
        )
    )
    consultant = world.expenses(ADA_SIGNED_IN)
    await consultant.RemoveExpenseLine(
        pb.RemoveExpenseLineRequest(
            request_id=a_key(), expense_line_id=report.lines[1].expense_line_id
        )
    )
    await consultant.AddExpenseLine(
        pb.AddExpenseLineRequest(
            request_id=a_key(),
            expense_report_id=report.expense_report_id,
            line=a_line(project, description="Bus", net_amount=eur("20.00")),
        )
    )

    approved = await people.approve(await people.submit(report))

    assert [line.description for line in approved.lines] == [a_line(project).description, "Bus"]
    assert approved.lines[0].source == source
    [event] = await world.published(ExpenseReportApproved)
    assert len(event.lines) == 2
    with pytest.raises(FailedPrecondition) as refused:
        await consultant.RemoveExpenseLine(
            pb.RemoveExpenseLineRequest(
                request_id=a_key(), expense_line_id=approved.lines[0].expense_line_id
            )
        )
    assert refused.value.stable_code == "expense_report.not_open"


async def test_an_approved_line_is_taken_back_and_the_right_one_announced_with_it(
    world: World, people: People, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    approved = await people.approve(
        await people.submit(await people.a_report(ada.person_id, a_line(project)))
    )
    [wrong] = approved.lines
    request = pb.ReverseExpenseLineRequest(
        request_id=a_key(),
        expense_line_id=wrong.expense_line_id,
        reason="second class",
        replacement=a_line(project, net_amount=eur("120.00"), tax_amount=eur("8.40")),
    )

    with pytest.raises(PermissionDenied):
        await world.expenses(ADA_SIGNED_IN).ReverseExpenseLine(request)
    await world.expenses(FINANCE).ReverseExpenseLine(request)

    first, second = await world.published(ExpenseReportApproved)
    assert second.version == first.version + 1
    reversal, right = second.lines
    assert reversal.reverses_expense_line_id == wrong.expense_line_id
    assert (reversal.net_amount, right.net_amount) == (eur("-200.00"), eur("120.00"))
    request.request_id = a_key()
    with pytest.raises(AlreadyExists):
        await world.expenses(FINANCE).ReverseExpenseLine(request)


async def test_a_locked_period_takes_no_expense_and_no_reversal(
    world: World, people: People, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    draft = await people.a_report(ada.person_id, a_line(project))
    late = await people.submit(await people.a_report(ada.person_id, a_line(project)))
    await people.lock(DE01, "2026-10-01")

    for attempt in (
        people.a_report(ada.person_id, a_line(project)),
        people.submit(draft),
    ):
        with pytest.raises(FailedPrecondition) as refused:
            await attempt
        assert refused.value.stable_code == "period.locked"
    approved = await people.approve(late)
    with pytest.raises(FailedPrecondition) as reversal:
        await world.expenses(FINANCE).ReverseExpenseLine(
            pb.ReverseExpenseLineRequest(
                request_id=a_key(),
                expense_line_id=approved.lines[0].expense_line_id,
                reason="wrong",
            )
        )
    assert reversal.value.stable_code == "period.locked"


async def test_a_report_is_of_one_employer(
    world: World, people: People, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    await people.transfer(ada.person_id, str(US01), "2026-09-09")
    await people.put_rates(("EUR", "USD", "2026-09-07", "1.0843"))

    with pytest.raises(InvalidArgument) as refused:
        await people.a_report(
            ada.person_id, a_line(project), a_line(project, incurred_on="2026-09-09")
        )
    assert refused.value.stable_code == "expense_line.entity_differs"
    report = await people.a_report(ada.person_id, a_line(project, incurred_on="2026-09-09"))
    assert report.legal_entity_id == str(US01)
    assert report.lines[0].net_amount == usd("216.86")


def a_row(person_id: str, project: project_pb2.Project, number: int, **values: Any) -> Any:
    row: dict[str, Any] = {
        "person_id": person_id,
        "title": "September",
        "project_id": project.project_id,
        "incurred_on": "2026-09-08",
        "category": "travel",
        "description": f"Taxi {number}",
        "net_amount": eur("20.00"),
        "tax_amount": eur("1.40"),
        "source": SourceRef(system="expense-tool", object_type="item", object_id=f"X-{number}"),
    }
    return intake_pb.ExpenseRow(**row | values)


async def bring_in(people: People, *rows: Any, **values: Any) -> intake_pb.ImportExpensesResponse:
    request = intake_pb.ImportExpensesRequest(request_id=a_key(), rows=rows, **values)
    return await people.intake(INTEGRATION).ImportExpenses(request)


async def test_an_import_is_grouped_into_reports_that_are_announced_when_approved_elsewhere(
    world: World, people: People, project: project_pb2.Project
) -> None:
    ada, other = (await world.ada()).person_id, (await world.a_person()).person_id
    rows = [a_row(ada, project, number) for number in range(250)]

    answer = await bring_in(people, *rows, a_row(other, project, 999), approved=True)

    assert (answer.recorded, len(answer.expense_report_ids)) == (251, 3)
    events = await world.published(ExpenseReportApproved)
    assert sorted(len(event.lines) for event in events) == [1, 50, 200]
    assert {event.approved_by for event in events} == {"client:time-tracker"}


async def test_the_same_costs_twice_and_shuffled_come_in_once(
    world: World, people: People, project: project_pb2.Project
) -> None:
    ada = (await world.ada()).person_id
    rows = [a_row(ada, project, number) for number in range(5)]
    rows.append(intake_pb.ExpenseRow.FromString(rows[0].SerializeToString()))

    first = await bring_in(people, *rows)
    again = await bring_in(people, *reversed(rows))

    assert (first.recorded, first.duplicates) == (5, 1)
    assert (again.recorded, again.duplicates) == (0, 6)
    with pytest.raises(InvalidArgument) as refused:
        await bring_in(people, a_row(ada, project, 1, net_amount=eur("21.00")))
    assert "expense_line.source_differs" in str(vars(refused.value))


async def test_bad_rows_stop_all_unless_partial(
    world: World, people: People, project: project_pb2.Project
) -> None:
    ada = (await world.ada()).person_id
    rows = [
        a_row(ada, project, 1),
        a_row(str(US01), project, 2),
        a_row(ada, project, 3, incurred_on="2020-01-01"),
        a_row(ada, project, 4, net_amount=usd("20.00"), tax_amount=usd("0.00")),
        a_row(ada, project, 5, receipt_sha256="00" * 32),
    ]

    with pytest.raises(InvalidArgument):
        await bring_in(people, *rows)
    assert await world.scalar("SELECT count(*) FROM expense_report") == 0
    answer = await bring_in(people, *rows, partial=True)

    assert answer.recorded == 1
    assert [(each.row, each.rule) for each in answer.refused] == [
        (1, "person.not_found"),
        (2, "employment.not_employed"),
        (3, "expense_line.exchange_rate_missing"),
        (4, "expense_line.receipt_missing"),
    ]


async def test_a_cost_without_project_or_tax_waits_for_its_owner_instead_of_being_lost(
    world: World, people: People, project: project_pb2.Project
) -> None:
    ada = (await world.ada()).person_id
    no_project = a_row(ada, project, 1)
    no_project.ClearField("project_id")
    no_tax = a_row(ada, project, 2)
    no_tax.ClearField("tax_amount")
    answer = await bring_in(people, no_project, no_tax)
    assert (answer.recorded, answer.unassigned) == (0, 2)
    open_ = "SELECT string_agg(owner || ' ' || reason, ', ' ORDER BY owner) FROM exception_item"
    open_ += " WHERE kind = 'expense.unassigned' AND closed_at IS NULL"
    assert await world.scalar(open_) == "finance expense.tax_missing, pmo expense.project_missing"
    waiting = (
        await people.intake().ListUnassignedExpenses(intake_pb.ListUnassignedExpensesRequest())
    ).expenses
    by_reason = {each.reason: each for each in waiting}

    missing = by_reason["expense.project_missing"].expense_id
    with pytest.raises(InvalidArgument) as refused:
        await people.intake().AssignExpense(
            intake_pb.AssignExpenseRequest(request_id=a_key(), expense_id=missing)
        )
    assert refused.value.stable_code == "unassigned_expense.incomplete"
    report = (
        await people.intake().AssignExpense(
            intake_pb.AssignExpenseRequest(
                request_id=a_key(), expense_id=missing, project_id=project.project_id
            )
        )
    ).expense_report
    both = (
        await people.intake(FINANCE).AssignExpense(
            intake_pb.AssignExpenseRequest(
                request_id=a_key(),
                expense_id=by_reason["expense.tax_missing"].expense_id,
                net_amount=eur("18.69"),
                tax_amount=eur("1.31"),
                taxes=[
                    pb.ExpenseTax(rate_percent="7", net_amount=eur("18.69"), tax_amount=eur("1.31"))
                ],
            )
        )
    ).expense_report

    assert both.expense_report_id == report.expense_report_id, "one draft takes them all"
    assert [line.net_amount for line in both.lines] == [eur("20.00"), eur("18.69")]
    assert await world.scalar(open_) is None
    assert (await bring_in(people, no_project)).duplicates == 1


async def test_a_cost_that_is_none_of_the_firms_is_discarded_and_does_not_come_back(
    world: World, people: People, project: project_pb2.Project
) -> None:
    ada = (await world.ada()).person_id
    row = a_row(ada, project, 1)
    row.ClearField("project_id")
    await bring_in(people, row)
    [waiting] = (
        await people.intake().ListUnassignedExpenses(intake_pb.ListUnassignedExpensesRequest())
    ).expenses

    request = intake_pb.DiscardExpenseRequest(
        request_id=a_key(), expense_id=waiting.expense_id, reason="private"
    )
    await people.intake().DiscardExpense(request)

    assert (await bring_in(people, row)).duplicates == 1
    request.request_id = a_key()
    with pytest.raises(FailedPrecondition):
        await people.intake().DiscardExpense(request)


async def test_people_are_paid_back_once_what_was_approved_whether_it_is_billed_or_not(
    world: World, people: People, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    lines = [
        a_line(project),
        a_line(project, billable=False, net_amount=eur("10.00"), tax_amount=eur("0.70")),
        a_line(project, reimbursable=False),
    ]
    report = await people.submit(await people.a_report(ada.person_id, *lines))
    selection = paid_pb.ListReimbursablesRequest()
    assert not (await people.reimbursements().ListReimbursables(selection)).reimbursables
    approved = await people.approve(report)

    [open_] = (await people.reimbursements().ListReimbursables(selection)).reimbursables
    assert (open_.amount, open_.line_count) == (eur("224.70"), 2)
    payment = paid_pb.RecordReimbursementRequest(
        request_id=a_key(),
        person_id=ada.person_id,
        legal_entity_id=str(DE01),
        incurred_before="2026-10-01",
        amount=eur("224.00"),
        payment_reference="PAY-2026-09",
        paid_on="2026-10-05",
    )
    with pytest.raises(InvalidArgument) as refused:
        await people.reimbursements().RecordReimbursement(payment)
    assert refused.value.stable_code == "reimbursement.amount_differs"
    payment.amount.amount = "224.70"
    await people.reimbursements().RecordReimbursement(payment)
    payment.request_id = a_key()
    with pytest.raises(FailedPrecondition) as again:
        await people.reimbursements().RecordReimbursement(payment)
    assert again.value.stable_code == "reimbursement.nothing_open"

    await world.expenses(FINANCE).ReverseExpenseLine(
        pb.ReverseExpenseLineRequest(
            request_id=a_key(),
            expense_line_id=approved.lines[1].expense_line_id,
            reason="private",
        )
    )
    [owed] = (await people.reimbursements(ADA_SIGNED_IN).ListReimbursables(selection)).reimbursables
    assert owed.amount == eur("-10.70"), "what was paid too much is shown, not forgotten"


async def test_the_policy_of_the_receipts_day_holds(
    world: World, people: People, project: project_pb2.Project
) -> None:
    ada = await world.ada()
    await people.put_policy(age_days_max=rule_pb.RuleLimit(value=30, severity=WARN))
    today = world.context.clock.today("UTC")
    old = a_line(project, incurred_on=date(2025, 12, 31).isoformat())
    assert today.year >= 2026

    report = await people.a_report(ada.person_id, old, a_line(project, incurred_on="2026-01-01"))

    rules = [[each.rule for each in detail.findings] for detail in report.line_details]
    assert rules == [[], ["expense_policy.age"]]
