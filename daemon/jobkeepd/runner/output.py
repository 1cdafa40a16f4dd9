"""Where runs write, and where their output is kept.

Making a file costs a file system more than many a run, and slows every commit beside it. So a run writes into a file
of its seat that is there already; when the run has ended, what it wrote gets the run's own name, and a run that wrote
nothing has cost nothing. Between two runs a seat's files are empty: a byte never has two owners.
"""

from __future__ import annotations

import contextlib
import os

import structlog

from jobkeepd.core.model import RunRef

log = structlog.get_logger()
STREAMS = ("stdout", "stderr")


class Outputs:
    """LOGS/seats/SEAT.STREAM while a run writes, LOGS/runs/JOB.NUMBER.STREAM for ever after."""

    def __init__(self, logs: str) -> None:
        self._logs = logs
        self._writers: dict[str, str] = {}  # run -> seat whose files are its own now

    def prepare(self) -> None:
        for folder in ("seats", "runs", "workers"):
            os.makedirs(f"{self._logs}/{folder}", 0o700, exist_ok=True)

    def begin(self, seat: str, run: RunRef) -> tuple[str, str]:
        """From now on the seat's files are the run's; their paths, stdout first."""
        self._writers[run.id] = seat
        return self._of_seat(seat, "stdout"), self._of_seat(seat, "stderr")

    def disown(self, run: RunRef) -> None:
        """The seat's files are a later run's: this run's output was kept before, or there is none."""
        self._writers.pop(run.id, None)

    def keep(self, run: RunRef) -> bool:
        """The run has ended: its output gets its name. False when that failed: the seat must not be used again."""
        seat = self._writers.pop(run.id, None)
        if seat is None:
            return True
        try:
            for stream in STREAMS:
                self._keep(self._of_seat(seat, stream), self._of_run(run.job, run.number, stream))
        except OSError as error:
            log.error("output_not_kept", run=run.id, seat=seat, error=error.strerror)
            return False
        return True

    def _keep(self, written: str, kept: str) -> None:
        try:
            size = os.stat(written).st_size
        except FileNotFoundError:
            return
        if size:
            os.rename(written, kept)

    def path(self, job: str, number: int, stream: str) -> str:
        """Where the output of a run is at this moment; what is opened must be opened before anything is awaited."""
        seat = self._writers.get(RunRef(job, number, 0).id)
        return self._of_run(job, number, stream) if seat is None else self._of_seat(seat, stream)

    def worker_log(self, seat: str) -> str:
        """What a worker writes while it has no run."""
        return f"{self._logs}/workers/{seat}.log"

    def drop_seat(self, seat: str) -> None:
        """The seat is gone. Its files go when there is nothing in them."""
        for path in (*(self._of_seat(seat, stream) for stream in STREAMS), self.worker_log(seat)):
            with contextlib.suppress(OSError):
                if os.stat(path).st_size == 0:
                    os.unlink(path)

    def sweep(self, living: set[str]) -> None:
        """Drop the files of seats that are gone since an earlier daemon."""
        for folder in ("seats", "workers"):
            for name in os.listdir(f"{self._logs}/{folder}"):
                seat = name.rpartition(".")[0]
                if seat not in living:
                    self.drop_seat(seat)

    def _of_seat(self, seat: str, stream: str) -> str:
        return f"{self._logs}/seats/{seat}.{stream}"

    def _of_run(self, job: str, number: int, stream: str) -> str:
        return f"{self._logs}/runs/{job}.{number}.{stream}"
