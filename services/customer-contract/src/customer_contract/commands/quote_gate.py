"""What an offer passes before it is approved, wherever that happens."""

from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.domain.customer import Customer, require_business
from customer_contract.domain.data_quality import RuleObject, broken, require_sound
from customer_contract.domain.data_quality_values import customer_values, quote_values
from customer_contract.domain.quote import Quote
from customer_contract.repository import data_quality
from throughline_runtime import ownership
from throughline_runtime.ownership import Action


async def require_fit(tx: AsyncConnection, quote: Quote, customer: Customer, *, on: date) -> None:
    """Refuse an approval on `on` that the caller, the customer or the firm's rules stand against.

    `customer` is the one of the quote.

    Raises:
        OwnershipNotAllowed: the caller speaks for a system that may not approve quotes.
        CustomerEnded: business with the customer has ended.
        RuleBroken: a data-quality rule that stops is broken.
    """
    await ownership.require(tx, "quote", Action.APPROVE)
    require_business(customer, on=on, field="customer_id")
    rules = await data_quality.in_force(tx, [quote.legal_entity_id])
    findings = broken(
        rules,
        {
            RuleObject.QUOTE: quote_values(quote),
            RuleObject.CUSTOMER: customer_values(customer),
        },
        legal_entity_id=quote.legal_entity_id,
        country=customer.profile.address.country,
    )
    require_sound(findings)
