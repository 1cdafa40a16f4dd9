"""Ended jobs are removed from every store, whole; live ones never."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from contract.deeds import ALICE, Heard, at, cancel, ending, failing, item, saving, start, submit
from jobkeepd.errors import StaleToken, UnknownJob
from jobkeepd.store.base import JobFilter, Store
from jobkeepd.store.changes import Note, ResumeJob, SaveProgress, SaveStep
from jobkeepd.store.removal_changes import ForgetLeftovers, Leftover, Removed, RemoveJobs

pytestmark = pytest.mark.anyio


def removing(*ids: str, **facts: Any) -> RemoveJobs:
    return RemoveJobs(**{"jobs": ids, "by": ALICE, "at": 20.0, **facts})


async def work(store: Store, id: str) -> None:
    """A job that has left something in every place where a job can."""
    await submit(store, id, labels={"team": "x"}, key="k", env={"BIG": "n" * 2000}, queue_timeout_s=90.0)
    job = await start(store, id)
    await store.apply(saving(job, 1, item("a"), item("b")))
    await store.apply(SaveStep(run=job.ref, ordinal=0, name="s", result=Raw(b"1"), at=4.0))
    await store.apply(failing(await store.get(id)))
    await store.apply(ResumeJob(job=id, by=ALICE, at=10.0, now=at(1.0)))
    await store.apply(ending(await start(store, id), result=Raw(b"7")))


async def test_an_ended_job_goes_with_all_that_hangs_on_it(store: Store, heard: Heard) -> None:
    """Nothing finds it any more; the journal says who removed it and why, and keeps what it has told before."""
    await submit(store, "a0")
    await work(store, "a1")
    before = [entry.seq for entry in heard.entries]
    removed = await store.apply(removing("a1", reason="old"))
    assert removed == Removed(("a1",), (), (Leftover("a1", 2),))
    for read in (store.get, store.history, store.runs, store.checkpoint, store.steps, store.result):
        with pytest.raises(UnknownJob):
            await read("a1")
    assert store.cached("a1") is None
    assert [job.id for job in await store.list(JobFilter())] == ["a0"]
    assert await store.list(JobFilter(labels=(("team", "x"),))) == []
    assert await store.counts() == {("default", "queued"): 1}
    last = heard.entries[-1]
    assert (last.kind, last.job, last.by, last.data, last.at) == ("removed", "a1", ALICE, {"reason": "old"}, 20.0)
    assert [entry.seq for entry in await store.entries(0, 999)] == [*before, last.seq]
    await submit(store, "a2", key="k")  # it is free, as it was before


async def test_a_live_job_is_never_removed(store: Store, heard: Heard) -> None:
    """Whatever its state; those beside it go, and what is not there is no error: to ask again does no harm."""
    await submit(store, "a1", "a2", "a3", "a4")
    await submit(store, "a5", delay_s=60.0)
    await start(store, "a2")
    await start(store, "a3")
    await cancel(store, "a3")
    await cancel(store, "a4")
    everything = removing("a1", "a2", "a3", "a4", "a5", "a4", "zz")
    for gone in (("a4",), ()):
        removed = await store.apply(everything)
        assert removed.ids == gone
        assert [job.id for job in removed.live] == ["a1", "a2", "a3", "a5"]
    assert removed.leftovers == ()
    assert [heard.kinds(id).count("removed") for id in ("a1", "a2", "a3", "a4", "a5")] == [0, 0, 0, 1, 0]


async def test_its_output_stays_on_record_until_it_is_deleted(store: Store) -> None:
    """Of jobs that have run; a page of them at a time."""
    await submit(store, "a0")
    await cancel(store, "a0")
    for id in ("a1", "a2"):
        await submit(store, id)
        await store.apply(ending(await start(store, id)))
    await store.apply(removing("a0", "a2", "a1"))
    assert await store.leftovers(9) == [Leftover("a1", 1), Leftover("a2", 1)]
    assert await store.leftovers(1) == [Leftover("a1", 1)]
    await store.apply(ForgetLeftovers(jobs=("a1", "zz")))
    assert await store.leftovers(9) == [Leftover("a2", 1)]


async def test_children_outlive_their_parents(store: Store) -> None:
    """Those that were let go run, those that failed by it say so, and can be resumed."""
    await submit(store, "p1", "p2")
    await submit(store, "c1", after=["p1"])
    await submit(store, "c2", after=["p1", "p2"])
    await store.apply(ending(await start(store, "p1")))
    await store.apply(failing(await start(store, "p2")))
    assert (await store.apply(removing("p1", "p2"))).ids == ("p1", "p2")
    assert await store.open_parents("c1", 9) == (0, [])
    assert [job.id for job in await store.queued("default", 9)] == ["c1"]
    assert (await store.get("c2")).reason == "job p2, after which it was to run, has failed"
    await store.apply(ResumeJob(job="c2", by=ALICE, at=21.0))
    assert [job.id for job in await store.queued("default", 9)] == ["c1", "c2"]
    with pytest.raises(UnknownJob):
        await submit(store, "c3", after=["p1"])


async def test_what_is_said_of_a_removed_job_harms_nobody(store: Store, heard: Heard) -> None:
    """A run that reports is stale; a signal that was sent stays on record, by name."""
    await submit(store, "a1")
    job = await start(store, "a1")
    await store.apply(ending(job))
    await store.apply(removing("a1"))
    late = SaveProgress(run=job.ref, done=1, total=None, note=None, tallies=None, at=21.0)
    with pytest.raises(StaleToken):
        await store.apply(late)
    store.send(late)
    store.send(Note(kind="signalled", at=22.0, job="a1", run=1, data={"pid": 7}))
    await submit(store, "a2")
    assert [entry.data for entry in heard.entries if entry.kind == "signalled"] == [{"pid": 7, "job": "a1"}]
    assert heard.failures == []
