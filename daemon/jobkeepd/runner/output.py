"""Where runs write, and where their output is kept.

Making a file costs a file system more than many a run, and slows every commit beside it. So a run writes into a file
of its seat that is there already; when the run has ended, what it wrote gets the run's own name, and a run that wrote
nothing has cost nothing. Between two runs a seat's files are empty: a byte never has two owners. Whose they are is on
record beside them before the run is sent, so that the next daemon knows it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping

import anyio.to_thread
import structlog

from jobkeepd.core.model import RunRef
from jobkeepd.errors import StartFailed
from jobkeepd.runner.stream_log import discard, folder_of

log = structlog.get_logger()
STREAMS = ("stdout", "stderr")
_OWNER = "owner"
_OWNER_SIZE, _END = 160, b"."  # of its record: written whole, over the one before


class Outputs:
    """LOGS/seats/SEAT.STREAM while a run writes, LOGS/runs/JOB.NUMBER.STREAM for ever after.

    What rotation has taken out of either is in LOGS/rotated/JOB.NUMBER.STREAM.
    """

    def __init__(self, logs: str) -> None:
        self._logs = logs
        self.rotated = f"{logs}/rotated"
        self._writers: dict[str, str] = {}  # run -> seat whose files are its own now
        self._records: dict[str, int] = {}  # seat -> the file in which its owner is put on record

    def prepare(self) -> None:
        for folder in ("seats", "runs", "workers", "rotated"):
            os.makedirs(f"{self._logs}/{folder}", 0o700, exist_ok=True)

    def begin(self, seat: str, run: RunRef) -> tuple[str, str]:
        """From now on the seat's files are the run's, which is about to be sent; their paths, stdout first.

        Raises StartFailed where that cannot be put on record: then it must not be sent.
        """
        self._sign(seat, run.id)
        self._writers[run.id] = seat
        return self._of_seat(seat, "stdout"), self._of_seat(seat, "stderr")

    def owner(self, seat: str) -> str | None:
        """The run that the seat's files are of, by what an earlier daemon has put on record."""
        try:
            with open(self._of_seat(seat, _OWNER), "rb") as file:
                run, end = file.read().split()
                return run.decode() if end == _END else None
        except (FileNotFoundError, ValueError):
            return None

    def rejoin(self, seat: str, run: RunRef) -> None:
        """The run that an earlier daemon sent there goes on."""
        self._writers[run.id] = seat

    def _sign(self, seat: str, run: str) -> None:
        try:
            file = self._records.get(seat)
            if file is None:
                file = os.open(self._of_seat(seat, _OWNER), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
                self._records[seat] = file
            os.pwrite(file, run.encode().ljust(_OWNER_SIZE - len(_END)) + _END, 0)
        except OSError as error:
            raise StartFailed("slot", f"the output of seat {seat} cannot be kept apart: {error.strerror}") from error

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

    async def discard(self, runs: Mapping[str, int]) -> tuple[str, ...]:
        """Delete what the runs 1 to N of jobs have written, by the job's id; the ids of those for which that is done.

        In a thread: thousands of files may go at once.
        """
        return await anyio.to_thread.run_sync(self._discard_all, runs)

    def _discard_all(self, runs: Mapping[str, int]) -> tuple[str, ...]:
        gone = []
        for job, newest in runs.items():
            try:
                self._discard(job, newest)
            except OSError as error:
                log.warning("output_not_deleted", job=job, error=error.strerror, file=error.filename)
            else:
                gone.append(job)
        return tuple(gone)

    def _discard(self, job: str, newest: int) -> None:
        for number in range(1, newest + 1):
            for stream in STREAMS:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self._of_run(job, number, stream))
                discard(folder_of(self.rotated, job, number, stream))  # after the file: see StreamLog.settle

    def size(self, run: RunRef) -> int:
        """Bytes that it has written so far, of both streams."""
        total = 0
        for stream in STREAMS:
            with contextlib.suppress(OSError):
                total += os.stat(self.path(run.job, run.number, stream)).st_size
        return total

    def worker_log(self, seat: str) -> str:
        """What a worker writes while it has no run."""
        return f"{self._logs}/workers/{seat}.log"

    def drop_seat(self, seat: str) -> None:
        """The seat is gone. Its files go when there is nothing in them."""
        if (file := self._records.pop(seat, None)) is not None:
            os.close(file)
        streams = [self._of_seat(seat, stream) for stream in STREAMS]
        for path in (*streams, self.worker_log(seat)):
            with contextlib.suppress(OSError):
                if os.stat(path).st_size == 0:
                    os.unlink(path)
        if not any(map(os.path.exists, streams)):
            with contextlib.suppress(OSError):
                os.unlink(self._of_seat(seat, _OWNER))

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
