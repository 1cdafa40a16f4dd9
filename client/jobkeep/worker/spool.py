"""Reports kept on disk while there is no daemon to take them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from msgspec import Struct

from jobkeep.protocol.worker import CheckpointParameters, FinishParameters, SaveStepParameters
from jobkeep.worker.wire import encode


def step_file(run: str, ordinal: int) -> str:
    return f"{run}.step{ordinal}"


class Spool:
    """Files RUN.checkpoint, RUN.stepN and RUN.finish in a directory, durable once `write` has returned."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)
        self.written: set[str] = set()  # files of this process

    def write(self, name: str, report: Struct) -> None:
        """Put `report` in place of what was there. Raises OSError; then the old one is still there."""
        path = self._directory / name
        temporary = self._directory / f".{name}.{os.getpid()}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(encode(report))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        self._sync_directory()
        self.written.add(name)

    def write_run(
        self, run: str, steps: Sequence[SaveStepParameters], checkpoint: CheckpointParameters | None,
        finish: FinishParameters | None,
    ) -> Iterator[tuple[Literal["step", "checkpoint"], int]]:  # fmt: skip
        """Write what there is, piece by piece; what is durable then. Raises OSError."""
        for step in steps:
            if step_file(run, step.ordinal) not in self.written:
                self.write(step_file(run, step.ordinal), step)
                yield "step", step.ordinal
        if checkpoint is not None:
            self.write(f"{run}.checkpoint", checkpoint)
            yield "checkpoint", checkpoint.seq
        if finish is not None:
            self.write(f"{run}.finish", finish)

    def remove(self, name: str) -> None:
        """The daemon has it. A file of another process is not touched."""
        if name in self.written:
            self.written.discard(name)
            with suppress(OSError):  # an old report is refused by its fence and seq
                os.unlink(self._directory / name)

    def remove_all(self, run: str) -> None:
        """Nothing of that run is to be said any more."""
        for name in [name for name in self.written if name.rpartition(".")[0] == run]:
            self.remove(name)

    def _sync_directory(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Refuge:
    """Puts on disk what must be there while there is no daemon; what fails is tried again a second later."""

    def __init__(self, spool: Callable[[], None], note: Callable[[str], None]) -> None:
        self._spool = spool
        self._note = note
        self.at = 0.0  # when it may be tried next, monotonic

    def take(self, now: float) -> None:
        if now < self.at:
            return
        try:
            self._spool()
        except OSError as error:
            self._note(f"cannot spool: {error}")
            self.at = now + 1.0
