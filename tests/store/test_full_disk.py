"""What the store refuses and what it still records when its disk is full."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.deeds import Heard, ending, saving, start, submit, submitting
from jobkeepd.errors import StorageFull
from jobkeepd.store.sqlite import SqliteStore
from store.trouble import transactions_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.getuid() != 0:
        pytest.skip("mounts a small file system, which takes root")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8M", "tmpfs", disk], capture_output=True).returncode:
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
        assert (small_disk / "ballast").stat().st_size == 1 << 20
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
        transactions_of(store)._since_look = 199
        assert (await submit(store, "d1")).created
        assert (small_disk / "ballast").exists()
        assert heard.failures == []
        assert await store.entries(0, 5000) == heard.entries
    finally:
        await store.aclose()
