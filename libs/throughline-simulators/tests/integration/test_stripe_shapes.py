"""Documents have exactly the attributes of the vendor's published fixtures."""

import httpx
import pytest

from throughline_simulators.testing import Simulators

# From stripe/openapi, fixtures3.json; `refunds` of a charge comes only when it is expanded.
ATTRIBUTES = {
    "payment_intents": """
        amount amount_capturable amount_details amount_received application
        application_fee_amount automatic_payment_methods canceled_at cancellation_reason
        capture_method client_secret confirmation_method created currency customer
        customer_account description excluded_payment_method_types id last_payment_error
        latest_charge livemode managed_payments metadata next_action object on_behalf_of
        payment_method payment_method_configuration_details payment_method_options
        payment_method_types processing receipt_email review setup_future_usage shipping
        source statement_descriptor statement_descriptor_suffix status transfer_data
        transfer_group""",
    "charges": """
        amount amount_captured amount_refunded application application_fee
        application_fee_amount balance_transaction billing_details
        calculated_statement_descriptor captured created currency customer description
        disputed failure_balance_transaction failure_code failure_message fraud_details id
        livemode metadata object on_behalf_of outcome paid payment_intent payment_method
        payment_method_details receipt_email receipt_number receipt_url refunded review
        shipping source source_transfer statement_descriptor statement_descriptor_suffix
        status transfer_data transfer_group""",
    "refunds": """
        amount balance_transaction charge created currency customer customer_account
        destination_details id metadata object payment_intent payment_method reason
        receipt_number source_transfer_reversal status transfer_reversal""",
    "balance_transactions": """
        amount available_on balance_type created currency description exchange_rate fee
        fee_details id net object reporting_category source status type""",
    "disputes": """
        amount balance_transactions charge created currency enhanced_eligibility_types
        evidence evidence_details id is_charge_refundable livemode metadata object
        payment_intent payment_method_details reason status""",
    "events": """
        api_version created data id livemode object pending_webhooks request type""",
}


@pytest.mark.parametrize("kind", ATTRIBUTES)
def test_a_document_has_the_attributes_of_the_vendors_fixture(
    simulators: Simulators, kind: str
) -> None:
    paid = simulators.stripe.receive_bank_transfer(amount=900, currency="eur", metadata={})
    with httpx.Client(
        base_url=simulators.stripe_url, headers={"Authorization": "Bearer sk_test_simulated"}
    ) as http:
        http.post("/v1/refunds", data={"payment_intent": paid["id"], "amount": "300"})
        simulators.stripe.open_dispute(paid["latest_charge"], amount=600)
        listed = http.get(f"/v1/{kind}").json()

    assert set(listed) == {"object", "data", "has_more", "url"}
    assert listed["url"] == f"/v1/{kind}"
    assert {*listed["data"][0]} == {*ATTRIBUTES[kind].split()}
    assert listed["data"][0]["object"] == kind.removesuffix("s")
