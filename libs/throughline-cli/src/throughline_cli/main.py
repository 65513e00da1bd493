"""The `throughline` command: its groups of commands, registered here and nowhere else."""

from typing import Any, Final

import typer
from typer.core import TyperGroup

from throughline_cli.commands import (
    audit,
    call,
    clock,
    demo,
    lifecycle,
    lineage,
    logs,
    parked,
    reconcile,
    run,
    streams,
    token,
)
from throughline_cli.commands import doctor as doctor_command
from throughline_cli.output import show_failure
from throughline_cli.stack.failure import StackFailure

_HELP: Final = """Run Throughline on one machine and operate it.

Exit codes: 0 done; 1 a check failed, or the platform refused; 2 wrong usage; 3 no stack runs.
"""

_AS_JSON: Final = "throughline.as_json"

_GROUPS: Final = (
    lifecycle,
    demo,
    lineage,
    reconcile,
    call,
    run,
    logs,
    doctor_command,
    token,
    clock,
    streams,
    parked,
    audit,
)


class _Commands(TyperGroup):
    """Ends a command that failed with its message and its exit code, never with a traceback."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_AS_JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except StackFailure as failure:
            show_failure(failure, as_json=ctx.meta[_AS_JSON])
            raise typer.Exit(failure.exit_code) from failure


app = typer.Typer(cls=_Commands, help=_HELP, no_args_is_help=True, pretty_exceptions_enable=False)
for _group in _GROUPS:
    _group.register(app)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
