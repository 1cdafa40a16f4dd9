"""What the store refuses and what it still records when its disk is full."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Raw
from msgspec.structs import replace

from contract.deeds import ALICE, Heard, acquiring, at, claim, ending, new, saving, start, submit, submitting
from crash.disks import ImageDisk
from jobkeepd.core.model import Job
from jobkeepd.errors import RequestMismatch, StorageFull
from jobkeepd.store.ballast import SIZE, Ballast
from jobkeepd.store.changes import MarkRunning, RequestStop, ResumeJob
from jobkeepd.store.lock_changes import ReleaseLock, RenewLocks
from jobkeepd.store.sqlite import SqliteStore
from store.trouble import tidied, transactions_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.getuid() != 0:
        pytest.skip("mounts a small file system, which takes root")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40M", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("this container may not mount")
    yield disk
    subprocess.run(["umount", disk], check=True)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


async def test_on_a_full_disk_submits_are_refused_and_ends_recorded(small_disk: Path, heard: Heard) -> None:
    """The ballast makes the room for facts; reads answer; freed space ends the trouble by itself."""
    store = await SqliteStore.open(small_disk / "db", heard.on_entries, heard.on_failure)
    try:
        await submit(store, "a1", "a2", "a3")
        jobs = [await start(store, id) for id in ("a1", "a2", "a3")]
        assert (small_disk / "ballast").stat().st_size == SIZE
        filler = small_disk / "filler"
        _fill(filler)
        outcomes = await asyncio.gather(
            *(submit(store, f"b{number}", env={"X": "y" * 20_000}) for number in range(300)),
            return_exceptions=True,
        )
        assert {type(outcome) for outcome in outcomes} == {StorageFull}
        assert not (small_disk / "ballast").exists()
        await store.apply(saving(jobs[0], 1))
        outcomes = await asyncio.gather(
            *(store.apply(ending(job)) for job in jobs),
            store.apply(submitting(*(f"c{n}" for n in range(900)), env={"X": "y" * 20_000})),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [type(None)] * 3 + [StorageFull]
        assert (await store.get("a1")).state == "succeeded"
        filler.unlink()
        assert (await submit(store, "d1")).created
        await tidied(store)
        assert (small_disk / "ballast").exists()
        assert heard.failures == []
        assert await store.entries(0, 5000) == heard.entries
    finally:
        await store.aclose()


async def test_on_a_full_disk_leases_last_and_locks_are_given_back(small_disk: Path, heard: Heard) -> None:
    """Who holds one goes on; nobody takes a new one."""
    store = await SqliteStore.open(small_disk / "db", heard.on_entries, heard.on_failure)
    try:
        lock = await store.apply(acquiring())
        _fill(small_disk / "filler")
        await asyncio.gather(
            *(submit(store, f"b{number}", env={"X": "y" * 20_000}) for number in range(300)),
            return_exceptions=True,
        )
        assert await store.apply(RenewLocks(leases=((lock.name, lock.token),), now=at(159.0))) == ()
        with pytest.raises(StorageFull):
            await store.apply(acquiring("m"))
        released = await store.apply(ReleaseLock(name=lock.name, token=lock.token, at=9.0, by=ALICE))
        assert released.holder is None
    finally:
        await store.aclose()


async def test_what_finds_no_room_at_all_is_recorded_once_there_is_some(small_disk: Path, heard: Heard) -> None:
    """Others have eaten the room of the ballast: ends wait, in their order, and nothing else does."""
    store = await SqliteStore.open(small_disk / "db", heard.on_entries, heard.on_failure, long_wal=False)
    try:
        await submit(store, "a1", "a2", "a3")
        ended, starting = [await start(store, id) for id in ("a1", "a2")], await claim(store, "a3")
        for number in range(60):  # pages that the database does not have yet: without room the WAL cannot be copied
            await submit(store, f"b{number}", env={"X": "y" * 20_000})
        _fill(small_disk / "filler")
        with pytest.raises(StorageFull):
            await submit(store, "c1", env={"X": "y" * 200_000})
        _fill(small_disk / "eater")
        ends = [asyncio.ensure_future(store.apply(ending(job, result=Raw(b"1" * 200_000)))) for job in ended]
        store.send(MarkRunning(run=starting.ref, at=4.0))
        ends.append(asyncio.ensure_future(store.apply(ending(starting))))
        with pytest.raises(StorageFull):
            await submit(store, "c2", env={"X": "y" * 200_000})
        assert not any(end.done() for end in ends)
        assert (await store.get("a1")).state == "running"
        (small_disk / "filler").unlink()
        assert await asyncio.wait_for(asyncio.gather(*ends), 20) == [None] * 3
        assert heard.kinds("a3") == ["submitted", "started", "ended", "succeeded"]
        assert heard.failures == []
    finally:
        await store.aclose()


async def test_a_store_opens_on_a_full_disk_in_the_room_of_its_ballast(small_disk: Path, heard: Heard) -> None:
    """It answers, and records the end of what ran on; without a ballast it says why it does not."""
    first = await SqliteStore.open(small_disk / "db", heard.on_entries, heard.on_failure)
    await submit(first, "a1", "a2")
    job = await start(first, "a1")
    await first.aclose()
    _fill(small_disk / "filler")
    second = await SqliteStore.open(small_disk / "db", heard.on_entries, heard.on_failure)
    assert second.epoch == first.epoch + 1
    await second.apply(ending(job))
    await second.aclose()
    _fill(small_disk / "eater")
    with pytest.raises(StorageFull, match="db cannot be opened: no space left"):
        await SqliteStore.open(small_disk / "db", heard.on_entries, heard.on_failure)
    (small_disk / "filler").unlink()
    third = await SqliteStore.open(small_disk / "db", heard.on_entries, heard.on_failure)
    assert [(await third.get(id)).state for id in ("a1", "a2")] == ["succeeded", "queued"]
    await third.aclose()
    assert heard.failures == []


async def test_what_fills_a_disk_can_be_stopped(small_disk: Path, heard: Heard) -> None:
    """A wish to stop is recorded in the room that is kept for facts; a wish for more work is not."""
    store = await SqliteStore.open(small_disk / "db", heard.on_entries, heard.on_failure)
    try:
        await submit(store, "a1", "a2")
        await store.apply(ending(await start(store, "a2"), outcome="failed", state="failed"))
        await start(store, "a1")
        _fill(small_disk / "filler")
        outcomes = await asyncio.gather(
            *(submit(store, f"b{number}", env={"X": "y" * 20_000}) for number in range(300)),
            store.apply(RequestStop(job="a1", stop="cancelled", by=ALICE, at=5.0)),
            store.apply(ResumeJob(job="a2", by=ALICE, at=5.0)),
            return_exceptions=True,
        )
        assert isinstance(outcomes[-2], Job)
        assert outcomes[-2].state == "cancelling"
        assert {type(outcome) for outcome in [*outcomes[:-2], outcomes[-1]]} == {StorageFull}
    finally:
        await store.aclose()


async def test_a_request_that_was_answered_is_answered_on_a_full_disk_too(small_disk: Path, heard: Heard) -> None:
    """To say that nothing was accepted would be a lie; for another request it is not."""
    store = await SqliteStore.open(small_disk / "db", heard.on_entries, heard.on_failure)
    try:
        first = replace(submitting("a1"), request="r1", digest="d")
        await store.apply(first)
        _fill(small_disk / "filler")
        transactions_of(store)._ballast.release()
        again, other, second = await asyncio.gather(
            store.apply(replace(first, jobs=(new("a2"),))),
            store.apply(replace(first, digest="e")),
            store.apply(replace(submitting("a3"), request="r2", digest="d")),
            return_exceptions=True,
        )
        assert (again.ids, again.created) == (("a1",), False)
        assert [type(other), type(second)] == [RequestMismatch, StorageFull]
        assert heard.kinds("a1") == ["submitted"]
    finally:
        await store.aclose()


async def test_jobs_are_taken_only_while_there_is_room_for_what_becomes_of_them(small_disk: Path, heard: Heard) -> None:
    """A disk on which the ballast does not fit takes none from the start, says how much is missing, and runs on."""
    (small_disk / "filler").write_bytes(bytes(28 << 20))
    store = await SqliteStore.open(small_disk / "db", heard.on_entries, heard.on_failure, long_wal=False)
    try:
        assert not store.is_full  # nobody has asked for anything yet
        with pytest.raises(StorageFull, match="once 13 MiB are free"):
            await submit(store, "a1")
        assert store.is_full
        (small_disk / "filler").unlink()
        assert not store.is_full  # who has made room is not told otherwise, whatever comes next
        await submit(store, "a1")
        assert (small_disk / "ballast").stat().st_size == SIZE
    finally:
        await store.aclose()


def test_a_ballast_that_cannot_be_made_is_no_want_of_room(tmp_path: Path) -> None:
    """Jobs are taken without one."""
    (tmp_path / "ballast").mkdir()
    ballast = Ballast(tmp_path / "ballast")
    ballast.restore()
    assert not ballast.low


async def test_a_start_without_room_for_the_index_of_the_log_is_refused(tmp_path: Path, heard: Heard) -> None:
    """With blocks smaller than pages SQLite would find room for a part of a page, and the kernel would end us."""
    with ImageDisk(tmp_path / "image", tmp_path / "disk", 32).plugged_in():
        disk = tmp_path / "disk"
        assert os.statvfs(disk).f_bsize == 1024
        await (await SqliteStore.open(disk / "db", heard.on_entries, heard.on_failure)).aclose()
        (disk / "ballast").unlink()
        _fill(disk / "filler")
        refused = 0
        for _ in range(16):
            os.truncate(disk / "filler", (disk / "filler").stat().st_size - (4 << 10))
            try:
                store = await SqliteStore.open(disk / "db", heard.on_entries, heard.on_failure)
            except StorageFull:
                refused += 1
            else:
                await store.aclose()
        assert 6 < refused < 16  # and none was ended by SIGBUS
