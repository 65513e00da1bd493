"""The dry run: what a quote or a contract would become, asked and judged but never written."""

from collections.abc import Sequence
from datetime import datetime
from itertools import repeat
from uuid import UUID

from project_provisioning.domain.check import CANNOT_PLAN, Check, Grounds, own_checks
from project_provisioning.domain.planning import plan_projects
from project_provisioning.domain.project import Project
from project_provisioning.domain.template import Template
from project_provisioning.domain.terms import Terms
from project_provisioning.peers import ask_erp_accounts, ask_readiness
from project_provisioning.repository import run as run_repository
from project_provisioning.repository import template as repository
from project_provisioning.wire import project as project_wire
from project_provisioning.wire.run import write_checks
from project_provisioning.wire.terms import read_offer, read_terms
from throughline.customer_contract.v1.contract_service_pb2 import GetContractRequest
from throughline.customer_contract.v1.contract_service_pb2_grpc import ContractServiceStub
from throughline.customer_contract.v1.quote_service_pb2 import GetQuoteRequest
from throughline.customer_contract.v1.quote_service_pb2_grpc import QuoteServiceStub
from throughline.project_provisioning.v1 import template_service_pb2 as pb
from throughline_core.errors import InvalidArgument
from throughline_runtime.context import Context
from throughline_runtime.database import read


class DryRunOfOne(InvalidArgument):
    """A dry run tries either a quote or a contract."""

    code = "template.dry_run_of_one"


async def preview_delivery(
    context: Context, *, quote_id: UUID | None, contract_id: UUID | None
) -> pb.PreviewDeliveryResponse:
    """Return the projects the deal would become, and every check with its result.

    Raises:
        DryRunOfOne: neither or both are named.
        NotFound, EntityForbidden: what customer-contract says of the quote or the contract.
        Unavailable: a peer is out of reach.
    """
    terms, peer_checks = await _ask(context, quote_id, contract_id)
    key = (terms.bill_to_customer_id, terms.legal_entity_id)
    accounts = await ask_erp_accounts(context, [key])
    async with read(context.engine) as tx:
        versions = await repository.published_versions(tx, terms.template_codes)
        found = await repository.get_versions(tx, versions.items())
        known = await run_repository.known_persons(tx, terms.named_persons)
    templates = {template.code: template for template in found.values()}
    own = own_checks(terms, Grounds(templates, known, accounts[key]))
    checks = sorted((*peer_checks, *own), key=lambda check: check.passed)
    projects = _projects(terms, templates, own, at=context.clock.now())
    return pb.PreviewDeliveryResponse(
        projects=[_write_planned(project) for project in projects],
        checks=write_checks(checks),
        ready=all(check.passed for check in checks),
        templates=sorted(template.label for template in templates.values()),
    )


async def _ask(
    context: Context, quote_id: UUID | None, contract_id: UUID | None
) -> tuple[Terms, Sequence[Check]]:
    """Return the terms, and of a contract what customer-contract says of its readiness."""
    if (quote_id is None) == (contract_id is None):
        raise DryRunOfOne(
            "a dry run tries a quote or a contract",
            field="quote_id",
            advice="send either quote_id or contract_id",
        )
    if contract_id is None:
        quotes = context.stub(QuoteServiceStub, "customer-contract")
        offer = await quotes.GetQuote(GetQuoteRequest(quote_id=str(quote_id)))
        return read_offer(offer.quote), ()
    contracts = context.stub(ContractServiceStub, "customer-contract")
    agreed = await contracts.GetContract(GetContractRequest(contract_id=str(contract_id)))
    readiness = await ask_readiness(context, [contract_id])
    return read_terms(agreed.contract), readiness[contract_id]


def _projects(
    terms: Terms, templates: dict[str, Template], checks: Sequence[Check], *, at: datetime
) -> Sequence[Project]:
    """Return the projects; none while a template is missing or cannot plan its line."""
    stops = {check.code for check in checks if not check.passed} & CANNOT_PLAN
    if stops:
        return []
    planned = plan_projects(terms, templates, run_id=terms.contract_id, numbers=repeat(""), at=at)
    return [change.state for change in planned]


def _write_planned(project: Project) -> pb.PlannedProject:
    currency = project.budget.currency
    return pb.PlannedProject(
        project=project_wire.write_project(project),
        budgets=[project_wire.write_budget(budget, currency) for budget in project.budgets],
    )
