"""What the tests share: one process of simulators, made as new before each test, and clients."""

from collections.abc import Callable, Iterator, Mapping

import pytest
import stripe

from throughline_simulators.testing import OrgUser, Simulators, WebhookReceiver


@pytest.fixture(scope="session")
def process() -> Iterator[Simulators]:
    with Simulators() as simulators:
        yield simulators


@pytest.fixture
def simulators(process: Simulators) -> Simulators:
    process.reset()
    return process


@pytest.fixture
def org(simulators: Simulators) -> Iterator[OrgUser]:
    user = OrgUser(simulators.salesforce_url)
    yield user
    user.close()


@pytest.fixture
def payments(simulators: Simulators) -> stripe.StripeClient:
    return stripe.StripeClient(
        "sk_test_simulated",
        base_addresses={"api": simulators.stripe_url},
        max_network_retries=0,
    )


@pytest.fixture
def receiver(simulators: Simulators) -> Iterator[WebhookReceiver]:
    receiver = WebhookReceiver()
    simulators.stripe.set_webhook_endpoint(receiver.url, ["whsec_first"])
    yield receiver
    simulators.stripe.remove_webhook_endpoint()
    receiver.close()


@pytest.fixture
def a_quote(simulators: Simulators) -> Callable[..., Mapping[str, str]]:
    """Seed one approved quote of two lines, 92,000.00 EUR, under a name; give the ids back."""

    def seed(name: str = "q", **fields: object) -> Mapping[str, str]:
        return simulators.salesforce.seed(
            [
                {"attributes": {"type": "Account", "referenceId": "acme"}, "Name": "Acme GmbH"},
                {
                    "attributes": {"type": "Product2", "referenceId": "day"},
                    "Name": "Senior consultant, day",
                    "ProductCode": "SC-DAY",
                },
                {
                    "attributes": {"type": "Opportunity", "referenceId": "deal"},
                    "Name": "Acme roll-out",
                    "AccountId": "@acme",
                    "StageName": "Closed Won",
                    "CloseDate": "2026-07-31",
                },
                {
                    "attributes": {"type": "SBQQ__Quote__c", "referenceId": name},
                    "SBQQ__Status__c": "Approved",
                    "SBQQ__Opportunity2__c": "@deal",
                    "SBQQ__Account__c": "@acme",
                    **fields,
                },
                {
                    "attributes": {"type": "SBQQ__QuoteLine__c", "referenceId": f"{name}/1"},
                    "SBQQ__Quote__c": f"@{name}",
                    "SBQQ__Number__c": 1,
                    "SBQQ__ProductName__c": "Discovery phase (fixed price)",
                    "SBQQ__Quantity__c": 1,
                    "SBQQ__ListPrice__c": 26000,
                    "SBQQ__NetPrice__c": 24000,
                },
                {
                    "attributes": {"type": "SBQQ__QuoteLine__c", "referenceId": f"{name}/2"},
                    "SBQQ__Quote__c": f"@{name}",
                    "SBQQ__Number__c": 2,
                    "SBQQ__Product__c": "@day",
                    "SBQQ__Quantity__c": 50,
                    "SBQQ__ListPrice__c": 1400,
                    "SBQQ__NetPrice__c": 1360,
                },
            ]
        )

    return seed
