"""Fail when requirements.txt is not what the members' declarations resolve to, or names a host."""

import re
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
_NAME: Final = re.compile(r"^([A-Za-z0-9._-]+)==")
_DECLARED: Final = re.compile(r'^\s+"([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?"', re.MULTILINE)


def main() -> int:
    """Compare names only: resolving again would need the network and move the pins."""
    text = (ROOT / "requirements.txt").read_text()
    pinned = {match[1].lower() for line in text.splitlines() if (match := _NAME.match(line))}
    problems = [
        f"{member.relative_to(ROOT)} declares {name}, which requirements.txt does not pin"
        for member in sorted(ROOT.glob("*/*/pyproject.toml"))
        for name in _DECLARED.findall(member.read_text().split("[build-system]")[0])
        if name.lower() not in pinned and not (ROOT / "libs" / name).exists()
    ]
    if "://" in text:
        problems.append("requirements.txt carries an address")
    for problem in problems:
        print(problem)
    if problems:
        print(
            "uv lock && uv export --all-groups --no-emit-workspace --no-annotate --no-header"
            " --format requirements-txt -o requirements.txt"
        )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
