"""The description of the API, and two pages to read it with, which load nothing from elsewhere."""

import base64
import re
from hashlib import sha256
from pathlib import Path
from typing import Final

import fastapi_offline
from fastapi import FastAPI
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from pydantic_core import to_json
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from gateway import openapi
from gateway.reading import JSON

DOCUMENT: Final = "/openapi.json"
READERS: Final = "/docs", "/reference"
ASSETS: Final = "/docs/assets"

_FOLDER: Final = Path(fastapi_offline.__file__).parent / "static"
_NO_ICON: Final = "data:,"
_INLINE: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def mount(app: FastAPI) -> None:
    """Add the routes of this module; the document is made when it is first asked for."""
    document: list[bytes] = []

    async def answer() -> Response:
        if not document:
            document.append(to_json(openapi.document(app)))
        return Response(document[0], media_type=JSON, headers={"cache-control": "no-cache"})

    swagger = get_swagger_ui_html(
        openapi_url=DOCUMENT,
        title=openapi.TITLE,
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url=_NO_ICON,
        # Its badge would send the document to a validator elsewhere.
        swagger_ui_parameters={"validatorUrl": None, "tryItOutEnabled": True},
    )
    redoc = get_redoc_html(
        openapi_url=DOCUMENT,
        title=openapi.TITLE,
        redoc_js_url=f"{ASSETS}/redoc.standalone.js",
        redoc_favicon_url=_NO_ICON,
        with_google_fonts=False,
    )
    app.add_api_route(DOCUMENT, answer)
    for path, page in zip(READERS, (swagger, redoc), strict=True):
        _add_page(app, path, page)
    app.mount(ASSETS, StaticFiles(directory=_FOLDER))


def _add_page(app: FastAPI, path: str, page: HTMLResponse) -> None:
    body = bytes(page.body)
    headers = {
        "content-security-policy": _policy(body),
        "referrer-policy": "no-referrer",
        "x-frame-options": "DENY",
        "cache-control": "no-cache",
    }

    async def answer() -> Response:
        return HTMLResponse(body, headers=headers)

    app.add_api_route(path, answer)


def _policy(page: bytes) -> str:
    """Return what the page may load: ours, its own inline script, and nothing else."""
    digests = (base64.b64encode(sha256(text).digest()).decode() for text in _INLINE.findall(page))
    scripts = " ".join(f"'sha256-{digest}'" for digest in digests)
    return "; ".join(
        (
            "default-src 'none'",
            "base-uri 'none'",
            "connect-src 'self'",
            "font-src 'self' data:",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "img-src 'self' data:",
            f"script-src 'self' {scripts}".strip(),
            "style-src 'self' 'unsafe-inline'",
            "worker-src blob:",
        )
    )
