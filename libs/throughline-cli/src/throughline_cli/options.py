"""The options that commands share, so that each is spelled alike everywhere."""

from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[
    Path,
    typer.Option(
        "--folder",
        envvar="THROUGHLINE_FOLDER",
        help="Data folder of the stack.",
    ),
]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
