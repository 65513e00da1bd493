"""Render the files of a deployment that follow from what the services declare.

python tools/render_deployment.py           writes those that differ
python tools/render_deployment.py --check   fails when one is out of date
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

# A script finds only its own folder; `tools` lies one above.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.deployment import render
from tools.deployment.declared import ROOT


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, change nothing")
    options = parser.parse_args(arguments)
    stale = render.stale(ROOT)
    for path, text in stale.items():
        print(path)
        if not options.check:
            (ROOT / path).write_text(text, encoding="utf-8")
    return 1 if options.check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
