"""Checks documents against JSON schemas, by the program `check-jsonschema`."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

_CUSTOM_RESOURCES: Final = Path(__file__).parent / "schemas" / "custom-resources.yaml"


def compose_problems(file: Path) -> Sequence[str]:
    """Return what the Compose specification refuses."""
    return _check(["--builtin-schema", "vendor.compose-spec", str(file)])


def custom_resource_problems(objects: Sequence[Any]) -> Sequence[str]:
    """Return what is wrong with objects of kinds that operators bring."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "custom-resources.yaml"
        file.write_text(json.dumps(list(objects)), encoding="utf-8")
        return _check(["--schemafile", str(_CUSTOM_RESOURCES), str(file)])


def _check(arguments: Sequence[str]) -> Sequence[str]:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--output-format", "json", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return ()
    try:
        said = json.loads(done.stdout)
    except json.JSONDecodeError:
        return [done.stdout + done.stderr]
    return [
        *(f"{each['path']}: {each['message']}" for each in said.get("errors", ())),
        *(str(each) for each in said.get("parse_errors", ())),
    ]
