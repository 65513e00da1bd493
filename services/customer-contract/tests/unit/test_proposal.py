"""Proposals: one person writes, another one decides, once."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from customer_contract_builders import an_id

from customer_contract.domain import proposal as domain
from customer_contract.domain.proposal import TRANSITIONS, Act, Proposal, ProposalStatus
from customer_contract.domain.values import ProposalId
from throughline_core.errors import IllegalTransition

AT = datetime(2026, 8, 1, 8, tzinfo=UTC)
OLGA, FRIEDA = Act("olga", AT, "new year"), Act("frieda", AT, "agreed")


def a_proposal(**changes: object) -> Proposal[str]:
    proposal = domain.propose(
        ProposalId(an_id("d9")),
        "content",
        subject="RC-DE-2026",
        legal_entity_id=None,
        base_version=3,
        proposed=OLGA,
    )
    return replace(proposal, **changes)  # type: ignore[arg-type]  # a test's wish


def test_somebody_else_publishes_on_the_version_it_was_written_against() -> None:
    published = domain.publish(a_proposal(), FRIEDA, latest_version=3)
    assert (published.status, published.version, published.decided) == (
        ProposalStatus.PUBLISHED,
        2,
        FRIEDA,
    )
    with pytest.raises(domain.PublishedByProposer):
        domain.publish(a_proposal(), OLGA, latest_version=3)
    with pytest.raises(domain.Overtaken):
        domain.publish(a_proposal(), FRIEDA, latest_version=4)


def test_others_turn_it_down_and_its_author_takes_it_back() -> None:
    assert domain.reject(a_proposal(), FRIEDA).status is ProposalStatus.REJECTED
    assert domain.withdraw(a_proposal(), OLGA).status is ProposalStatus.WITHDRAWN
    with pytest.raises(domain.RejectedByProposer):
        domain.reject(a_proposal(), OLGA)
    with pytest.raises(domain.NotTheProposer):
        domain.withdraw(a_proposal(), FRIEDA)


@pytest.mark.parametrize("status", [one for one in ProposalStatus if not TRANSITIONS[one]])
def test_what_was_decided_is_not_decided_again(status: ProposalStatus) -> None:
    decided = a_proposal(status=status)
    with pytest.raises(IllegalTransition):
        domain.publish(decided, FRIEDA, latest_version=3)
    with pytest.raises(IllegalTransition):
        domain.reject(decided, FRIEDA)
    with pytest.raises(IllegalTransition):
        domain.withdraw(decided, OLGA)
