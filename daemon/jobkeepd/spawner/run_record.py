"""The record that a slot keeps of its run: opened with the leader's line, added to, closed."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from jobkeepd.spawner import ended, record
else:
    import record


def exit_line(run: str, status: int, usage: ended.Usage, oom_kills: int) -> bytes:
    """How the leader has ended, now. Without its end, to which the proof of ECHILD may be added."""
    user, system, rss = usage
    oom = f',"oom":{oom_kills}' if oom_kills else ""
    return (
        f'{{"op":"exit","run":"{run}","status":{status},"ended_at":{time.time()!r},'
        f'"usage":[{user!r},{system!r},{rss}],"writer":"shim"{oom}'
    ).encode()


def drained_lines(run: str, exited: bytes | None, more: bytes, logs: Collection[int]) -> list[bytes]:
    """What goes on record, and (the last one) what is told: in the usual case nothing was left, and one line says both
    that and the exit.
    """
    lines = [f'{{"op":"drained","run":"{run}"'.encode() + more + b"}\n"]
    if exited is not None:
        silent = all(os.fstat(fd).st_size == 0 for fd in logs)
        lines.append(exited + (b',"drained":true,"silent":true' if silent else b',"drained":true') + more + b"}\n")
    return lines


class RunRecord:
    """Of one slot, one run after the other. A record that cannot be written is told of on stderr, and nothing waits."""

    def __init__(self, runtime: str, slot: str) -> None:
        self._runtime = runtime
        self._slot = slot
        self._run = ""
        self._file: int | None = None

    def sign(self, run: str, identity: list[Any], grace: float) -> str:
        """Who the leader is: from here on it may run. Returns that as JSON. Raises OSError with what went wrong."""
        boot_id, pid, ticks, inode = identity
        signature = f'["{boot_id}",{pid},{ticks},{inode}]'
        try:
            self._begin(run, f'{{"op":"leader","slot":"{self._slot}","leader":{signature},"grace":{grace}}}\n'.encode())
        except FileExistsError as error:
            raise FileExistsError(error.errno, "it was begun before") from None
        return signature

    def _begin(self, run: str, line: bytes) -> None:
        """Raises OSError; FileExistsError for a run that was begun before."""
        self._run = run
        self._file = record.begin(self._runtime, self._slot, run, line)

    def fileno(self) -> int:
        assert self._file is not None, "no run has begun"
        return self._file

    def go_on(self, run: str, file: int) -> None:
        """With the record of a run that another process has begun in this slot. It may have been removed since."""
        self._run, self._file = run, file

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
            self._begin(run, line)
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
