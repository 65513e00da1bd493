import httpx
import pytest

from throughline_simulators.testing import OrgUser, Simulators

CREDENTIALS = {
    "grant_type": "client_credentials",
    "client_id": "simulated-client",
    "client_secret": "simulated-secret",
}
ANY_QUERY = "SELECT Id FROM Account"


def ask_token(simulators: Simulators, **changes: str) -> httpx.Response:
    return httpx.post(
        f"{simulators.salesforce_url}/services/oauth2/token", data={**CREDENTIALS, **changes}
    )


def test_a_token_comes_with_the_address_to_call(simulators: Simulators) -> None:
    granted = ask_token(simulators).json()

    assert set(granted) == {
        "access_token", "signature", "token_format", "scope", "instance_url", "id", "token_type",
        "issued_at", "api_instance_url",
    }  # fmt: skip
    assert granted["instance_url"] == simulators.salesforce_url
    assert granted["token_type"] == "Bearer"
    assert granted["issued_at"].isdigit()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"client_id": "other"}, "invalid_client_id"),
        ({"client_secret": "other"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_a_refused_token_says_why_in_the_shape_of_oauth(
    simulators: Simulators, change: dict[str, str], error: str
) -> None:
    refused = ask_token(simulators, **change)

    assert refused.status_code == 400
    assert refused.json()["error"] == error
    assert refused.json()["error_description"]


def test_client_credentials_need_a_user_to_run_as(simulators: Simulators) -> None:
    simulators.salesforce.turn(run_as_user_missing=True)

    assert ask_token(simulators).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("authorization", [None, "Bearer unknown", "Basic abc"])
def test_a_call_needs_a_session(simulators: Simulators, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}

    refused = httpx.get(
        f"{simulators.salesforce_url}/services/data/v59.0/query",
        params={"q": ANY_QUERY},
        headers=headers,
    )

    assert refused.status_code == 401
    assert refused.json() == [
        {"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}
    ]


def test_a_session_can_expire_by_use(simulators: Simulators, org: OrgUser) -> None:
    simulators.salesforce.turn(session_calls_max=2)

    assert [org.query(ANY_QUERY).status_code for _ in range(3)] == [200, 200, 401]


def test_an_expired_session_is_replaced_by_a_new_token(
    simulators: Simulators, org: OrgUser
) -> None:
    simulators.salesforce.expire_sessions()

    assert org.query(ANY_QUERY).status_code == 401
    assert OrgUser(simulators.salesforce_url).query(ANY_QUERY).status_code == 200


def test_every_reply_tells_how_much_of_the_day_is_used(
    simulators: Simulators, org: OrgUser
) -> None:
    simulators.salesforce.turn(daily_calls_max=2)

    first, wrong = org.query(ANY_QUERY), org.query("SELECT Nothing FROM Account")
    refused = org.query(ANY_QUERY)

    assert first.headers["Sforce-Limit-Info"] == "api-usage=1/2"
    assert wrong.headers["Sforce-Limit-Info"] == "api-usage=2/2"
    assert refused.status_code == 403
    assert refused.json()[0]["errorCode"] == "REQUEST_LIMIT_EXCEEDED"


def test_limits_are_reported(org: OrgUser) -> None:
    limits = org.http.get("/services/data/v59.0/limits").json()

    assert limits["DailyApiRequests"] == {"Max": 100_000, "Remaining": 99_999}


@pytest.mark.parametrize("path", ["/services/data/v99.0/limits", "/services/data/v59/limits", "/x"])
def test_what_does_not_exist_is_not_found_in_the_vendors_shape(org: OrgUser, path: str) -> None:
    reply = org.http.get(path)

    assert reply.status_code == 404
    assert reply.json()[0]["errorCode"] == "NOT_FOUND"


def test_a_description_tells_types_picklists_and_child_names(org: OrgUser) -> None:
    description = org.call("GET", "SBQQ__Quote__c/describe").json()

    fields = {field["name"]: field for field in description["fields"]}
    assert description["keyPrefix"] == "a0q"
    assert fields["SBQQ__NetAmount__c"]["type"] == "currency"
    assert fields["SBQQ__NetAmount__c"]["calculated"] is True
    assert "Approved" in [each["value"] for each in fields["SBQQ__Status__c"]["picklistValues"]]
    assert fields["SBQQ__Account__c"]["referenceTo"] == ["Account"]
    assert {each["relationshipName"] for each in description["childRelationships"]} == {
        "SBQQ__LineItems__r", "SBQQ__LineItemGroups__r",
    }  # fmt: skip


def test_a_hidden_field_is_gone_from_description_and_queries(
    simulators: Simulators, org: OrgUser
) -> None:
    simulators.salesforce.hide_field("Account", "CurrencyIsoCode")

    names = [field["name"] for field in org.call("GET", "Account/describe").json()["fields"]]
    refused = org.query("SELECT CurrencyIsoCode FROM Account")

    assert "CurrencyIsoCode" not in names
    assert refused.json()[0]["errorCode"] == "INVALID_FIELD"
