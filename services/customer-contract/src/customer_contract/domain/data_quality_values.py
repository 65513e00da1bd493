"""What data-quality rules see of a customer, a quote and a contract."""

from customer_contract.domain.contract_terms import Contract
from customer_contract.domain.customer import Customer
from customer_contract.domain.customer_details import ContactPurpose
from customer_contract.domain.data_quality import Values
from customer_contract.domain.quote import Quote


def customer_values(customer: Customer) -> Values:
    """Return the fields of a customer."""
    profile, address = customer.profile, customer.profile.address
    return {
        "name": (profile.name,),
        "tax_id": (profile.tax_id or "",),
        "billing_email": (profile.billing_email,),
        "address.region": (address.region,),
        "address.postal_code": (address.postal_code,),
        "address.city": (address.city,),
        "contacts.billing": (_contact(customer, ContactPurpose.BILLING),),
        "contacts.purchasing": (_contact(customer, ContactPurpose.PURCHASING),),
        "source": (customer.source.system if customer.source else "",),
    }


def quote_values(quote: Quote) -> Values:
    """Return the fields of a quote; those of lines line by line."""
    return {
        "number": (quote.number,),
        "currency": (quote.currency,),
        "start_on": (quote.start_on.isoformat(),),
        "end_on": (quote.end_on.isoformat(),),
        "lines.description": [line.description for line in quote.lines],
        "lines.tax_category": [line.tax_category for line in quote.lines],
        "lines.template_code": [line.template_code for line in quote.lines],
        "lines.service_code": [line.service_code for line in quote.lines],
    }


def contract_values(contract: Contract) -> Values:
    """Return the fields of a contract; those of lines line by line."""
    billing = contract.billing
    orders = [order.number for order in billing.purchase_orders]
    terms = [line.terms for line in contract.lines]
    return {
        "billing.purchase_order": (billing.purchase_order_number or next(iter(orders), ""),),
        "lines.description": [line.description for line in terms],
        "lines.tax_category": [line.tax_category for line in terms],
        "lines.template_code": [line.template_code for line in terms],
    }


def _contact(customer: Customer, purpose: ContactPurpose) -> str:
    """Return how somebody asked for this is reached, empty where nobody is."""
    contacts = customer.profile.details.contacts
    return next(
        (one.email or one.phone or one.name for one in contacts if one.purpose is purpose), ""
    )
