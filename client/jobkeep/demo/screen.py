"""What the demo shows: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from typing import TextIO


def tally_text(tallies: Mapping[str, int]) -> str:
    """Tallies in a fixed order, failures last."""
    names = sorted(tallies, key=lambda name: (name == "failed", name))
    return "  ".join(f"{name} {tallies[name]}" for name in names)


def bar(done: int, total: int, width: int) -> str:
    filled = width * done // total if total else 0
    return "█" * filled + "░" * (width - filled)


class Screen:
    """Writes sentences and redraws one progress line below them."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._live = out.isatty()
        self._drawn = False
        self._tenth = -1

    def say(self, text: str = "") -> None:
        self._wipe()
        print(text, file=self._out, flush=True)

    def progress(self, done: int, total: int | None, tallies: Mapping[str, int]) -> None:
        """Redraw the bar; without a terminal print a line at each tenth."""
        total = total or 0
        line = f"{done:>5}/{total}  {tally_text(tallies)}"
        if self._live:
            columns = shutil.get_terminal_size().columns
            self._wipe()
            self._out.write(f"  {bar(done, total, 24)} {line}"[: columns - 1])
            self._out.flush()
            self._drawn = True
        elif total and done * 10 // total > self._tenth:
            self._tenth = done * 10 // total
            print(f"  {line}", file=self._out, flush=True)

    def _wipe(self) -> None:
        if self._drawn:
            self._out.write("\r\x1b[K")
            self._drawn = False
