"""Run the benchmarks: `python tests-e2e/load --help`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from load.command import main

main()
