"""Run the drill: `python tests-e2e/faults --help`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from faults.command import main

main()
