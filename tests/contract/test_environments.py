"""Environments that nothing uses go from every store; those that something uses stay."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from contract.deeds import cancel, ending, failing, item, saving, start, submitting
from contract.test_removal import removing
from contract.test_schedules import putting
from jobkeepd.errors import Corrupt
from jobkeepd.store.base import Store
from jobkeepd.store.removal_changes import ForgetEnvironments

pytestmark = pytest.mark.anyio


async def submit_with(store: Store, id: str, hash: str) -> None:
    change = submitting(id)
    (job,) = change.jobs
    await store.apply(replace(change, jobs=(replace(job, environment=hash),), environments=((hash, b"{}"),)))


async def left(store: Store, *hashes: str) -> set[str]:
    found = set()
    for hash in hashes:
        try:
            await store.environment(hash)
        except Corrupt:
            continue
        found.add(hash)
    return found


async def test_an_environment_goes_once_nothing_uses_it(store: Store) -> None:
    """Neither a job, nor one that came since all were looked at, nor a schedule; page by page."""
    await submit_with(store, "a1", "e1")
    await submit_with(store, "a2", "e2")
    schedule = putting()
    terms = replace(schedule.terms, environment="e3")
    await store.apply(replace(schedule, terms=terms, environments=(("e3", b"{}"),)))
    used, last = await store.environments_of(0, 1)
    assert used == {"e1"}
    assert last is not None
    assert await store.environments_of(last, 9) == ({"e2"}, last + 1)
    assert await store.environments_of(last + 1, 9) == (set(), None)
    await submit_with(store, "a3", "e4")
    await submit_with(store, "a4", "e0")
    await store.apply(replace(submitting("a5"), environments=(("e5", b"{}"),)))
    unused = ForgetEnvironments(is_used=lambda hash: hash == "e1", behind=last + 1, limit=4)
    assert await store.apply(unused) == "e3"
    assert await store.apply(replace(unused, after="e3")) is None
    assert await left(store, "e0", "e1", "e2", "e3", "e4", "e5") == {"e0", "e1", "e3", "e4"}


async def test_the_environment_of_a_removed_job_comes_back_with_the_next_that_has_it(store: Store) -> None:
    """It is told with each submit."""
    await submit_with(store, "a1", "e1")
    await store.apply(removing("a1"))
    assert await left(store, "e1") == {"e1"}  # the job lives
    everything = ForgetEnvironments(is_used=lambda hash: False, behind=99, limit=9)
    await store.apply(everything)
    assert await left(store, "e1") == set()
    await submit_with(store, "a2", "e1")
    assert await left(store, "e1") == {"e1"}


async def test_a_job_that_no_verb_runs_again_needs_its_secrets_no_more(store: Store) -> None:
    """One that failed, was cancelled, or has items that failed may be resumed, and needs them."""
    for id in ("a1", "a2", "a3", "a4", "a5"):
        await submit_with(store, id, f"e{id}")
    await store.apply(ending(await start(store, "a1")))
    await store.apply(failing(await start(store, "a2")))
    partly = await start(store, "a3")
    await store.apply(saving(partly, 1, item("x")))
    await store.apply(ending(partly))
    await cancel(store, "a4")

    used, last = await store.environments_of(0, 9)
    assert used == {"ea2", "ea3", "ea4", "ea5"}
    assert last is not None
    await store.apply(ForgetEnvironments(is_used=lambda hash: hash in used, behind=last, limit=9))
    assert await left(store, "ea1", "ea2", "ea3", "ea4", "ea5") == used
