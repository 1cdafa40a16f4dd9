"""The page of one job, with its output as it grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from jobkeep.errors import NotFound
from jobkeep.protocol.jobs import Event, ExplainReply, Job, LogChunk
from jobkeep.protocol.vocabulary import ENDED_STATES, Stream
from jobkeep.web.changes import APPEND, Change, Part
from jobkeep.web.model import log
from jobkeep.web.model.job_page import FIRST_ITEMS, JobPage, item, job_page
from jobkeep.web.model.log import Line, Place
from jobkeep.web.screens.base import Desk, Picture, now

LINES: Final = 500  # of output that a page begins with


@dataclass(frozen=True, slots=True)
class OneJob:
    """`run` 0: the latest one, whichever that is by then. `stream` None: both."""

    id: str
    run: int = 0
    stream: Stream | None = None
    template = "job"

    @property
    def key(self) -> tuple[str, str]:
        return ("job", self.id)

    @property
    def live(self) -> str:
        return f"/live/jobs/{self.id}?run={self.run}&stream={self.stream or ''}"

    async def look(self, desk: Desk) -> Picture:
        job, explained, history = await self._ask(desk)
        page = job_page(job, explained, history, now())
        return Picture(await self._parts(desk, page), page.moving, {"job": page})

    async def _ask(self, desk: Desk) -> tuple[Job, ExplainReply | None, Sequence[Event]]:
        handle = desk.connection.job(self.id)
        job = await handle.info()
        whole = desk.connection.job(job.id)
        explained = await whole.explain() if job.state not in ENDED_STATES else None
        history = await desk.hub.kept(("history", job.id), job.id, whole.history)
        return job, explained, history

    async def _parts(self, desk: Desk, page: JobPage) -> list[Part]:
        pages = desk.pages
        found = [
            Part("head", pages.part("job_head", job=page)),
            Part("facts", pages.part("job_facts", job=page)),
            Part("runs", pages.part("job_runs", job=page)),
            Part("timeline", pages.part("job_timeline", job=page)),
        ]
        if page.failed_items:
            first = await desk.hub.kept(
                ("items", page.id, page.failed_items), page.id,
                lambda: desk.connection.failed_page(page.id, 0, FIRST_ITEMS),
            )  # fmt: skip
            items = [item(each) for each in first.items]
            found.append(Part("items", pages.part("job_items", job=page, items=items, total=first.total)))
        else:
            found.append(Part("items", pages.part("job_items", job=page, items=[], total=0)))
        return found

    async def begin(self, desk: Desk) -> tuple[list[Line], Place]:
        """The end of the output so far, for a page that is shown now."""
        job = await desk.connection.job(self.id).info()
        run = self.run or job.attempt
        if not run:
            return [], Place(0)
        chunks = await desk.connection.last_lines(job.id, run, self.stream, LINES)
        return log.cut(chunks, Place(run), _over(job, run))

    async def tail(self, desk: Desk, place: str) -> tuple[list[Change], str]:
        """Lines that have come since; the latest run is followed into the next one."""
        at = log.place(place) or Place(0)
        try:
            job = await desk.hub.shared(("info", self.id), desk.connection.job(self.id).info)
        except NotFound:
            return [], place
        found: list[Change] = []
        if at.run and (not self.run or at.run == self.run):
            lines, at = await self._read(desk, job, at)
            found += self._appended(desk, lines)
        if not self.run and job.attempt > at.run:
            if at.run:
                found.append(Change("log", desk.pages.part("log_run", run=job.attempt), APPEND))
            lines, at = await self._read(desk, job, Place(job.attempt))
            found += self._appended(desk, lines)
        return found, str(at)

    async def _read(self, desk: Desk, job: Job, at: Place) -> tuple[list[Line], Place]:
        async def read() -> list[LogChunk]:
            return await desk.connection.output(job.id, at, self.stream)

        chunks = await desk.hub.shared(("output", job.id, at, self.stream), read)
        return log.cut(chunks, at, _over(job, at.run))

    def _appended(self, desk: Desk, lines: list[Line]) -> list[Change]:
        return [Change("log", desk.pages.part("log_lines", lines=lines), APPEND)] if lines else []


def _over(job: Job, run: int) -> bool:
    return job.state in ENDED_STATES or run < job.attempt
