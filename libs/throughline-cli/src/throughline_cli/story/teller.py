"""Tells the story step by step. Every command has a key of its own, so telling it again is safe."""

from collections.abc import Sequence

from throughline_cli.stack.layout import Layout
from throughline_cli.stack.state import State
from throughline_cli.story.cast import Cast
from throughline_cli.story.ending import Ending
from throughline_cli.story.middle import Middle
from throughline_cli.story.opening import Opening
from throughline_cli.story.told import Step, Told


class Teller:
    """Tells the story on one running sandbox."""

    def __init__(self, layout: Layout, state: State, cast: Cast, started_at: float) -> None:
        """`started_at` is the monotonic time from which the first document is timed."""
        self._layout = layout
        self._state = state
        self._cast = cast
        self.told = Told(started_at=started_at)

    def steps(self) -> Sequence[Step]:
        """Return the steps in order."""
        parts = (self._layout, self._state, self._cast, self.told)
        opening, middle, ending = Opening(*parts), Middle(*parts), Ending(*parts)
        return (
            Step("two legal entities, a catalogue, templates, rates and taxes", opening.found_firm),
            Step("six people", opening.hire),
            Step("two approved quotes come in from the CRM", opening.sell),
            Step("the contracts are signed and come into force", opening.sign),
            Step("one project starts; the other pauses on a wrong tax id", opening.pause),
            Step("the tax id is mended and the project goes on", opening.mend),
            Step("four weeks of time, submitted and approved", middle.work),
            Step("expenses with receipts", middle.spend),
            Step("one milestone is accepted, one waits", middle.accept),
            Step("month end: charges fall due, a second person releases", ending.release),
            Step("preview, drafts, approval, issue", ending.invoice),
            Step("the documents", ending.download),
            Step("one customer pays in full, one in part; a callback comes five times", ending.pay),
            Step("everything is taken; the books are compared", ending.reconcile),
        )
