"""Messages of proposals; what is proposed is kept as the message of the API."""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.json_format import MessageToDict, ParseDict

from customer_contract.domain.catalogue import CatalogueEntry
from customer_contract.domain.price_policy import PricePolicy
from customer_contract.domain.proposal import Proposal, ProposalKind, ProposalStatus
from customer_contract.domain.rate_card import CardDraft
from customer_contract.wire.catalogue import read_entry, write_entry
from customer_contract.wire.price_policy import read_policy, write_policy
from customer_contract.wire.rate_card import read_draft, write_draft
from throughline.customer_contract.v1 import proposal_service_pb2 as pb
from throughline_runtime.fields import EnumMap, write_instant

PROPOSAL_KIND: Final = EnumMap(pb.ProposalKind, ProposalKind)
PROPOSAL_STATUS: Final = EnumMap(pb.ProposalStatus, ProposalStatus)

Content = CardDraft | CatalogueEntry | PricePolicy


def kind_of(content: Content) -> ProposalKind:
    """Return what a proposal of this content is about."""
    match content:
        case CardDraft():
            return ProposalKind.RATE_CARD
        case CatalogueEntry():
            return ProposalKind.SERVICE
        case PricePolicy():
            return ProposalKind.PRICE_POLICY


def write_content(content: Content) -> Mapping[str, Any]:
    """Return the content as JSON, under the name it has in `Proposal`."""
    message = pb.Proposal()
    _set_content(message, content)
    kept: Mapping[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return kept


def read_content(kept: Mapping[str, Any]) -> Content:
    """Return what `write_content` kept."""
    message = ParseDict(dict(kept), pb.Proposal())
    match message.WhichOneof("content"):
        case "rate_card":
            return read_draft(message.rate_card)
        case "service":
            return read_entry(message.service)
        case _:
            return read_policy(message.price_policy)


def write_proposal(proposal: Proposal[Content]) -> pb.Proposal:
    decided = proposal.decided
    message = pb.Proposal(
        proposal_id=str(proposal.proposal_id),
        version=proposal.version,
        kind=PROPOSAL_KIND.write(kind_of(proposal.content)),
        status=PROPOSAL_STATUS.write(proposal.status),
        subject=proposal.subject,
        base_version=proposal.base_version,
        proposed_by=proposal.proposed.by,
        proposed_at=write_instant(proposal.proposed.at),
        comment=proposal.proposed.comment,
        decided_by="" if decided is None else decided.by,
        decided_at=None if decided is None else write_instant(decided.at),
        reason="" if decided is None else decided.comment,
    )
    _set_content(message, proposal.content)
    return message


def _set_content(message: pb.Proposal, content: Content) -> None:
    match content:
        case CardDraft():
            message.rate_card.CopyFrom(write_draft(content))
        case CatalogueEntry():
            message.service.CopyFrom(write_entry(content))
        case PricePolicy():
            message.price_policy.CopyFrom(write_policy(content))
