"""The worker's own log: standard error may belong to a run at the moment."""

from __future__ import annotations

import os
from contextlib import suppress


class Log:
    """Where standard error led when this was made."""

    def __init__(self) -> None:
        self._file = os.dup(2)
        self._last = ""

    def note(self, text: str) -> None:
        """Once, however often it is the same in a row."""
        if text != self._last:
            self._last = text
            with suppress(OSError):
                os.write(self._file, f"jobkeep.worker: {text}\n".encode(errors="replace"))
