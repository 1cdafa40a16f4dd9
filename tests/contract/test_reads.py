"""Lists, counts and the journal."""

from __future__ import annotations

import pytest

from contract.deeds import ALICE, Heard, claim, claiming, ending, failing, start, submit
from jobkeepd.errors import UnknownJob
from jobkeepd.store.base import JobFilter, Store
from jobkeepd.store.changes import Note

pytestmark = pytest.mark.anyio


async def _ids(store: Store, **where: object) -> str:
    return " ".join(job.id for job in await store.list(JobFilter(**where)))  # type: ignore[arg-type]


async def _some(store: Store) -> None:
    """d is running, e ended; f is alone in its queue."""
    await submit(store, "a", at=1.0, labels={"team": "x"})
    await submit(store, "b", at=2.0, labels={"team": "y", "env": "p"})
    await submit(store, "c", at=3.0, labels={"team": "x", "env": "p"})
    await submit(store, "d", at=4.0)
    await submit(store, "e", at=5.0, labels={"team": "x", "env": "p"})
    await submit(store, "f", at=6.0, queue="night")
    await start(store, "d")
    await store.apply(ending(await start(store, "e"), at=100.0))


async def test_many_jobs_are_found_at_once_in_the_order_asked_for(store: Store) -> None:
    """Ids and prefixes, in memory or not; one that is not there is named."""
    await submit(store, "aa1", "ab2", "cc3")
    await start(store, "ab2")
    assert [job.id for job in await store.get_all(["cc3", "ab", "aa1"])] == ["cc3", "ab2", "aa1"]
    with pytest.raises(UnknownJob, match="zz"):
        await store.get_all(["aa1", "zz"])


async def test_a_list_shows_the_newest_first_a_page_at_a_time(store: Store) -> None:
    """`before` takes the seq that the last page ended with."""
    await _some(store)
    assert await _ids(store) == "f e d c b a"
    assert await _ids(store, limit=2) == "f e"
    assert await _ids(store, limit=2, before=5) == "d c"
    assert await _ids(store, before=1) == ""


async def test_a_list_is_narrowed_by_all_of_its_conditions(store: Store) -> None:
    """State, queue, labels and time in any combination."""
    await _some(store)
    assert await _ids(store, states=("queued",)) == "f c b a"
    assert await _ids(store, states=("queued", "running"), limit=2) == "f d"
    assert await _ids(store, states=("failed",)) == ""
    assert await _ids(store, queue="night") == "f"
    assert await _ids(store, queue="default", states=("queued",), before=3) == "b a"
    assert await _ids(store, queue="nowhere") == ""
    assert await _ids(store, labels=(("team", "x"),)) == "e c a"
    assert await _ids(store, labels=(("team", "x"), ("env", "p"))) == "e c"
    assert await _ids(store, labels=(("team", "x"),), states=("queued",), before=5, limit=1) == "c"
    assert await _ids(store, labels=(("team", "x"),), queue="night") == ""
    assert await _ids(store, since=50.0) == "e"
    assert await _ids(store, since=4.0) == "f e d"
    assert await _ids(store, since=4.0, before=6) == "e d"
    assert await _ids(store, since=4.0, states=("running", "queued")) == "f d"
    assert await _ids(store, since=4.0, labels=(("team", "x"),)) == "e"
    assert await _ids(store, states=()) == ""


async def test_since_is_exact_when_the_clock_was_set_back(store: Store) -> None:
    """Times do not rise with seq then: neither what is old nor what is new is mistaken."""
    for id, at in (("a", 10.0), ("b", 50.0), ("c", 20.0), ("d", 30.0), ("e", 60.0), ("f", 5.0)):
        await submit(store, id, at=at, labels={"x": "y"})
    await store.apply(ending(await start(store, "a"), at=55.0))
    await store.apply(failing(await start(store, "d"), at=31.0))
    for where in ({}, {"queue": "default"}, {"labels": (("x", "y"),)}):
        assert await _ids(store, since=20.0, **where) == "e d c b a"
        assert await _ids(store, since=31.0, **where) == "e d b a"
        assert await _ids(store, since=31.5, before=5, **where) == "b a"
        assert await _ids(store, since=50.0, limit=2, **where) == "e b"
        assert await _ids(store, since=56.0, **where) == "e"
        assert await _ids(store, since=61.0, **where) == ""
    assert await _ids(store, since=30.0, states=("queued", "failed")) == "e d b"


async def test_a_list_of_waiting_jobs_is_by_age_whatever_their_priority(store: Store) -> None:
    """Claimed ones are queued still; another queue is another list."""
    for number, priority in enumerate((0, 5, -5, 0, 5, 7)):
        await submit(store, f"a{number}", priority=priority)
    await submit(store, "b0", queue="other", priority=3)
    await claim(store, "a1")
    assert await _ids(store, states=("queued",), queue="default") == "a5 a4 a3 a2 a1 a0"
    assert await _ids(store, states=("queued",), limit=3, before=6) == "a4 a3 a2"


async def test_a_scheduled_job_is_listed_in_its_queue(store: Store) -> None:
    """By seq, not by when it is due."""
    await submit(store, "a", "b", "c")
    for id, due in (("c", 12.0), ("a", 15.0), ("b", 13.0)):
        await store.apply(failing(await start(store, id), state="scheduled", due_at=due))
    assert await _ids(store, states=("scheduled",)) == "c b a"
    assert await _ids(store, states=("scheduled",), before=3, since=1.0) == "b a"


async def test_a_big_spec_comes_back_whole(store: Store) -> None:
    """However it is kept."""
    for size in (10, 1000, 1024, 5000):
        await submit(store, f"a{size}", arguments={"text": "é" * size}, function="m:f", command=None)
        assert (await store.get(f"a{size}")).spec.arguments == {"text": "é" * size}
    assert len((await store.list(JobFilter()))[0].spec.arguments["text"]) == 5000


async def test_queued_jobs_come_by_priority_then_age(store: Store) -> None:
    """Those that are excluded or claimed do not take places."""
    await submit(store, "a", "b")
    await submit(store, "c", priority=5)
    await submit(store, "d", priority=-5)
    await submit(store, "e", queue="other")
    assert [job.id for job in await store.queued("default", 10)] == ["c", "a", "b", "d"]
    assert [job.id for job in await store.queued("default", 2, ["c", "e"])] == ["a", "b"]
    await claim(store, "a")
    assert [job.id for job in await store.queued("default", 2)] == ["c", "b"]


async def test_queued_jobs_that_are_large_come_in_smaller_numbers(store: Store) -> None:
    """The last one is that with which they weigh enough; those that are left out weigh nothing."""
    for id in "abc":
        await submit(store, id, function="m:f", command=None, arguments={"text": "x" * 1000})
    for heaviest, found in ((1, "a"), (1500, "ab"), (10_000, "abc")):
        assert [job.id for job in await store.queued("default", 10, heaviest=heaviest)] == list(found)
    assert [job.id for job in await store.queued("default", 10, ["a", "b"], heaviest=1)] == ["c"]


async def test_counts_follow_every_change(store: Store) -> None:
    """Empty lanes are left out."""
    await _some(store)
    assert await store.counts() == {
        ("default", "queued"): 3,
        ("default", "running"): 1,
        ("default", "succeeded"): 1,
        ("night", "queued"): 1,
    }


async def test_the_journal_is_told_in_order_and_without_gaps(store: Store, heard: Heard) -> None:
    """What listeners hear is what is stored; refused changes leave no number out."""
    await _some(store)
    with pytest.raises(UnknownJob):
        await store.apply(claiming("zz"))
    await store.apply(Note(kind="daemon_started", at=7.0, by=ALICE, data={"version": "1", "deep": {"x": [1]}}))
    assert [entry.seq for entry in heard.entries] == list(range(1, len(heard.entries) + 1))
    assert await store.entries(0, 1000) == heard.entries
    assert await store.entries(3, 2) == heard.entries[3:5]
    assert await store.last_seq() == len(heard.entries)
    assert await store.history("e") == [entry for entry in heard.entries if entry.job == "e"]


async def test_what_is_in_memory_is_what_is_stored(store: Store) -> None:
    """A job with an open run is always there; nobody waits for it."""
    await submit(store, "a")
    await claim(store, "a")
    cached = store.cached("a")
    assert cached is not None
    assert cached == (await store.open_runs())[0]
    assert store.cached("zz") is None


async def test_reads_of_no_job_are_unknown_jobs(store: Store) -> None:
    """Also those that would otherwise be empty."""
    for read in (store.runs, store.checkpoint, store.result, store.history):
        with pytest.raises(UnknownJob):
            await read("zz")
    with pytest.raises(UnknownJob):
        await store.failed_items("zz", 0, 1)


async def test_a_failed_job_keeps_its_error(store: Store) -> None:
    """Type, message and traceback."""
    await submit(store, "a")
    await store.apply(failing(await start(store, "a")))
    job = await store.get("a")
    assert job.error is not None
    assert (job.outcome, job.reason, job.error.type) == ("failed", "broke", "ValueError")
