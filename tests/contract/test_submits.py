"""Submitting: all or none, once per key, once per request."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from contract.deeds import ALICE, Heard, cancel, ending, new, start, submit, submitting
from jobkeepd.core.model import Peer
from jobkeepd.core.quota import LimitReached
from jobkeepd.core.secrets import Kept
from jobkeepd.errors import AmbiguousJob, KeyTaken, RequestMismatch, UnknownJob
from jobkeepd.store.base import JobFilter, Store
from jobkeepd.store.changes import SubmitJobs, Submitted

pytestmark = pytest.mark.anyio


async def test_a_submitted_job_is_queued_and_looks_as_it_was_asked_for(store: Store) -> None:
    """Every field of the spec comes back."""
    await submit(store, "a1", at=5.0, name="tidy", labels={"team": "x"}, key="k", priority=3, env={"A": "b"})
    job = await store.get("a1")
    assert (job.id, job.state, job.owner, job.created_at, job.seq) == ("a1", "queued", ALICE.uid, 5.0, 1)
    assert job.spec == new("a1", name="tidy", labels={"team": "x"}, key="k", priority=3, env={"A": "b"}).spec
    assert (job.run, job.fence, job.attempts, job.checkpoint_seq) == (None, 0, 0, 0)


async def test_many_jobs_are_submitted_together_in_their_order(store: Store, heard: Heard) -> None:
    """One change, one seq after another."""
    reply = await submit(store, "a1", "a2", "a3")
    assert reply == Submitted(("a1", "a2", "a3"), "queued", True)
    assert [(await store.get(id)).seq for id in reply.ids] == [1, 2, 3]
    assert [entry.kind for entry in heard.entries] == ["submitted"] * 3


async def test_a_key_that_a_live_job_has_is_refused_and_nothing_is_inserted(store: Store) -> None:
    """KeyTaken says which job has it."""
    await submit(store, "a1", key="k")
    with pytest.raises(KeyTaken) as caught:
        await store.apply(SubmitJobs(jobs=(new("a2"), new("a3", key="k")), by=ALICE, at=2.0))
    assert (caught.value.key, caught.value.job, caught.value.state) == ("k", "a1", "queued")
    assert [job.id for job in await store.list(JobFilter())] == ["a1"]


async def test_two_jobs_of_one_submit_cannot_have_the_same_key(store: Store) -> None:
    """The submit conflicts with itself."""
    with pytest.raises(KeyTaken):
        await submit(store, "a1", "a2", key="k")
    assert await store.list(JobFilter()) == []


async def test_a_conflict_answers_with_the_live_job_where_that_was_asked_for(store: Store) -> None:
    """on_conflict=return gives the job that is there, in its present state."""
    await submit(store, "a1", key="k")
    await start(store, "a1")
    reply = await store.apply(replace(submitting("a2", key="k"), on_conflict="return"))
    assert reply == Submitted(("a1",), "running", False)


async def test_the_key_of_an_ended_job_is_free_again(store: Store) -> None:
    """Only live jobs hold keys."""
    await submit(store, "a1", key="k")
    await store.apply(ending(await start(store, "a1")))
    assert (await submit(store, "a2", key="k")).created


async def test_of_many_submits_with_one_key_at_once_one_makes_a_job(store: Store) -> None:
    """The others learn that it is taken."""
    taken = 0

    async def one(number: int) -> None:
        nonlocal taken
        try:
            await submit(store, f"a{number}", key="k")
        except KeyTaken:
            taken += 1

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(one, number)
    assert taken == 19
    assert len(await store.list(JobFilter())) == 1


async def test_the_same_request_gives_the_same_answer(store: Store) -> None:
    """A repeated request makes no second job, whatever ids its sender drew."""
    first = await store.apply(replace(submitting("a1"), request="r1", digest="d"))
    again = await store.apply(replace(submitting("a2"), request="r1", digest="d"))
    assert (first.created, again) == (True, Submitted(("a1",), "queued", False))
    assert len(await store.list(JobFilter())) == 1


async def test_a_request_id_used_for_something_else_is_refused(store: Store) -> None:
    """Another digest under the same id is a mistake of its sender; another uid has ids of its own."""
    await store.apply(replace(submitting("a1"), request="r1", digest="d"))
    with pytest.raises(RequestMismatch):
        await store.apply(replace(submitting("a2"), request="r1", digest="other"))
    bob = replace(ALICE, uid=1001)
    assert (await store.apply(replace(submitting("a3"), request="r1", digest="other", by=bob))).created


async def test_a_refused_request_is_not_remembered(store: Store) -> None:
    """Once the key is free, the same request is accepted."""
    await submit(store, "a1", key="k")
    request = replace(submitting("a2", key="k"), request="r1", digest="d")
    with pytest.raises(KeyTaken):
        await store.apply(request)
    await store.apply(ending(await start(store, "a1")))
    assert (await store.apply(request)).created


async def test_a_job_is_found_by_a_unique_prefix_and_an_exact_id_wins(store: Store) -> None:
    """a is the id of one job and the beginning of others."""
    await submit(store, "ab1", "ab2", "ac", "a")
    assert (await store.get("ac")).id == "ac"
    assert (await store.get("ab2")).id == "ab2"
    assert (await store.get("a")).id == "a"
    with pytest.raises(AmbiguousJob) as caught:
        await store.get("ab")
    assert caught.value.matches == ("ab1", "ab2")
    for nobody in ("b", "ab12", "a%", "%"):
        with pytest.raises(UnknownJob):
            await store.get(nobody)


async def test_an_ambiguous_prefix_names_at_most_ten_jobs(store: Store) -> None:
    """Eleven matches are as bad as a million."""
    await submit(store, *(f"x{number:02}" for number in range(12)))
    with pytest.raises(AmbiguousJob) as caught:
        await store.get("x")
    assert len(caught.value.matches) == 10


async def test_environments_are_kept_once_by_their_hash(store: Store) -> None:
    """The second copy is not written."""
    first = replace(submitting("a1"), environments=(("h", b'{"A":"1"}'),))
    await store.apply(first)
    await store.apply(replace(submitting("a2"), environments=(("h", b'{"A":"2"}'),)))
    assert await store.environment("h") == Kept({"A": "1"})


async def test_a_user_has_no_more_jobs_waiting_than_allowed(store: Store) -> None:
    """Started and ended ones do not count, nor do those of others; a batch fits or is refused whole; an answer that
    makes no job is given in any case.
    """

    def more(*ids: str, by: Peer = ALICE, **spec: Any) -> SubmitJobs:
        return replace(submitting(*ids, **spec), by=by, most_waiting=2)

    await store.apply(more("a1", key="k"))
    with pytest.raises(LimitReached, match="has 1 jobs that wait"):
        await store.apply(more("a2", "a3"))
    await store.apply(more("a4", delay_s=60.0))
    await store.apply(more("b1", by=Peer(7, 7, 7)))
    with pytest.raises(LimitReached, match="has 2 jobs that wait"):
        await store.apply(more("a5"))
    assert (await store.apply(replace(more("a6", key="k"), on_conflict="return"))).ids == ("a1",)
    await start(store, "a1")
    await store.apply(more("a7"))
    with pytest.raises(LimitReached):
        await store.apply(more("a8"))
    await cancel(store, "a4")
    assert (await store.apply(more("a9"))).created
