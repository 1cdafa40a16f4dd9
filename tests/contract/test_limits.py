"""Limits per value of a label, and the order of lines, in every store."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from contract.deeds import ALICE, Heard, claiming, ending, new, submit
from jobkeepd.core.line import Rule
from jobkeepd.core.model import Job
from jobkeepd.store.base import Store
from jobkeepd.store.changes import MarkRunning, RequestStop, ResumeJob, RevokeClaim, SubmitJobs
from jobkeepd.store.queue_changes import UnblockLimited

pytestmark = pytest.mark.anyio

ONE = {"client": 1}
ACME = {"client": "acme"}
HOUR = 3600.0
TURNS = {"default": Rule(HOUR, "client")}


async def limited(store: Store, *ids: str, limits: dict[str, int] = ONE, **spec: Any) -> None:
    spec.setdefault("labels", ACME)
    jobs = tuple(new(id, **spec) for id in ids)
    await store.apply(SubmitJobs(jobs=jobs, by=ALICE, at=1.0, limits=limits))


async def claim(store: Store, id: str, limits: dict[str, int] = ONE) -> Job | None:
    return await store.apply(replace(claiming(id), limits=limits))


async def over(store: Store, job: Job) -> None:
    """Its run has begun and ended."""
    await store.apply(MarkRunning(run=job.ref, at=3.0))
    await store.apply(ending(job))


async def ready(store: Store) -> list[str]:
    return [job.id for job in await store.queued("default", 100)]


async def test_of_jobs_submitted_together_as_many_may_try_as_may_run(store: Store, heard: Heard) -> None:
    """The others wait, and take no place; those of another value, or without the label, are not concerned."""
    await limited(store, "a1", "a2", "a3", limits={"client": 2})
    await limited(store, "b1", labels={"client": "other"})
    await limited(store, "c1", labels={"team": "acme"})
    assert await ready(store) == ["a1", "a2", "b1", "c1"]
    waiting = await store.get("a3")
    assert (waiting.state, waiting.blocked, waiting.waits_on) == ("queued", "limit", "client=acme")


async def test_a_place_that_is_free_is_the_next_ones(store: Store, heard: Heard) -> None:
    """At the end of a run, in the same commit; in the order of the line, and only one at a time."""
    for id in ("a1", "a2", "a3"):
        await limited(store, id)
    first = await claim(store, "a1")
    assert first is not None
    assert await claim(store, "a2") is None
    assert await claim(store, "a3") is None
    assert await ready(store) == []
    await limited(store, "urgent", priority=5)
    await over(store, first)
    assert await ready(store) == ["urgent"]
    second = await claim(store, "urgent")
    assert second is not None
    assert (await store.get("a2")).blocked == "limit"
    await over(store, second)
    assert await ready(store) == ["a2"]
    assert heard.kinds("a2") == ["submitted", "blocked", "unblocked"]


async def test_the_first_of_each_queue_may_try(store: Store) -> None:
    """A queue that stands still must not keep the label's others from running."""
    await limited(store, "a0")
    running = await claim(store, "a0")
    assert running is not None
    await limited(store, "a1", queue="still")
    await limited(store, "a2", "a3")
    await over(store, running)
    assert await ready(store) == ["a2"]
    assert [job.id for job in await store.queued("still", 10)] == ["a1"]


async def _cancel(store: Store, job: str) -> None:
    await store.apply(RequestStop(job=job, stop="cancelled", by=ALICE, at=3.0))


async def _revoke(store: Store, job: str) -> None:
    claimed = await claim(store, job)
    assert claimed is not None
    await store.apply(RevokeClaim(run=claimed.ref))


LEAVE = {"cancel": _cancel, "revoke": _revoke}


@pytest.mark.parametrize("leave", list(LEAVE))
async def test_who_was_let_in_and_leaves_lets_the_next_one_in(store: Store, leave: str) -> None:
    """Else nobody would: no run would end."""
    await limited(store, "a0")
    running = await claim(store, "a0")
    assert running is not None
    await limited(store, "a1", "a2")
    await over(store, running)
    assert await ready(store) == ["a1"]
    await LEAVE[leave](store, "a1")
    assert "a2" in await ready(store)


async def test_a_higher_limit_lets_more_in_one_by_one_and_without_a_limit_all(store: Store) -> None:
    """After a change of the configuration: whoever is claimed lets in who has room beside him."""
    await limited(store, *(f"a{number}" for number in range(6)))
    running = await claim(store, "a0")
    assert running is not None
    await store.apply(UnblockLimited(at=3.0))
    three = {"client": 3}
    assert await claim(store, "a1", three) is not None
    assert await claim(store, "a2", three) is not None
    assert await ready(store) == []
    await store.apply(UnblockLimited(at=3.0))
    for number in range(3, 6):
        assert await ready(store) == [f"a{number}"]
        assert await claim(store, f"a{number}", {}) is not None


async def test_a_job_that_waits_for_a_lock_gives_its_place_to_the_next(store: Store) -> None:
    """And who waits for a limit the lock that it was let in for."""
    await submit(store, "holder", lock="l")
    assert await claim(store, "holder") is not None
    await limited(store, "a1", "a2")
    await limited(store, "a3", lock="l")
    await store.apply(UnblockLimited(at=2.0))
    running = await claim(store, "a1")
    assert running is not None
    assert await claim(store, "a2") is None
    await over(store, running)
    await limited(store, "a4", lock="l", limits={})
    assert (await store.get("a4")).blocked == "lock"
    assert await ready(store) == ["a2"]


async def test_clients_take_turns_and_each_job_keeps_its_date(store: Store) -> None:
    """Also across submits of one commit, and for one that is resumed: it joins the line anew."""
    jobs = tuple(new(f"a{number}", labels=ACME) for number in range(4))
    await store.apply(SubmitJobs(jobs=jobs, by=ALICE, at=100.0, rules=TURNS))
    for number in range(2):
        other = (new(f"b{number}", labels={"client": "b"}),)
        await store.apply(SubmitJobs(jobs=other, by=ALICE, at=101.0, rules=TURNS))
    await store.apply(SubmitJobs(jobs=(new("c0"),), by=ALICE, at=102.0, rules=TURNS))
    assert await ready(store) == ["a0", "b0", "c0", "a1", "b1", "a2", "a3"]
    await store.apply(RequestStop(job="a0", stop="cancelled", by=ALICE, at=103.0))
    await store.apply(ResumeJob(job="a0", by=ALICE, at=104.0, rules=TURNS))
    assert await ready(store) == ["b0", "c0", "a1", "b1", "a2", "a3", "a0"]
    assert await store.ahead(await store.get("a2")) == 4


async def test_a_queue_in_which_nobody_takes_turns_goes_by_priority_and_age(store: Store) -> None:
    """A point is worth an hour, unless its rule says otherwise."""
    quick = {"default": Rule(10.0, None)}
    for id, at, priority in (("old", 100.0, 0), ("young", 105.0, 1), ("younger", 120.0, 1)):
        job = (new(id, priority=priority, labels=ACME),)
        await store.apply(SubmitJobs(jobs=job, by=ALICE, at=at, rules=quick))
    assert await ready(store) == ["young", "old", "younger"]
