"""The page of jobs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeep.web.changes import Part
from jobkeep.web.model import filters
from jobkeep.web.model.filters import Filter
from jobkeep.web.model.job_list import Found, JobList, job_list
from jobkeep.web.model.rows import Row
from jobkeep.web.pages import Pages
from jobkeep.web.screens.base import Desk, Picture, Still, now

SHOWN: Final = 50
ENDED_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Jobs(Still):
    filter: Filter
    template = "jobs"

    @property
    def key(self) -> tuple[str, Filter]:
        return ("jobs", self.filter)

    @property
    def live(self) -> str:
        return self.filter.address("/live/jobs")

    async def look(self, desk: Desk) -> Picture:
        shown = await self._ask(desk)
        queues = [queue.name for queue in await desk.connection.queues()]
        return Picture(parts(desk.pages, shown), shown.moving, {"jobs": shown, "queues": queues})

    async def _ask(self, desk: Desk) -> JobList:
        counts = (await desk.connection.status()).jobs
        found = await self._live(desk) if self.filter.tab == filters.ACTIVE else await self._page(desk)
        ended = None
        if self.filter.tab == filters.ACTIVE and self.filter.before is None:
            ended = (await desk.connection.listed(replace(self.filter, before=None), ENDED_SHOWN, ENDED_STATES)).jobs
        return job_list(self.filter, found, ended, counts, now())

    async def _page(self, desk: Desk) -> Found:
        reply = await desk.connection.listed(self.filter, SHOWN)
        return Found(reply.jobs, reply.next, self.filter.before is None and reply.next is None)

    async def _live(self, desk: Desk) -> Found:
        """What runs comes first, however many have been queued since. It is asked for last: a job that starts meanwhile
        is found twice, and not for a moment nowhere.
        """
        waiting = await desk.connection.listed(self.filter, SHOWN, ("queued", "scheduled"))
        if self.filter.before is not None:
            return Found(waiting.jobs, waiting.next, False)
        running = await desk.connection.listed(self.filter, SHOWN, ("running", "cancelling"))
        started = {job.id for job in running.jobs}
        jobs = [*running.jobs, *(job for job in waiting.jobs if job.id not in started)]
        return Found(jobs, waiting.next, running.next is None and waiting.next is None)


def parts(pages: Pages, shown: JobList) -> list[Part]:
    found = [Part("tabs", pages.part("tabs", jobs=shown)), _rows(pages, "rows", shown.rows, shown.empty)]
    if shown.ended is not None:
        found.append(_rows(pages, "ended", shown.ended, "Nothing has ended yet."))
    return found


def _rows(pages: Pages, id: str, rows: list[Row], empty: str) -> Part:
    html = {f"job-{row.id}": pages.part("row", row=row) for row in rows}
    return Part(id, pages.part("rows", id=id, rows=list(html.values()), empty=empty), html)
