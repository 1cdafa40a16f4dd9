"""The rows of `jobkeep top`: only what has changed is drawn, and the chosen row stays chosen wherever it moves."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from jobkeep.cli.top.board import Row


class Rows(OptionList):
    """Of one tab at a time. `chosen`: the key of the row under the cursor."""

    def __init__(self) -> None:
        super().__init__(id="rows", markup=False)
        self._tab = ""
        self._shown: list[Row] = []
        self._chosen: dict[str, str] = {}  # of each tab

    @property
    def chosen(self) -> str | None:
        return self._chosen.get(self._tab)

    def fill(self, tab: str, rows: Sequence[Row]) -> None:
        """Show these, which may be the same as before."""
        before, self._shown = self._shown, list(rows)
        if tab == self._tab and [row.key for row in before] == [row.key for row in rows]:
            for index, (old, new) in enumerate(zip(before, rows, strict=True)):
                if old.line != new.line:
                    self.replace_option_prompt_at_index(index, ansi(new.line))
            return
        index, self._tab = self.highlighted or 0, tab
        self.set_options([Option(ansi(row.line)) for row in rows])
        if not rows:
            self._chosen.pop(tab, None)
            return
        places = {row.key: place for place, row in enumerate(rows)}
        self.highlighted = places.get(self.chosen or "", min(index, len(rows) - 1))
        self._chosen[tab] = rows[self.highlighted].key

    def watch_highlighted(self, highlighted: int | None) -> None:
        """Remember it, before anybody is told."""
        if highlighted is not None and highlighted < len(self._shown):
            self._chosen[self._tab] = self._shown[highlighted].key
        super().watch_highlighted(highlighted)


def ansi(line: str) -> Text:
    """A line of the command line's own renderers."""
    text = Text.from_ansi(line)
    text.no_wrap = True
    return text
