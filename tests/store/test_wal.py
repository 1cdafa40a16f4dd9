"""The write-ahead log: its length, and that no error of copying it goes unseen."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
from pathlib import Path

import pytest

from contract.deeds import Heard, submit, submitting
from jobkeepd.errors import StorageFailed
from jobkeepd.store import wal
from store.conftest import Open
from store.trouble import break_store, tidied, transactions_of

pytestmark = pytest.mark.anyio


async def test_the_wal_is_long_from_the_start_and_read_no_further_than_it_is_valid(
    open_store: Open, tmp_path: Path
) -> None:
    """A crash leaves zeros behind the last frame, which is where recovery ends."""
    store = await open_store(long_wal=True)
    await submit(store, "a1")
    assert (tmp_path / "db-wal").stat().st_size == wal.SIZE
    await submit(store, "a2")
    assert (tmp_path / "db-wal").stat().st_size == wal.SIZE
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for name in ("db", "db-wal"):
        (crashed / name).write_bytes((tmp_path / name).read_bytes())
    again = await open_store(crashed / "db")
    assert (await again.get("a2")).state == "queued"


async def test_a_wal_that_was_outgrown_is_copied_and_cut(open_store: Open, tmp_path: Path) -> None:
    """However much is written, it gets no longer than it was made for, plus what one commit needs."""
    store = await open_store(long_wal=True)
    before = (tmp_path / "db").stat().st_size
    for number in range(40):
        await submit(store, *(f"a{number}x{n}" for n in range(20)), env={"X": "y" * 50_000})
        await tidied(store)
    await submit(store, "last")
    assert (tmp_path / "db-wal").stat().st_size <= wal.SIZE
    assert (tmp_path / "db").stat().st_size > before + 2 * wal.SIZE


async def test_a_wal_that_cannot_be_copied_stops_the_store(
    open_store: Open, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite would try again, and might be told that all is well."""
    store = await open_store()
    await submit(store, "a1")
    await tidied(store)
    monkeypatch.setattr(wal, "SIZE", 1)
    broken = break_store(store, "PRAGMA wal_checkpoint", "disk I/O error", sqlite3.SQLITE_IOERR_FSYNC)
    assert (await submit(store, "a2")).created
    await tidied(store)
    await asyncio.sleep(0)
    with pytest.raises(StorageFailed, match="cannot be written"):
        await submit(store, "a3")
    with pytest.raises(StorageFailed):  # nor does one that was on its way already
        await store._main._execute(transactions_of(store).run, [submitting("a4")])  # type: ignore[no-untyped-call]
    await store.aclose()
    assert broken.seen[-1].startswith("PRAGMA wal_checkpoint")
    assert (broken.failed, [type(error) for error in heard.failures]) == (1, [StorageFailed])


async def test_an_error_of_the_disk_is_no_want_of_room_while_the_wal_is_made_long(
    open_store: Open, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one stops the store, the other is no matter."""
    write, trouble = os.write, [errno.ENOSPC]

    def failing(fd: int, data: bytes) -> int:
        if len(data) > 100_000 and os.readlink(f"/proc/self/fd/{fd}").endswith("-wal"):
            raise OSError(trouble[0], os.strerror(trouble[0]))
        return write(fd, data)

    monkeypatch.setattr(os, "write", failing)
    store = await open_store(long_wal=True)
    assert (await submit(store, "a1")).created
    await store.aclose()
    assert heard.failures == []
    trouble[0] = errno.EIO
    store = await open_store(long_wal=True)
    await tidied(store)
    await asyncio.sleep(0)
    with pytest.raises(StorageFailed, match="db-wal cannot be written: Input/output error"):
        await submit(store, "a2")
    assert len(heard.failures) == 1
