"""What retention asks of every store: the oldest that ended, and a journal that is whole from a seq on."""

from __future__ import annotations

import pytest
from msgspec import structs

from contract.deeds import ALICE, Heard, cancel, ending, item, saving, start, submit, submitting
from contract.test_removal import removing
from jobkeepd.core.retention import Ended
from jobkeepd.store.base import Store
from jobkeepd.store.changes import Note
from jobkeepd.store.removal_changes import ForgetEvents, ForgetRequests

pytestmark = pytest.mark.anyio

ALWAYS = float("-inf"), float("inf")


async def run(store: Store, id: str, at: float, queue: str = "default") -> None:
    await submit(store, id, queue=queue)
    await store.apply(ending(await start(store, id), at=at))


async def test_the_oldest_of_a_queue_come_first(store: Store) -> None:
    """By their ends, not by when they were submitted; of other queues, and of live ones, nothing is said."""
    await run(store, "a1", 30.0)
    await run(store, "a2", 10.0)
    await run(store, "b1", 5.0, queue="night")
    await run(store, "a3", 20.0)
    await submit(store, "a4", "a5")
    await start(store, "a5")
    everything = [Ended("a2", 10.0), Ended("a3", 20.0), Ended("a1", 30.0)]
    assert await store.ended("default", *ALWAYS, 9) == everything
    assert await store.ended("default", *ALWAYS, 2) == everything[:2]
    assert await store.ended("default", 20.0, 30.0, 9) == everything[1:2]
    assert await store.ended("night", *ALWAYS, 9) == [Ended("b1", 5.0)]


async def test_a_request_id_that_was_forgotten_is_a_new_one(store: Store) -> None:
    """A few at a time are looked at, and the young ones stay."""
    for number in range(5):
        asked = submitting(f"a{number}", at=float(number))
        await store.apply(structs.replace(asked, request=f"r{number}", digest="d"))
    behind: tuple[int, str] | None = (-1, "")
    looks = []
    while behind is not None:
        behind = await store.apply(ForgetRequests(since=3.0, limit=2, behind=behind))
        looks.append(behind)
    assert looks == [(ALICE.uid, "r1"), (ALICE.uid, "r3"), None]
    for number, created in enumerate([True, True, True, False, False]):
        again = structs.replace(submitting(f"b{number}", at=9.0), request=f"r{number}", digest="d")
        done = await store.apply(again)
        assert (done.created, done.ids[0][0]) == (created, "b" if created else "a")


async def test_a_job_says_how_much_hangs_on_it(store: Store) -> None:
    """Of a job with many failed items there go fewer beside it in one step."""
    await submit(store, "a1")
    job = await start(store, "a1")
    await store.apply(saving(job, 1, item("a"), item("b")))
    await store.apply(ending(await store.get("a1"), at=30.0))
    assert await store.ended("default", *ALWAYS, 9) == [Ended("a1", 30.0, 2)]


async def test_the_journal_is_whole_behind_what_was_forgotten(store: Store, heard: Heard) -> None:
    """The history of a job that is there is whole in any case; with the job goes what was kept for it."""
    await run(store, "a1", 9.0)
    await submit(store, "a2")
    for number in range(3):
        await store.apply(Note(kind="odd", at=float(number)))
    told = await store.entries(0, 99)
    await store.apply(removing("a1"))
    assert await store.first_event() == 1
    await store.apply(ForgetEvents(through=told[-2].seq))
    assert await store.first_event() == told[-1].seq
    left = await store.entries(0, 99)
    assert [(entry.kind, entry.job) for entry in left] == [("submitted", "a2"), ("odd", None), ("removed", "a1")]
    assert [entry.kind for entry in await store.history("a2")] == ["submitted"]
    await cancel(store, "a2")
    await store.apply(removing("a2"))
    left = await store.entries(0, 99)
    assert [entry.seq for entry in left] == list(range(told[-1].seq, await store.last_seq() + 1))
    assert (left[-1].kind, left[-1].job) == ("removed", "a2")
    assert heard.entries[-len(left) :] == left


async def test_what_is_forgotten_stays_so(store: Store) -> None:
    """Seqs go on rising, and to forget less changes nothing."""
    for number in range(5):
        await store.apply(Note(kind="odd", at=float(number)))
    for through in (4, 2):
        await store.apply(ForgetEvents(through=through))
        assert await store.first_event() == 5
        assert [entry.seq for entry in await store.entries(0, 99)] == [5]
    await store.apply(Note(kind="odd", at=9.0))
    assert [entry.seq for entry in await store.entries(4, 99)] == [5, 6]


async def test_a_job_of_the_same_commit_keeps_its_history(store: Store) -> None:
    """Its row may not be written yet."""
    store.send(Note(kind="odd", at=1.0))
    await submit(store, "a1")
    await store.apply(ForgetEvents(through=2))
    assert [entry.kind for entry in await store.history("a1")] == ["submitted"]
