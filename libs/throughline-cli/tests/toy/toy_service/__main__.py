"""`migrate` notes the owner's database; `all` notes its settings and answers /readyz."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class _Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


def main() -> None:
    role = sys.argv[1]
    settings = {k: v for k, v in os.environ.items() if k.startswith("THROUGHLINE_")}
    Path(os.environ["TOY_NOTES"], f"{role}.json").write_text(json.dumps(settings))
    if role == "all":
        host, port = os.environ["THROUGHLINE_HTTP_ADDRESS"].split(":")
        HTTPServer((host, int(port)), _Ready).serve_forever()
    elif role != "migrate":
        sys.exit(f"unknown role {role}")


main()
