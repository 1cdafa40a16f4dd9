"""How things look: glyph, word and colour of a state, ids, and what kind of place the text goes to."""

from __future__ import annotations

import time

from jobkeep.cli.render.text import escape

BOLD, DIM, RED, GREEN, YELLOW, BLUE, CYAN, GREY = "1", "2", "31", "32", "33", "34", "36", "90"

STATES = {
    "queued": ("·", DIM),
    "scheduled": ("◷", BLUE),
    "running": ("▶", CYAN),
    "cancelling": ("…", YELLOW),
    "succeeded": ("✓", GREEN),
    "failed": ("✗", RED),
    "cancelled": ("⊘", GREY),
}
OUTCOMES = {**STATES, "interrupted": ("⊘", YELLOW), "lost": ("?", RED)}


class Style:
    """Where text goes: a terminal or not, with colours or not, how wide (None: any), and when (epoch seconds).

    `now` None is the moment at which it is first asked for: an answer may be younger than the question.
    """

    __slots__ = ("_now", "colour", "tty", "whole_ids", "width")

    def __init__(
        self,
        *,
        tty: bool = False,
        colour: bool = False,
        width: int | None = None,
        whole_ids: bool = False,
        now: float | None = 0.0,
    ) -> None:
        self.tty = tty
        self.colour = colour
        self.width = width
        self.whole_ids = whole_ids
        self._now = now

    @property
    def now(self) -> float:
        if self._now is None:
            self._now = time.time()
        return self._now

    @now.setter
    def now(self, now: float) -> None:
        self._now = now

    def paint(self, text: str, colour: str | None) -> str:
        """`text` in `colour`, if there are colours."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self.colour and colour and text else text

    def id(self, id: str) -> str:
        """The first 8 characters, unless all are wanted."""
        return escape(id if self.whole_ids else id[:8])


def state_word(state: str, health: str = "ok") -> str:
    """Glyph and word; a running job in bad health says so."""
    glyph = OUTCOMES.get(state, ("?", None))[0]
    word = f"{glyph} {escape(state)}"
    return f"{word} ! {escape(health)}" if health != "ok" else word


def state_colour(state: str, health: str = "ok") -> str | None:
    """The colour that goes with state_word."""
    return YELLOW if health != "ok" else OUTCOMES.get(state, ("?", None))[1]
