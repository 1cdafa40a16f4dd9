"""A picture on the terminal that is redrawn in place: several lines, with whatever was above them left alone."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

ERASE_DOWN, ERASE_LINE, HOME = "\x1b[J", "\x1b[K", "\x1b[H"
CUT, WRAP = "\x1b[?7l", "\x1b[?7h"  # a line that is too long for the terminal is cut by it, and none takes two


def possible() -> bool:
    """Whether stdout is a terminal that can move its cursor."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


class Screen:
    """What is drawn now. `rows` is how many lines fit."""

    def __init__(self) -> None:
        self._drawn = 0
        self._size: tuple[int, int] | None = None

    @property
    def rows(self) -> int:
        """How many lines a picture may have: one is for the cursor."""
        return max(self._measure()[1] - 1, 1)

    def draw(self, lines: Sequence[str]) -> None:
        """In the place of the picture before. What does not fit is left out at the end."""
        size = self._measure()
        lines = lines[: self.rows]
        # Another width moves what was drawn about, and nobody knows where to.
        begin = self._up() if size == self._size else HOME if self._drawn else ""
        erased = ERASE_DOWN if size != self._size and self._drawn else ""
        # Erased first: at the end of a line that fills its row the cursor stands on its last letter.
        body = "".join(f"{ERASE_LINE}{line}\n" for line in lines)
        self._size, self._drawn = size, len(lines)
        self._write(f"{begin}{erased}{CUT}{body}{WRAP}{ERASE_DOWN}")

    def erase(self) -> None:
        """Take it away until it is drawn again."""
        if self._drawn:
            self._write(self._up() + ERASE_DOWN)
            self._drawn = 0

    def leave(self) -> None:
        """The picture stays; what the terminal has echoed below it, such as ^C, goes."""
        self._write(f"\r{ERASE_DOWN}")

    def _up(self) -> str:
        return f"\r\x1b[{self._drawn}A" if self._drawn else "\r"

    def _measure(self) -> tuple[int, int]:
        try:
            columns, rows = os.get_terminal_size(sys.stdout.fileno())
        except (OSError, ValueError):
            return 80, 24
        return columns or 80, rows or 24

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
