"""The service catalogue: what the firm sells, and the defaults of its lines."""

from dataclasses import dataclass, replace

from customer_contract.domain.service_line import LineDefaults, check_terms


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A service; its code never changes."""

    code: str
    version: int
    defaults: LineDefaults
    retired: bool


def put(
    current: CatalogueEntry | None, *, code: str, defaults: LineDefaults, retired: bool
) -> CatalogueEntry:
    """Return the entry brought to this content; without a difference it is `current` itself.

    A fixed fee may leave its milestones to the quote line, other models state what they need.

    Raises:
        TermOfAnotherModel, TermsMissing, MilestoneShares, MilestoneKeyRepeated: see
            `service_line.check_terms`.
    """
    check_terms(defaults.billing_model, defaults.terms, field="", is_default=True)
    if current is None:
        return CatalogueEntry(code, 1, defaults, retired)
    entry = replace(current, defaults=defaults, retired=retired)
    return current if entry == current else replace(entry, version=current.version + 1)
