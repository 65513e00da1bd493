"""Quotes: versioned offers. An approved version is frozen; a revision is the next version."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from customer_contract.domain.line_offer import LineOffer, complete, require_printable
from customer_contract.domain.price_policy import PricePolicy
from customer_contract.domain.quote_review import UNREVIEWED, Review, judge
from customer_contract.domain.service_line import LineDefaults, ServiceLine
from customer_contract.domain.values import (
    CustomerId,
    LegalEntityId,
    QuoteId,
    QuoteLineId,
    SourceRef,
    require_known,
)
from throughline_core.errors import (
    FailedPrecondition,
    InvalidArgument,
    PermissionDenied,
    StaleVersion,
)
from throughline_core.money import Money
from throughline_core.period import Period


class QuoteStatus(StrEnum):
    """Where a quote version stands."""

    DRAFT = "draft"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"


class RejectionCode(StrEnum):
    """Why an offer was turned down or taken back, to count by."""

    PRICE = "price"
    DISCOUNT = "discount"
    SCOPE = "scope"
    TERMS = "terms"
    CAPACITY = "capacity"
    COMPETITOR = "competitor"
    CUSTOMER_DECISION = "customer_decision"
    MISTAKE = "mistake"
    OTHER = "other"


class TermEmpty(InvalidArgument):
    """The offered term has no days."""

    code = "quote.term_empty"


class SourceRepeated(InvalidArgument):
    """Two lines of one quote name the same line of the other system."""

    code = "quote.source_repeated"


class ApprovalNotTrusted(PermissionDenied):
    """A person claims that another system approved; only its connector can say so."""

    code = "quote.approval_not_trusted"


class AlreadyExpired(InvalidArgument):
    """The offer's validity would be over before anybody could approve it."""

    code = "quote.already_expired"


class WrittenElsewhere(FailedPrecondition):
    """Another system owns the offer: it is changed there."""

    code = "quote.written_elsewhere"


class LineNotOffered(InvalidArgument):
    """A revision names a line that the version before does not have."""

    code = "quote.line_not_found"


class LineRepeated(InvalidArgument):
    """Two lines of a revision go on from the same line."""

    code = "quote.line_repeated"


class ImportOutcome(StrEnum):
    """What bringing in another system's offer did."""

    CREATED = "created"
    UNCHANGED = "unchanged"
    APPROVED = "approved"
    REVISED = "revised"


class ContractAlreadySigned(FailedPrecondition):
    """The contract made from the quote is signed; the offer behind it cannot change any more."""

    code = "quote.contract_already_signed"


@dataclass(frozen=True, slots=True)
class Proposer:
    """Who writes an offer: the subject, and whether it is a service bringing in another's."""

    subject: str
    is_service: bool


@dataclass(frozen=True, slots=True)
class Approval:
    """Who approved and when; for another system's approval `by` is `<system>:<approver>`."""

    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class QuoteTerms:
    """An offer as asked for; `payment_terms_days` None takes the customer's.

    `valid_until` is the last day it can be approved and signed on, None = it does not expire.
    """

    customer_id: CustomerId
    legal_entity_id: LegalEntityId
    currency: str
    start_on: date
    end_on: date
    payment_terms_days: int | None
    purchase_order_number: str
    lines: tuple[LineOffer, ...]
    valid_until: date | None = None


@dataclass(frozen=True, slots=True)
class QuoteOrigin:
    """Where an offer came from; `content_sha256` tells whether its source has changed it since."""

    proposed_by: str
    source: SourceRef | None
    content_sha256: bytes


@dataclass(frozen=True, slots=True)
class Quote:
    """One version of an offer; `version` counts the changes of this record."""

    quote_id: QuoteId
    quote_version: int
    version: int
    number: str
    status: QuoteStatus
    customer_id: CustomerId
    legal_entity_id: LegalEntityId
    currency: str
    start_on: date
    end_on: date
    payment_terms_days: int
    purchase_order_number: str
    lines: tuple[ServiceLine, ...]
    correlation_id: UUID
    origin: QuoteOrigin
    approval: Approval | None = None
    rejection_reason: str = ""
    rejection_code: RejectionCode | None = None
    valid_until: date | None = None
    review: Review = UNREVIEWED

    @property
    def net_total(self) -> Money:
        return Money.total((line.net_total for line in self.lines), self.currency)


@dataclass(frozen=True, slots=True)
class QuoteApproved:
    """A quote version was approved."""

    quote: Quote


@dataclass(frozen=True, slots=True)
class Pricing:
    """What an offer's prices are judged by; no policy = there is none in force."""

    policy: PricePolicy | None
    catalogue_floors: Mapping[str, Sequence[Money]]


@dataclass(frozen=True, slots=True)
class Identity:
    """Which version of which quote is being written; revisions keep all but the version."""

    quote_id: QuoteId
    quote_version: int
    number: str
    correlation_id: UUID


def propose(
    identity: Identity,
    terms: QuoteTerms,
    origin: QuoteOrigin,
    *,
    catalogue: Mapping[str, LineDefaults],
    customer_payment_terms_days: int,
    line_id: Callable[[int], QuoteLineId],
    pricing: Pricing,
) -> Quote:
    """Return the offer, complete and waiting for approval; `line_id` names the line at an index.

    It is judged by the price policy in force, and keeps what that says.

    Raises:
        TermEmpty: the term ends before it begins.
        UnknownCurrency: the currency is no ISO 4217 code.
        InvalidArgument: a line is incomplete or inconsistent, see `service_line.complete`.
    """
    require_known(terms.currency, field="terms.currency")
    if terms.end_on <= terms.start_on:
        raise TermEmpty(
            f"the term ends on {terms.end_on} and begins on {terms.start_on}",
            field="terms.end_on",
            advice="end_on is the first day after the term",
        )
    term = Period(terms.start_on, terms.end_on)
    lines = tuple(
        complete(
            offer,
            catalogue.get(offer.service_code),
            quote_line_id=line_id(index),
            position=index + 1,
            currency=terms.currency,
            term=term,
            field=f"terms.lines[{index}]",
        )
        for index, offer in enumerate(terms.lines)
    )
    total = Money.total((line.net_total for line in lines), terms.currency)
    require_printable(total, field="terms.lines")
    payment_terms_days = terms.payment_terms_days
    return Quote(
        quote_id=identity.quote_id,
        quote_version=identity.quote_version,
        version=1,
        number=identity.number,
        status=QuoteStatus.IN_REVIEW,
        customer_id=terms.customer_id,
        legal_entity_id=terms.legal_entity_id,
        currency=terms.currency,
        start_on=terms.start_on,
        end_on=terms.end_on,
        payment_terms_days=(
            customer_payment_terms_days if payment_terms_days is None else payment_terms_days
        ),
        purchase_order_number=terms.purchase_order_number,
        lines=lines,
        correlation_id=identity.correlation_id,
        origin=origin,
        valid_until=terms.valid_until,
        review=judge(lines, total, pricing.policy, pricing.catalogue_floors),
    )


def require_in_time(terms: QuoteTerms, *, today: date) -> None:
    """Refuse an offer whose last day is before `today`.

    Raises:
        AlreadyExpired: it is.
    """
    if terms.valid_until is not None and terms.valid_until < today:
        raise AlreadyExpired(
            f"the offer would be valid until {terms.valid_until}, today is {today}",
            field="terms.valid_until",
            advice="send a day from today on, or none",
        )


def require_ours(quote: Quote) -> None:
    """Refuse to revise an offer that another system owns.

    Raises:
        WrittenElsewhere: it does.
    """
    source = quote.origin.source
    if source is not None:
        raise WrittenElsewhere(
            f"quote {quote.number} comes from {source.system}",
            advice="change it there and have it imported",
        )


def require_known_lines(former: Sequence[ServiceLine], offers: Sequence[LineOffer]) -> None:
    """Refuse offers that go on from lines the version before does not have, or twice from one.

    Raises:
        LineNotOffered, LineRepeated.
    """
    known = {line.quote_line_id for line in former}
    for index, offer in enumerate(offers):
        line_id, field = offer.quote_line_id, f"terms.lines[{index}].quote_line_id"
        if line_id is None:
            continue
        if line_id not in known:
            raise LineNotOffered(
                f"the version before has no line {line_id}",
                field=field,
                advice="leave the id out for a new line",
            )
        if any(line_id == earlier.quote_line_id for earlier in offers[:index]):
            raise LineRepeated("two lines go on from one", field=field)


def require_latest(quote: Quote, quote_version: int) -> None:
    """Refuse a decision on a version other than the latest.

    Raises:
        StaleVersion: somebody looked at an older one.
    """
    if quote.quote_version != quote_version:
        raise StaleVersion(
            f"quote {quote.number} is at version {quote.quote_version}",
            field="quote_version",
            advice="look at the latest version and decide on it",
        )


def require_trusted(approval: Approval | None, proposer: Proposer) -> None:
    """Refuse another system's approval from anybody but a connector.

    Raises:
        ApprovalNotTrusted: a person sent it.
    """
    if approval is not None and not proposer.is_service:
        raise ApprovalNotTrusted(
            "the approval of another system is taken from its connector only",
            field="approval",
            advice="import the quote without it and let somebody else approve it here",
        )


def require_distinct_sources(offers: Sequence[LineOffer]) -> None:
    """Refuse two lines of one source: they would be one line.

    Raises:
        SourceRepeated: there are two.
    """
    sources = [offer.source for offer in offers if offer.source is not None]
    if len(set(sources)) != len(sources):
        raise SourceRepeated(
            "two lines name the same source", field="terms.lines", advice="send each line once"
        )
