"""The firm, its people, its deals, and the projects that come from them."""

from hashlib import sha256
from typing import Any, Final

from throughline_cli.api import Document
from throughline_cli.stack.layout import write_secret
from throughline_cli.story import deals, firm
from throughline_cli.story.scene import Scene, compact, key

SIGNING_SECRET: Final = "whsec_demo_signing_secret"
_STATEMENT_OF_WORK: Final = b"Statement of work, as signed"


class Opening(Scene):
    """From founding the firm to two running projects."""

    def found_firm(self) -> None:
        self.at("2026-09-01T06:00:00Z")
        for entity in firm.ENTITIES:
            made = self.cast.finance.post("/v1/legal-entities", entity, key=key(entity["code"]))
            self.told.entities[str(entity["code"])] = made["legal_entity"]["legal_entity_id"]
        for code, service in firm.SERVICES.items():
            self.cast.finance.put(f"/v1/services/{code}", service, key=key("service", code))
        for code, template in firm.TEMPLATES.items():
            self._publish_template(code, template)
        self.cast.sales.post("/v1/rate-cards:propose", firm.RATE_CARD, key=key("card", "proposed"))
        self.cast.finance.post("/v1/rate-cards:publish", firm.RATE_CARD, key=key("card"))
        for number, rule in enumerate(firm.TAX_RULES):
            self.cast.finance.put("/v1/tax-rules", rule, key=key("tax", number))
        for code, (amount, currency) in firm.RELEASE_THRESHOLDS.items():
            self.cast.finance.put(
                f"/v1/release-policies/{self.told.entities[code]}",
                {"threshold": {"amount": amount, "currency": currency}},
                key=key("threshold", code),
            )

    def _publish_template(self, code: str, template: Document) -> None:
        path = f"/v1/delivery-templates/{code}"
        proposed = self.cast.pmo.put(path, template, key=key("template", code))
        self.cast.delivery.post(
            f"{path}:approve",
            {"version": proposed["template"]["version"]},
            key=key("approve template", code),
        )

    def hire(self) -> None:
        for name, entity, role, _ in firm.PEOPLE:
            person = self.cast.pmo.post(
                "/v1/persons",
                {
                    "name": name,
                    "legal_entity_id": self.told.entities[entity],
                    "role": role,
                    "level": "",
                    "region": "",
                    "employed_from": firm.FIRST_DAY,
                    "subject": name.lower().replace(" ", "."),
                },
                key=key("person", name),
            )
            self.told.people[name] = person["person"]["person_id"]

    def sell(self) -> None:
        vendors = self.layout.vendor_secrets
        write_secret(vendors / "salesforce", "simulated-secret")
        write_secret(vendors / "stripe", "sk_test_simulated")
        write_secret(vendors / "stripe-webhook", SIGNING_SECRET)
        self.vendors.salesforce.seed(deals.records(), fields=deals.FIELDS)
        self._connect(
            deals.CONNECTION,
            vendor="salesforce_cpq",
            base_url=f"{self.state.simulators_url}/salesforce",
            client_id="simulated-client",
            mapping_json=compact(deals.mapping(self.told.entities)),
            poll_seconds=30,
        )
        self._connect("stripe", vendor="stripe", base_url=f"{self.state.simulators_url}/stripe")
        self.cast.integration.post(f"/v1/connections/{deals.CONNECTION}:sync", {})
        self.told.contracts = self.until("both contracts are drafted", self._contracts)

    def _contracts(self) -> dict[str, Document] | None:
        """Return the contract of each entity once all have one; others' are not of this story."""
        codes = {entity_id: code for code, entity_id in self.told.entities.items()}
        found = {
            codes[contract["legal_entity_id"]]: contract
            for contract in self.cast.sales.pages("/v1/contracts", "contracts")
            if contract["legal_entity_id"] in codes
        }
        return found if len(found) == len(codes) else None

    def _connect(self, name: str, **values: Any) -> None:
        body = {
            "vendor": "",
            "base_url": "",
            "client_id": "",
            "secret_ref": name,
            "enabled": True,
            "legal_entity_id": "",
            "mapping_json": "",
            "poll_seconds": 0,
        }
        self.cast.integration.put(f"/v1/connections/{name}", body | values)

    def sign(self) -> None:
        parent = self.cast.sales.post("/v1/customers", firm.PARENT, key=key("parent"))
        draft = self.told.contracts["DE01"]
        if draft["status"] == "draft":
            self.cast.sales.patch(
                f"/v1/contracts/{draft['contract_id']}",
                {
                    "version": draft["version"],
                    "bill_to_customer_id": parent["customer"]["customer_id"],
                    "payment_terms_days": 14,
                    "purchase_order_number": "PO-77120",
                    "invoice_grouping": "contract",
                    "line_detail": "role",
                    "time_rounding_minutes": 1,
                    "time_rounding_mode": "nearest",
                },
                key=key("terms"),
            )
        for contract in self.told.contracts.values():
            path = f"/v1/contracts/{contract['contract_id']}"
            self.cast.sales.post(
                f"{path}:sign",
                {
                    "document_sha256": sha256(_STATEMENT_OF_WORK).hexdigest(),
                    "signatory": "I. Halvorsen",
                    "signed_on": firm.FIRST_DAY,
                },
                key=key("sign", contract["contract_id"]),
            )
            self.cast.sales.post(
                f"{path}:activate",
                {"activate_on": firm.FIRST_DAY},
                key=key("activate", contract["contract_id"]),
            )

    def pause(self) -> None:
        self.until("the mixed deal has its project", lambda: self._project("DE01"))
        run = self.until("the plain deal's run has stopped or gone on", self._decided_run)
        self.told.pause = run

    def mend(self) -> None:
        run = self.told.pause
        if run["state"] == "paused":
            contract = self.told.contracts["US01"]
            customer = self.cast.sales.get(f"/v1/customers/{contract['customer_id']}")["customer"]
            self.cast.sales.patch(
                f"/v1/customers/{contract['customer_id']}",
                {
                    "version": customer["version"],
                    "name": customer["name"],
                    "address": customer["address"],
                    "tax_id": deals.RIGHT_TAX_ID,
                    "payment_terms_days": customer["payment_terms_days"],
                    "currency": customer["currency"],
                    "billing_email": customer["billing_email"],
                },
                key=key("mend"),
            )
            self.cast.pmo.post(
                f"/v1/provisioning-runs/{run['run_id']}:resume", {}, key=key("resume")
            )
        self.until("the plain deal has its project", lambda: self._project("US01"))

    def _project(self, code: str) -> Document | None:
        contract_id = self.told.contracts[code]["contract_id"]
        found = list(self.cast.pmo.pages("/v1/projects", "projects", contract_id=contract_id))
        if not found:
            return None
        project_id = found[0]["project_id"]
        self.told.projects[code] = self.cast.pmo.get(f"/v1/projects/{project_id}")["project"]
        return self.told.projects[code]

    def _decided_run(self) -> Document | None:
        contract_id = self.told.contracts["US01"]["contract_id"]
        runs = self.cast.pmo.pages("/v1/provisioning-runs", "runs", contract_id=contract_id)
        return next((run for run in runs if run["state"] in {"paused", "activated"}), None)
