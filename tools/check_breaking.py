"""Fail when the contract breaks what the main branch promised (buf breaking, rule set FILE)."""

import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
BUF: Final = Path(sys.executable).parent / "buf"


def main() -> int:
    """Compare with `main` as it was committed; before its first commit there is no promise."""
    promised = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", "main:proto"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if promised.returncode != 0:
        print("no committed contract on main to compare with")
        return 0
    return subprocess.run(
        [str(BUF), "breaking", "--against", ".git#branch=main"], cwd=ROOT, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
