"""Retention: old and surplus jobs go in small steps, live ones never; the journal goes after them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from contract.deeds import Heard, cancel, ending, start, submit, submitting
from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeepd.core.model import Job
from jobkeepd.store.base import JobFilter
from jobkeepd.store.changes import Change, Note
from jobkeepd.store.memory import MemoryStore
from jobkeepd.store.removal_changes import Leftover, RemoveJobs
from jobkeepd.supervisor.removal import Removal
from jobkeepd.supervisor.retention import STEP, Retention
from jobkeepd.supervisor.settings import QueueSettings, RetentionSettings
from jobkeepd.supervisor.tidying import Tidying

pytestmark = pytest.mark.anyio

DAY = 86400.0


class Host:
    """A store, a date, and whose output was deleted."""

    def __init__(self) -> None:
        self.heard = Heard()
        self.store = MemoryStore(self.heard.on_entries, self.heard.on_failure)
        self.date = 100 * DAY
        self.deleted: list[str] = []
        self.steps: list[Change] = []

    def now(self) -> float:
        return self.date

    async def discard(self, runs: Mapping[str, int]) -> tuple[str, ...]:
        self.deleted += runs
        return tuple(runs)

    def retention(self, queues: dict[str, QueueSettings] | None = None, **given: Any) -> Retention:
        everything = RetentionSettings(**{"keep_for": 0.0, "keep_count": 0, "keep_events": 0, **given})
        workshop: Any = SimpleNamespace(store=self.store, clock=self, discard=self.discard, retention=everything)
        dispatcher: Any = SimpleNamespace(leaving=SimpleNamespace(left=self._left))
        return Retention(Removal(dispatcher, workshop), workshop, queues or {})

    async def _left(self, job: str) -> None:
        await anyio.lowlevel.checkpoint()

    async def run(self, id: str, days: float, **spec: Any) -> None:
        """A job that ended so many days ago."""
        await submit(self.store, id, **spec)
        await self.store.apply(ending(await start(self.store, id), at=self.date - days * DAY))

    async def jobs(self) -> dict[str, Job]:
        return {job.id: job for job in await self.store.list(JobFilter(limit=9999))}


@pytest.fixture
def host() -> Host:
    return Host()


async def passed(pruning: Retention) -> list[int]:
    """A whole pass, step by step."""
    steps = []
    while gone := await pruning.prune_once():
        steps.append(gone)
    return steps


async def test_what_is_older_than_it_is_kept_goes(host: Host) -> None:
    """Counted from its end, with its output; a queue may say otherwise."""
    await host.run("a1", 2.0)
    await host.run("a2", 0.5)
    await host.run("b1", 2.0, queue="night")
    await host.run("b2", 4.0, queue="night")
    await submit(host.store, "a3")
    assert await passed(host.retention({"night": QueueSettings(limit=1, keep_for=3 * DAY)}, keep_for=DAY)) == [1, 1]
    assert set(await host.jobs()) == {"a2", "a3", "b1"}
    assert set(host.deleted) == {"a1", "b2"}
    assert [(entry.by, entry.data) for entry in host.heard.entries if entry.kind == "removed"] == [
        (None, {"reason": "retention"})
    ] * 2
    host.date += DAY
    await passed(host.retention())  # for ever
    assert set(await host.jobs()) == {"a2", "a3", "b1"}


async def test_too_many_go_in_small_steps(host: Host) -> None:
    """A commit removes a few, so that others come between; the latest stay, though others' are older."""
    for number in range(30):
        await host.run(f"b{number}", 50.0, queue="night")
    for number in range(2 * STEP + 30):
        await host.run(f"a{number}", 40.0 - number / 10)
    general = {"default": QueueSettings(limit=2, keep_count=10)}
    assert await passed(host.retention(general)) == [STEP, STEP, 20]
    left = await host.jobs()
    assert {id for id in left if id.startswith("a")} == {f"a{number}" for number in range(2 * STEP + 20, 2 * STEP + 30)}
    assert len(left) == 40


DEEDS = st.sampled_from(["run", "run", "run", "cancel", "open", "queued", "scheduled", "after"])


@settings(max_examples=60, deadline=None)
@given(
    plan=st.lists(st.tuples(DEEDS, st.integers(0, 20), st.sampled_from(["default", "night"])), max_size=15),
    days=st.sampled_from([0, 3, 10]),
    count=st.integers(0, 4),
)
def test_whatever_there_is_what_lives_stays(plan: list[tuple[str, int, str]], days: int, count: int) -> None:
    """And so do the latest of each queue as long as they are young. Nobody waits for somebody who is gone."""

    async def story() -> None:
        host = Host()
        for number, (deed, ago, queue) in enumerate(plan):
            id = f"j{number:02}"
            if deed == "run":
                await host.run(id, ago, queue=queue)
                continue
            after = [f"j{number - 1:02}"] if deed == "after" and number else []
            delay = 9.0 if deed == "scheduled" else None
            await submit(host.store, id, queue=queue, delay_s=delay, after=after, after_any_end=True)
            if deed == "open":
                await start(host.store, id)
            elif deed == "cancel":
                await cancel(host.store, id)
        before = await host.jobs()
        await passed(host.retention(keep_for=days * DAY, keep_count=count))
        left = await host.jobs()
        assert {id for id, job in before.items() if job.state not in ENDED_STATES} <= left.keys()
        for queue in ("default", "night"):
            ended = [job for job in before.values() if job.state in ENDED_STATES and job.spec.queue == queue]
            ended.sort(key=lambda job: (job.ended_at or 0.0, job.seq))
            latest = ended[-count:] if count else ended
            wanted = {job.id for job in latest if not days or (job.ended_at or 0.0) >= host.date - days * DAY}
            assert {job.id for job in ended} & left.keys() == wanted
        for id in left:
            waits, parents = await host.store.open_parents(id, 99)
            assert waits == len(parents)
        assert await host.store.leftovers(9) == []
        assert host.heard.failures == []

    with asyncio.Runner() as runner:
        runner.run(story())


async def test_the_journal_goes_but_for_the_newest_and_for_jobs_that_are_kept(host: Host) -> None:
    """By count and by age; a job's history goes with it."""
    await host.run("a1", 0.0)
    history = await host.store.history("a1")
    for _ in range(3000):
        host.store.send(Note(kind="odd", at=host.date))
    last = await host.store.last_seq()
    assert await passed(host.retention()) == []
    steps = await passed(host.retention(keep_events=2000))
    assert max(steps) <= 500
    assert await host.store.first_event() == last - 2000 + 1
    host.date += 2 * DAY
    assert await passed(host.retention(keep_for=7 * DAY)) == []
    forever = {"default": QueueSettings(limit=1, keep_for=0.0)}
    await passed(host.retention(forever, keep_for=DAY))
    assert await host.store.first_event() == last - 1000 + 1
    assert await host.store.history("a1") == history
    await passed(host.retention(keep_for=DAY))
    assert {entry.seq for entry in await host.store.entries(0, 9999)} == set(range(last - 1000 + 2, last + 2))


async def test_request_ids_go_as_late_as_jobs(host: Host) -> None:
    """Once a day all of them are looked at, in small steps."""
    for number in range(1200):
        asked = submitting(f"j{number:04}", at=host.date - (40 if number % 2 else 0) * DAY)
        await host.store.apply(replace(asked, request=f"r{number:04}", digest="d"))
    pruning = host.retention(keep_for=30 * DAY)
    assert await passed(pruning) == [500, 500]
    assert len(host.store._ledger.requests) == 600
    host.date += 31 * DAY
    assert await passed(host.retention()) == []
    await passed(pruning)
    assert len(host.store._ledger.requests) == 0


async def test_output_that_cannot_be_deleted_holds_nothing_up(host: Host) -> None:
    """The next daemon tries again."""
    await host.run("a1", 9.0)
    await host.run("a2", 8.0)

    async def discard(runs: Mapping[str, int]) -> tuple[str, ...]:
        return ()

    host.discard = discard  # type: ignore[method-assign]
    assert await passed(host.retention(keep_for=DAY)) == [2]
    assert await host.store.leftovers(9) == [Leftover("a1", 1), Leftover("a2", 1)]


async def test_a_job_that_is_resumed_meanwhile_stays(host: Host) -> None:
    """It is live by then, and the pass goes on without it."""
    await host.run("a1", 9.0)
    pruning = host.retention(keep_for=DAY)
    apply = host.store.apply

    async def late(change: Change) -> Any:
        if isinstance(change, RemoveJobs):
            host.store._ledger.jobs["a1"] = resumed
        return await apply(change)

    resumed = replace(await host.store.get("a1"), state="queued")
    host.store.apply = late  # type: ignore[method-assign]
    with anyio.fail_after(60):
        assert await passed(pruning) == []
    assert set(await host.jobs()) == {"a1"}


async def test_environments_of_no_job_and_old_files_go_once_a_day(host: Host) -> None:
    """In small steps; for ever if so configured."""
    cleared: list[float] = []

    async def clear(before: float, needed: set[str]) -> None:
        cleared.append(before)

    workshop: Any = SimpleNamespace(
        store=host.store, clock=host, retention=RetentionSettings(keep_for=DAY),
        clear_old=clear,
    )  # fmt: skip
    tidying = Tidying(workshop)
    for number in range(3000):
        change = submitting(f"j{number:04}")
        job = replace(change.jobs[0], environment=f"e{number:04}")
        await host.store.apply(replace(change, jobs=(job,), environments=((f"e{number:04}", b"{}"),)))
    for number in range(500):
        del host.store._ledger.jobs[f"j{number:04}"]
    steps = []
    while seen := await tidying.tidy_once():
        steps.append(seen)
    assert steps == [2000, 2000, *[200] * 15]
    assert 2500 <= len(host.store._ledger.environments) <= 2505  # it may be wrong about one in thousands
    assert cleared == [host.date - DAY]
    assert await tidying.tidy_once() == 0
    assert len(cleared) == 1
