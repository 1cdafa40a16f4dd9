"""Opening a database: ours, whole, current, private; and what is said where it is not."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from contract.deeds import Heard, ending, start, submit, submitting
from jobkeepd.errors import Corrupt, RequestMismatch, StorageFailed
from jobkeepd.store import opening
from jobkeepd.store.schema import APPLICATION_ID, MIGRATIONS
from store.conftest import Open

pytestmark = pytest.mark.anyio


def _query(path: Path, sql: str) -> list[tuple[object, ...]]:
    conn = sqlite3.connect(path)
    try:
        return conn.execute(sql).fetchall()
    finally:
        conn.close()


def _shell(*argv: object) -> bool:
    return subprocess.run([str(word) for word in argv], capture_output=True).returncode == 0


async def test_a_new_database_is_ours_and_private(open_store: Open, tmp_path: Path) -> None:
    """Made from version 0, mode 0600, marked in its header, strict."""
    await (await open_store()).aclose()
    assert (tmp_path / "db").stat().st_mode & 0o777 == 0o600
    assert _query(tmp_path / "db", "PRAGMA user_version") == [(len(MIGRATIONS),)]
    assert _query(tmp_path / "db", "PRAGMA application_id") == [(APPLICATION_ID,)]
    assert _query(tmp_path / "db", "SELECT name FROM pragma_table_list WHERE NOT strict AND type = 'table'"
                  " AND name NOT LIKE 'sqlite%'") == []  # fmt: skip


async def test_everything_is_there_after_reopening(open_store: Open, heard: Heard) -> None:
    """Jobs, counts, open runs, the next seqs; the epoch rises and the database's own stays."""
    first = await open_store()
    await submit(first, "a1", "a2")
    await first.apply(ending(await start(first, "a1")))
    running = await start(first, "a2")
    counts = await first.counts()
    await first.aclose()
    second = await open_store()
    assert second.cached("a2") == running
    assert await second.counts() == counts
    assert (second.epoch, second.database_epoch) == (first.epoch + 1, first.database_epoch)
    await submit(second, "a3")
    assert (await second.get("a3")).seq == 3
    assert [entry.seq for entry in heard.entries] == list(range(1, await second.last_seq() + 1))


async def test_a_request_is_answered_the_same_after_reopening(open_store: Open) -> None:
    """The answer is on disk with the jobs."""
    first = await open_store()
    change = replace(submitting("a1"), request="r", digest="d")
    await first.apply(change)
    await first.aclose()
    second = await open_store()
    assert (await second.apply(change)).created is False
    with pytest.raises(RequestMismatch):
        await second.apply(replace(change, digest="e"))


async def test_an_older_database_is_upgraded_after_a_backup(open_store: Open, tmp_path: Path) -> None:
    """The copy is private and holds the state before."""
    store = await open_store()
    await submit(store, "a1")
    await store.aclose()
    newer = (*MIGRATIONS, ("ALTER TABLE job ADD COLUMN colour TEXT",))
    store = await open_store(migrations=newer)
    assert (await store.sql("SELECT id, colour FROM job", 10, 5.0)).rows == [["a1", None]]
    await store.aclose()
    backup = tmp_path / f"db.schema-{len(MIGRATIONS)}"
    assert backup.stat().st_mode & 0o777 == 0o600
    assert _query(backup, "SELECT id FROM job") == [("a1",)]
    assert _query(backup, "PRAGMA user_version") == [(len(MIGRATIONS),)]
    with pytest.raises(Corrupt, match=r"db was written by a newer jobkeep .*install that version"):
        await open_store()


async def test_an_upgrade_that_fails_changes_nothing(open_store: Open, tmp_path: Path) -> None:
    """All of it is one transaction."""
    await (await open_store()).aclose()
    with pytest.raises(StorageFailed, match="syntax error"):
        await open_store(migrations=(*MIGRATIONS, ("CREATE TABLE more (x TEXT)", "NONSENSE")))
    assert _query(tmp_path / "db", "SELECT name FROM sqlite_schema WHERE name = 'more'") == []
    await open_store()


async def test_a_file_that_is_no_database_is_named(open_store: Open, tmp_path: Path) -> None:
    """And left as it is."""
    (tmp_path / "db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(Corrupt, match=f"{tmp_path}/db is damaged .*restore a backup"):
        await open_store()
    assert (tmp_path / "db").read_bytes().startswith(b"not a database")


async def test_a_database_of_another_program_is_left_alone(open_store: Open, tmp_path: Path) -> None:
    """Its tables are not ours to migrate."""
    _query(tmp_path / "db", "CREATE TABLE cats (name TEXT)")
    before = (tmp_path / "db").read_bytes()
    with pytest.raises(Corrupt, match="another program"):
        await open_store()
    assert (tmp_path / "db").read_bytes() == before


async def test_a_damaged_page_is_found_at_the_start(open_store: Open, tmp_path: Path) -> None:
    """A small database is checked at every open."""
    store = await open_store()
    for number in range(50):
        await submit(store, f"a{number}", env={"X": "y" * 500})
    await store.aclose()
    data = bytearray((tmp_path / "db").read_bytes())
    for page in range(8, len(data) // 4096):
        data[page * 4096 : page * 4096 + 2000] = b"\x5a" * 2000
    (tmp_path / "db").write_bytes(data)
    with pytest.raises(Corrupt, match="db is damaged"):
        await open_store()


async def test_a_database_left_by_a_crash_opens_with_all_that_was_acknowledged(
    open_store: Open, tmp_path: Path
) -> None:
    """The files as they are in the middle of work, without a close."""
    store = await open_store()
    await submit(store, "a1")
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    assert _shell("cp", tmp_path / "db", tmp_path / "db-wal", crashed)
    again = await open_store(crashed / "db")
    assert (await again.get("a1")).state == "queued"
    assert again.epoch == store.epoch + 1


async def test_a_directory_that_is_not_there_is_an_error_with_its_path(open_store: Open, tmp_path: Path) -> None:
    """Nothing is made on the way."""
    with pytest.raises(StorageFailed, match="missing/db cannot be created: No such file"):
        await open_store(tmp_path / "missing" / "db")


@pytest.mark.skipif(os.getuid() != 0, reason="mounts a read-only file system, which takes root")
async def test_a_read_only_directory_is_an_error_with_its_path(open_store: Open, tmp_path: Path) -> None:
    """Both for a new database and for one that is there."""
    await (await open_store()).aclose()
    if not _shell("mount", "--bind", tmp_path, tmp_path):
        pytest.skip("this container may not mount")
    try:
        assert _shell("mount", "-o", "remount,bind,ro", tmp_path)
        with pytest.raises(StorageFailed, match="db cannot be opened: .*directory must be writable"):
            await open_store()
        with pytest.raises(StorageFailed, match="other cannot be created: Read-only file system"):
            await open_store(tmp_path / "other")
    finally:
        assert _shell("umount", tmp_path)


def test_a_pragma_that_does_not_take_effect_stops_the_start() -> None:
    """SQLite would go on without it and say nothing."""
    conn = sqlite3.connect(":memory:")
    with pytest.raises(StorageFailed, match="refuses journal_mode = wal"):
        opening.set_pragmas(conn, opening.PRAGMAS)
    conn.close()


async def test_a_new_database_survives_a_power_cut(
    open_store: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is in the directory for good before anything is written to it."""
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    await open_store()
    assert synced == [str(tmp_path)]
