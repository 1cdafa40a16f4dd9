"""One verb for a page of jobs: as for each alone, in one commit; between two pages it is everybody's turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import anyio

from jobkeepd.core.bulk import Accepted, Answer, Cancel, Refused, Remove, Restart, Resume, Verb, verdict
from jobkeepd.core.model import Job, Peer
from jobkeepd.errors import IllegalTransition, KeyTaken, UnknownJob
from jobkeepd.store.removal_changes import Removed


class Stop(Protocol):
    async def __call__(self, id: str, stop: str, by: Peer | None, force: bool, reason: str | None) -> Job: ...


class ResumeOne(Protocol):
    async def __call__(self, id: str, by: Peer, failed_items: bool, reason: str | None) -> Job: ...


class RemoveSome(Protocol):
    async def __call__(self, ids: Sequence[str], by: Peer | None, reason: str | None) -> Removed: ...


class Bulk:
    """By the verbs for one job. Keep `jobs` few: they share a transaction, and nobody else's fits in between."""

    def __init__(self, stop: Stop, resume: ResumeOne, remove: RemoveSome) -> None:
        self._stop = stop
        self._resume = resume
        self._remove_some = remove

    async def act(
        self, verb: Verb, jobs: Sequence[Job], by: Peer, reason: str | None, as_of: float | None
    ) -> list[Answer]:
        """An answer for each, in their order; what has been answered is durable. Of those that have ceased to match
        since they were read nothing is said: they have ended, or somebody else was faster.

        Raises what is wrong with the daemon rather than with a job, when it has tried all of them.
        """
        answers: dict[str, Answer] = {}
        wanted = []
        for job in jobs:
            may = verdict(verb, job, as_of)
            if may.allowed:
                wanted.append(job)
            else:
                answers[job.id] = Refused(job.id, may.reason or "")
        if isinstance(verb, Remove):
            answers.update(await self._remove(wanted, by, reason))
        else:
            answers.update(await self._each(verb, wanted, by, reason))
        return [answers[job.id] for job in jobs if job.id in answers]

    async def _each(
        self, verb: Cancel | Resume | Restart, jobs: Sequence[Job], by: Peer, reason: str | None
    ) -> dict[str, Answer]:
        """At once: so the store puts them into one transaction."""
        answers: dict[str, Answer] = {}
        failures: list[Exception] = []

        async def one(job: Job) -> None:
            try:
                answers[job.id] = await self._one(verb, job, by, reason)
            except (IllegalTransition, UnknownJob):
                pass
            except Exception as error:  # noqa: BLE001 - it must not cancel the others; it is raised below
                failures.append(error)

        async with anyio.create_task_group() as group:
            for job in jobs:
                group.start_soon(one, job, name=f"bulk {job.id}")
        if failures:
            raise failures[0]
        return answers

    async def _one(self, verb: Cancel | Resume | Restart, job: Job, by: Peer, reason: str | None) -> Answer:
        try:
            match verb:
                case Cancel(force):
                    became = await self._stop(job.id, "cancelled", by, force, reason)
                case Restart(from_start):
                    stop = "restart_from_start" if from_start else "restart"
                    became = await self._stop(job.id, stop, by, False, reason)
                case Resume(failed_items):
                    became = await self._resume(job.id, by, failed_items, reason)
        except KeyTaken:
            return Refused(job.id, "another live job has its key")
        return Accepted(job.id, became.state)

    async def _remove(self, jobs: Sequence[Job], by: Peer, reason: str | None) -> dict[str, Answer]:
        removed = await self._remove_some([job.id for job in jobs], by, reason)
        return {id: Accepted(id, "removed") for id in removed.ids}


def dry_run(verb: Verb, jobs: Sequence[Job], as_of: float | None) -> list[Answer]:
    """What `act` would answer now, but for the keys of others. Accepted ones keep their state."""
    found: list[Answer] = []
    for job in jobs:
        may = verdict(verb, job, as_of)
        found.append(Accepted(job.id, job.state) if may.allowed else Refused(job.id, may.reason or ""))
    return found
