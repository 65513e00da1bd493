"""The customers a contract names besides the one it is sold to."""

from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from customer_contract.domain.contract_terms import BillingProfile
from customer_contract.domain.customer import require_business
from customer_contract.repository import customer as customers


async def require_parties(
    tx: AsyncConnection,
    billing: BillingProfile,
    *,
    on: date,
    bill_to_field: str = "bill_to_customer_id",
    payers_field: str = "payers",
) -> None:
    """Refuse a bill-to customer or payers that do not exist, or with whom business has ended.

    Raises:
        CustomerNotFound, CustomerEnded.
    """
    payers = {
        f"{payers_field}[{index}].customer_id": payer.customer_id
        for index, payer in enumerate(billing.payers)
    }
    named = {bill_to_field: billing.bill_to_customer_id, **payers}
    for field, customer in (await customers.get_all(tx, named)).items():
        require_business(customer, on=on, field=field)
