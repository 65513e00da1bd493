"""A running sandbox, as tests hold it."""

from dataclasses import dataclass

from throughline_cli.stack.layout import Layout
from throughline_cli.stack.state import State
from throughline_cli.story.cast import Cast


@dataclass(frozen=True, slots=True)
class Platform:
    """A running sandbox and the people who use it."""

    layout: Layout
    state: State
    cast: Cast

    @property
    def url(self) -> str:
        assert self.state.gateway_url is not None
        return self.state.gateway_url
