"""Output of a run as a stream of chunks, to its end or as it grows."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import partial
from typing import Final

import anyio

from jobkeep.protocol import faults
from jobkeep.protocol.jobs import LogChunk, LogSize, LogsParameters
from jobkeep.protocol.vocabulary import ENDED_STATES, Stream
from jobkeepd.core.model import Job, Peer
from jobkeepd.rpc.faults import Refusal, invalid
from jobkeepd.rpc.log_file import CHUNK, LogFile
from jobkeepd.rpc.services import Outlet, Services

LOOK_AGAIN: Final = 0.1  # seconds
BLOCK: Final = 4 * CHUNK  # read in a thread, where there is that much
STREAMS: Final[tuple[Stream, ...]] = ("stdout", "stderr")


async def logs(services: Services, asked: LogsParameters, peer: Peer, outlet: Outlet) -> None:
    if asked.offset is not None and (asked.stream is None or asked.lines is not None):
        raise invalid("offset", "an offset belongs to one stream, and stands in place of lines")
    job = await services.store.get(asked.id)
    number = _run_number(job, asked.run)
    files = [
        LogFile(partial(services.output, job.id, number, stream), stream)
        for stream in STREAMS
        if asked.stream in (None, stream)
    ]
    for file in files:
        if asked.offset is not None:
            file.offset = asked.offset
        elif asked.lines is not None:
            await file.seek_lines(asked.lines)
    if asked.follow:
        await _follow(services, job.id, number, files, outlet)
    else:
        await _to_end(files, number, outlet, asked.lines)


def sizes(services: Services, job: str, number: int) -> list[LogSize]:
    """Of the streams of a run that there is anything of."""
    found = []
    for stream in STREAMS:
        with contextlib.suppress(OSError):  # such as a link in its place, which is no output
            log = services.output(job, number, stream)
            if log is not None:
                there = log.extent()
                log.close()
                if there.size:
                    found.append(LogSize(stream, there.size, min(there.first, there.size)))
    return found


def _run_number(job: Job, asked: int | None) -> int:
    latest = 0 if job.run is None else job.run.number
    number = asked or latest
    if not 1 <= number <= latest:
        which = "no run yet" if asked is None else f"no run {asked}"
        raise Refusal(faults.NoRun(f"job {job.id} has {which}", job.id, asked))
    return number


async def _follow(services: Services, job: str, number: int, files: Sequence[LogFile], outlet: Outlet) -> None:
    with RunEnd(services, job, number) as end:
        while True:
            ended = await end.reached()  # before the read: then that read sees all there will ever be
            await _to_end(files, number, outlet)
            if ended:
                return
            with anyio.move_on_after(LOOK_AGAIN):
                await end.hint()


async def _to_end(files: Sequence[LogFile], number: int, outlet: Outlet, lines: int | None = None) -> None:
    """What there is now; first from the file that was written to first. At most `lines` of each: since the place of
    the last ones was looked up, more may have come.
    """
    looks = [(*reversed(file.look()), place) for place, file in enumerate(files)]
    for _, there, place in sorted(looks):
        if there:
            await _pass_on(files[place], there, number, outlet, lines)


async def _pass_on(file: LogFile, there: int, number: int, outlet: Outlet, lines: int | None) -> None:
    while there > 0 and lines != 0:
        gone, data = await file.read(min(there, BLOCK))
        offset = file.offset - len(data)
        if gone:
            await outlet.send(LogChunk(file.stream, number, offset, b"", dropped=gone))
        if not data:
            return  # all of it is gone, or it was truncated meanwhile
        there -= gone + len(data)
        if lines is not None:
            data, lines = _first_lines(data, lines)
        for begin in range(0, len(data), CHUNK):
            chunk = data[begin : begin + CHUNK]
            await outlet.send(LogChunk(file.stream, number, offset + begin, chunk))


def _first_lines(data: bytes, count: int) -> tuple[bytes, int]:
    """The first `count` lines of it, and how many lines are still to come."""
    newlines = data.count(b"\n")
    if newlines < count:
        return data, count - newlines
    end = 0
    for _ in range(count):
        end = data.index(b"\n", end) + 1
    return data[:end], 0


class RunEnd:
    """Whether a run is over; the feed says when it is worth asking."""

    def __init__(self, services: Services, job: str, number: int) -> None:
        self._services = services
        self._job = job
        self._number = number
        self._hint = anyio.Event()

    def __enter__(self) -> RunEnd:
        self._subscription = self._services.feed.subscribe(self._look)
        return self

    def __exit__(self, *exc: object) -> None:
        self._services.feed.unsubscribe(self._subscription)

    def _look(self) -> None:
        # Looked at right here: waking a task for each entry of every other job would cost more.
        entries = self._subscription.take()
        if self._subscription.overflowed or any(entry.job == self._job for entry in entries):
            self._hint.set()

    async def hint(self) -> None:
        await self._hint.wait()
        self._hint = anyio.Event()

    async def reached(self) -> bool:
        job = self._services.store.cached(self._job) or await self._services.store.get(self._job)
        run = job.run
        if run is None or run.number < self._number:  # its claim was taken back; the number will be used again
            return job.state in ENDED_STATES
        return run.number > self._number or run.state == "ended"
