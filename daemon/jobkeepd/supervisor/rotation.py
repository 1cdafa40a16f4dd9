"""Rotation: the output of a run stays within its size, and that of a user's runs within theirs; the oldest goes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anyio
import structlog
from msgspec import Struct

from jobkeepd.core.model import Entry
from jobkeepd.core.rotation import Extent, cut_to, next_part, shorten, surplus
from jobkeepd.runner.output import STREAMS
from jobkeepd.runner.run_logs import RunLogs
from jobkeepd.runner.stream_log import StreamLog
from jobkeepd.store.changes import Note
from jobkeepd.supervisor.job_task import JobTask
from jobkeepd.supervisor.workshop import Workshop

log = structlog.get_logger()
LOOK, IDLE = 1.0, 10.0  # seconds between two looks; and where nothing has a limit


class Stream(Struct, frozen=True):
    """One of the two of a run."""

    job: str
    run: int
    name: str


class Rotation:
    """Looks at the runs that are under way, and once more at each that has ended since."""

    def __init__(self, tasks: Mapping[str, JobTask], workshop: Workshop) -> None:
        self._tasks = tasks
        self._workshop = workshop
        self._ended: set[tuple[str, int]] = set()
        self._able: bool | None = None  # None: it has not been tried, or could not be
        self._troubled = False  # and that was told
        self._rotated: set[Stream] = set()  # what has parts, of runs that are under way
        self._told: set[Stream] = set()  # what has lost output to its user's limit
        self._failing: set[Stream] = set()

    def notice(self, entries: Sequence[Entry]) -> None:
        """What was just committed."""
        if self._workshop.logs.max_bytes:
            for entry in entries:
                if entry.kind == "ended" and entry.job is not None and entry.run is not None:
                    self._ended.add((entry.job, entry.run))

    @property
    def _is_wanted(self) -> bool:
        return bool(self._workshop.logs.max_bytes) or self._workshop.most_log_bytes is not None

    async def keep_rotating(self) -> None:
        while True:
            await self.rotate_once()
            await anyio.sleep(LOOK if self._is_wanted else IDLE)

    async def rotate_once(self) -> None:
        """Each run first, then what a user has of all together."""
        logs = self._workshop.run_logs
        if logs is None or not self._is_wanted or not await self._is_able(logs):
            return
        owners = {(job, task.job.run.number): task.job.owner for job, task in self._tasks.items() if task.job.run}
        ended, self._ended = self._ended, set()
        for job, run in [*owners, *(ended - owners.keys())]:
            for name in STREAMS:
                await self._rotate(logs, Stream(job, run, name))
        for known in (self._rotated, self._told, self._failing):
            known -= {stream for stream in known if (stream.job, stream.run) not in owners}
        if (most_of := self._workshop.most_log_bytes) is not None:
            await self._keep_within(logs, owners, most_of)

    async def _is_able(self, logs: RunLogs) -> bool:
        """At first, also finish what an earlier daemon was killed in."""
        if self._able is None:
            try:
                able, rotated = await logs.can_rotate(), logs.rotated()
            except OSError as error:  # such as a full disk: it is tried again
                if not self._troubled:
                    log.warning("rotation_postponed", error=str(error))
                self._troubled = True
                return False
            self._able = able
            if not able:
                hint = "the state directory's file system cannot punch holes into files; ext4, xfs, btrfs and tmpfs can"
                log.warning("rotation_impossible", consequence="output grows without any limit", hint=hint)
            for job, run, name in rotated if able else ():
                self._rotated.add(stream := Stream(job, run, name))
                await self._do(logs, stream, StreamLog.settle)
        return self._able

    async def _rotate(self, logs: RunLogs, stream: Stream) -> None:
        """One stream by itself."""
        rule, written = self._workshop.logs.rule, logs.written(stream.job, stream.run, stream.name)
        if not rule.most or (written <= rule.most and stream not in self._rotated):
            return
        there = self._look(logs, stream)
        if there.size < there.base:
            await self._do(logs, stream, StreamLog.settle)
        elif next_part(there, rule) or surplus(there, rule.keep):
            self._rotated.add(stream)
            await self._do(logs, stream, lambda log: shorten(log, rule))
            left = self._look(logs, stream)
            if left.first and not there.first:
                self._tell(stream, left, "[logs] max_bytes")

    async def _keep_within(
        self, logs: RunLogs, owners: Mapping[tuple[str, int], int], most_of: Callable[[int], int | None]
    ) -> None:
        """What users have of output that is under way, all runs of one together."""
        streams: defaultdict[int, list[Stream]] = defaultdict(list)
        for (job, run), owner in owners.items():
            streams[owner] += [Stream(job, run, name) for name in STREAMS]
        for owner, all_of_them in streams.items():
            most = most_of(owner)
            if most is None or sum(logs.written(each.job, each.run, each.name) for each in all_of_them) <= most:
                continue
            there = [self._look(logs, stream) for stream in all_of_them]
            stay = cut_to([each.kept for each in there], most)
            for stream, before, size in zip(all_of_them, there, stay, strict=True):
                if size < before.kept:
                    await self._cut(logs, stream, before.size - size, owner)

    async def _cut(self, logs: RunLogs, stream: Stream, to: int, owner: int) -> None:
        self._rotated.add(stream)
        if await self._do(logs, stream, lambda log: log.drop(to)) and stream not in self._told:
            self._told.add(stream)
            self._tell(stream, self._look(logs, stream), "[access] max_log_bytes", uid=owner)

    def _look(self, logs: RunLogs, stream: Stream) -> Extent:
        try:
            found = logs.open(stream.job, stream.run, stream.name)
        except OSError:
            return Extent(0)
        if found is None:
            return Extent(0)
        try:
            return found.extent()
        finally:
            found.close()

    async def _do(self, logs: RunLogs, stream: Stream, deed: Callable[[StreamLog], Any]) -> bool:
        """False where it failed. It is told once, and tried again at the next look."""
        try:
            done = await logs.rotate(stream.job, stream.run, stream.name, deed)
        except OSError as error:
            if stream not in self._failing:
                self._failing.add(stream)
                log.warning("rotation_postponed", job=stream.job, run=stream.run, stream=stream.name, error=str(error))
            return False
        self._failing.discard(stream)
        return done

    def _tell(self, stream: Stream, left: Extent, limit: str, **more: int) -> None:
        """The first time that something of a stream is dropped; `show` tells how much it is by now."""
        data = {"stream": stream.name, "first": left.first, "limit": limit, **more}
        at = self._workshop.clock.now()
        self._workshop.store.send(Note(kind="output_dropped", at=at, job=stream.job, run=stream.run, data=data))
        log.info("output_dropped", job=stream.job, run=stream.run, **data)
