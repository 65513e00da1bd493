"""Check static types: all sources at once, then each member's tests.

Tests of different members may share a module name, which one run of mypy cannot hold apart.
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
MYPY: Final = Path(sys.executable).parent / "mypy"


def main() -> int:
    """Run every check, and fail when one does."""
    members = sorted(path.parent for path in ROOT.glob("*/*/pyproject.toml"))
    sources = [member / "src" for member in members if member.name != "throughline-proto"]
    runs = [[*sources, ROOT / "tools"], [ROOT / "tests-e2e"]]
    runs += [[member / "tests"] for member in members if any(member.glob("tests/**/*.py"))]
    return max(_check(run) for run in runs)


def _check(targets: list[Path]) -> int:
    names = [str(target.relative_to(ROOT)) for target in targets]
    result = subprocess.run(
        [str(MYPY), "--no-error-summary", *names], cwd=ROOT, check=False
    ).returncode
    print(f"{'ok' if result == 0 else 'failed':<7}{', '.join(names)}")
    return result


if __name__ == "__main__":
    sys.exit(main())
