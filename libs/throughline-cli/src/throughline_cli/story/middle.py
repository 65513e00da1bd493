"""Four weeks of work, its expenses, and what the client accepts."""

from hashlib import sha256
from typing import Final

from throughline_cli.story import work
from throughline_cli.story.scene import Scene, key

_EVIDENCE: Final = b"Minutes of acceptance, findings"


class Middle(Scene):
    """From the first hour to the acceptance of a milestone."""

    def work(self) -> None:
        self.at("2026-09-28T06:00:00Z")
        tasks = {
            (code, task["name"]): task["task_id"]
            for code, project in self.told.projects.items()
            for task in project["tasks"]
        }
        rows = list(work.time_rows(self.told.people, tasks))
        self.cast.integration.post(
            "/v1/time-entries:batch",
            {"rows": rows, "partial": False, "approved": False},
            key=key("time"),
        )
        drafts = list(self.cast.pmo.pages("/v1/timesheets", "timesheets", status="draft"))
        for sheet in drafts:
            sheet_id = sheet["timesheet_id"]
            self.cast.integration.post(
                f"/v1/timesheets/{sheet_id}:submit", {}, key=key("submit", sheet_id)
            )
        submitted = self.cast.pmo.pages("/v1/timesheets", "timesheets", status="submitted")
        ids = sorted(sheet["timesheet_id"] for sheet in submitted)
        if ids:
            self.cast.pmo.post(
                "/v1/timesheets:approve", {"timesheet_ids": ids}, key=key("approve", *ids)
            )

    def spend(self) -> None:
        receipts = [
            self.cast.integration.post(
                "/v1/receipts",
                {"receipt": {"content_type": "application/pdf", "content": work.receipt(text)}},
                key=key("receipt", text),
            )["receipt_sha256"]
            for text in ("Train Hamburg to Kiel 256.80 EUR", "Hotel Kiel 513.60 EUR")
        ]
        report = self.cast.integration.post(
            "/v1/expense-reports",
            {
                "person_id": self.told.people["Ada Brandt"],
                "title": "Workshops in Kiel",
                "lines": work.expense_lines(self.told.projects["DE01"]["project_id"], receipts),
            },
            key=key("expenses"),
        )["expense_report"]
        path = f"/v1/expense-reports/{report['expense_report_id']}"
        self.cast.integration.post(f"{path}:submit", {}, key=key("submit expenses"))
        self.cast.pmo.post(f"{path}:approve", {}, key=key("approve expenses"))

    def accept(self) -> None:
        milestones = {
            milestone["key"]: milestone for milestone in self.told.projects["DE01"]["milestones"]
        }
        for name in ("findings", "target"):
            self.cast.pmo.post(
                f"/v1/milestones/{milestones[name]['milestone_id']}:complete",
                {},
                key=key("complete", name),
            )
        self.cast.pmo.post(
            f"/v1/milestones/{milestones['findings']['milestone_id']}:accept",
            {
                "accepted_by": "K. Halvorsen, Halvorsen Werft",
                "accepted_on": "2026-09-28",
                "evidence_sha256": sha256(_EVIDENCE).hexdigest(),
            },
            key=key("accept"),
        )
