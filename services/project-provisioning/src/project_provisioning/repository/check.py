"""Checks as runs and their steps keep them."""

from collections.abc import Mapping
from typing import Any

from project_provisioning.domain.check import Check


def check_values(check: Check) -> Mapping[str, Any]:
    """Return what a row keeps of a check."""
    return {
        "code": check.code,
        "passed": check.passed,
        "owner": check.owner,
        "advice": check.advice,
        "contract_line_ids": check.contract_line_ids,
    }


def check_from(values: Mapping[str, Any]) -> Check:
    """Return the check a row holds; those of before lines were named have none."""
    return Check(
        values["code"],
        values["passed"],
        values["owner"],
        values["advice"],
        tuple(values.get("contract_line_ids", ())),
    )
