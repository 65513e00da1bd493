"""Make the secrets of a deployment at random, below deploy/.throughline; those there are kept.

python tools/make_secrets.py compose      files that docker-compose.yml mounts
python tools/make_secrets.py kubernetes   a manifest of Secret objects, for `kubectl apply`
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

# A script finds only its own folder; `tools` lies one above.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.deployment import secret_files
from tools.deployment.declared import ROOT


def main(arguments: Sequence[str]) -> int:
    writers = {
        "compose": secret_files.write_compose,
        "kubernetes": secret_files.write_kubernetes,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("platform", choices=writers)
    options = parser.parse_args(arguments)
    print(writers[options.platform](ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
