"""What the stories do again and again between work and invoice."""

from typing import Any

from e2e_practice import Practice

from throughline_cli.api import Document


def work(practice: Practice, project: Document, person_id: str, *, minutes: int = 480) -> None:
    """Record approved time of today on the project's first billable task."""
    task = next(task for task in project["tasks"] if task["billable"])
    row: dict[str, Any] = {
        "person_id": person_id,
        "task_id": task["task_id"],
        "work_date": practice.day(0),
        "minutes": minutes,
        "note": "Build",
    }
    assert practice.record([row])["recorded_count"] == 1


def drafted(practice: Practice, entity_id: str, run_key: str = "regular") -> str:
    """Draft invoices of what is released until today, and return the path of the run."""
    practice.until(
        "all work is settled", lambda: practice.auditor.get("/v1/reconciliation")["settled"]
    )
    body = {"legal_entity_id": entity_id, "cut_off": practice.day(0), "run_key": run_key}
    path = f"/v1/invoice-runs/{practice.finance.post('/v1/invoice-runs', body)['run']['run_id']}"
    _reached(practice, path, "drafted")
    return path


def invoiced(practice: Practice, entity_id: str, run_key: str = "regular") -> list[Document]:
    """Invoice what is released until today, and return the documents, issued."""
    path = drafted(practice, entity_id, run_key)
    for step, status in (("approve", "approved"), ("issue", "issued")):
        practice.controller.post(f"{path}:{step}", {})
        _reached(practice, path, status)
    run_id = path.rpartition("/")[2]
    listed = practice.finance.pages("/v1/invoices", "invoices", run_id=run_id)
    return [
        practice.finance.get(f"/v1/invoices/{each['invoice_id']}")["invoice"] for each in listed
    ]


def _reached(practice: Practice, path: str, status: str) -> None:
    practice.until(
        f"the run is {status}", lambda: practice.finance.get(path)["run"]["status"] == status
    )
