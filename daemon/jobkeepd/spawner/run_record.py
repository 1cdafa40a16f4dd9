"""The record that a slot keeps of its run: opened with the leader's line, added to, closed."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobkeepd.spawner import record
else:
    import record


class RunRecord:
    """Of one slot, one run after the other. A record that cannot be written is told of on stderr, and nothing waits."""

    def __init__(self, runtime: str, slot: str) -> None:
        self._runtime = runtime
        self._slot = slot
        self._run = ""
        self._file: int | None = None

    def begin(self, run: str, line: bytes) -> None:
        """Raises OSError; FileExistsError for a run that was begun before."""
        self._run = run
        self._file = record.begin(self._runtime, self._slot, run, line)

    def add(self, line: bytes) -> None:
        """To the run that was begun, if it was."""
        if self._file is None:
            return
        try:
            record.write_line(self._file, line)
        except OSError as error:
            self._complain(error)

    def fail(self, run: str, line: bytes) -> None:
        """A start that failed, before or after there was a leader."""
        if self._file is not None:
            self.add(line)
            return
        try:
            self.begin(run, line)
        except FileExistsError:
            pass  # it keeps the record it has
        except OSError as error:
            self._complain(error)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _complain(self, error: OSError) -> None:
        """A full or removed runtime directory. The daemon is still told."""
        os.write(2, f"slot {self._slot}: the record of run {self._run} is not whole: {error}\n".encode())
