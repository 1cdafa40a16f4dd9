"""What lies over the board for a while: one job at length, and a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from jobkeep.cli.render.style import Style
from jobkeep.cli.top import detail
from jobkeep.cli.top.board import Seen


class JobScreen(Screen[None]):
    """The keys are those of the board."""

    CSS = """
    #facts { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    #output { height: 1fr; max-height: 40%; padding: 0 1; scrollbar-size-vertical: 1; border-top: solid $panel; }
    #facts > Static, #output > Static { text-wrap: nowrap; }
    """

    def compose(self) -> ComposeResult:
        yield Static(id="away")
        with VerticalScroll(id="facts"):
            yield Static(id="said")
        with VerticalScroll(id="output"):
            yield Static(id="printed")
        yield Static(id="keys")

    def on_mount(self) -> None:
        self.query_one("#facts").focus()
        self.query_one("#output").anchor()  # at its end, unless somebody scrolls

    def draw(self, seen: Seen | None, style: Style) -> None:
        """As it is now; once it is there at all."""
        if not self.query("#printed"):
            return
        printed = detail.output(seen, style) if seen is not None else []
        self.query_one("#said", Static).update(_text(detail.facts(seen, style) if seen is not None else ["…"]))
        self.query_one("#printed", Static).update(_text(printed))
        self.query_one("#output").display = bool(printed)


def _text(lines: Sequence[str]) -> Text:
    return Text.from_ansi("\n".join(lines))


class Question(ModalScreen[bool]):
    """Yes by `y` alone."""

    CSS = """
    Question { align: center middle; }
    Question > Vertical {
        width: 64; max-width: 90%; height: auto; padding: 1 2; border: round $warning; background: $surface;
    }
    #answers { margin-top: 1; color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,escape,enter,q", "answer(False)", "no"),
    ]

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Text(self._words), id="question")
            yield Static(Text("y yes   n no"), id="answers")

    def action_answer(self, yes: bool) -> None:
        """Go away, and tell."""
        self.dismiss(yes)
