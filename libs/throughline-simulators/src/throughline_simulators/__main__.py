"""`python -m throughline_simulators`: run all simulated vendors in one process.

Reads THROUGHLINE_SIMULATORS_ADDRESS (host:port, default 127.0.0.1:0, a free port) and
THROUGHLINE_SIMULATORS_DATA (a file that keeps their state; without it they forget at the end).
"""

import os
import sys
from pathlib import Path

from throughline_simulators.application import create_application
from throughline_simulators.server import base_url, bind, server


def main() -> int:
    data = os.environ.get("THROUGHLINE_SIMULATORS_DATA")
    address = os.environ.get("THROUGHLINE_SIMULATORS_ADDRESS", "127.0.0.1:0")
    try:
        bound = bind(address)
    except (ValueError, OSError) as error:
        print(f"cannot listen on {address}: {error}", file=sys.stderr)
        return 2
    app = create_application(Path(data) if data else None)
    print(f"simulators listening on {base_url(bound)}", flush=True)
    server(app).run(sockets=[bound])
    return 0


if __name__ == "__main__":
    sys.exit(main())
