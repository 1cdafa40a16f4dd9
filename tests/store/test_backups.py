"""Backups: of one moment, while the database goes on; whole or not there; and checks of the database itself."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from contract.deeds import submit
from jobkeepd.errors import BackupRefused, Corrupt, ShuttingDown
from jobkeepd.store import backups
from jobkeepd.store.backups import Backups, Stop
from jobkeepd.store.schema import MIGRATIONS
from store.conftest import Open

pytestmark = pytest.mark.anyio


def of(folder: Path) -> Backups:
    """Of tmp_path/db/db; the daemon's own folder is tmp_path/db."""
    return Backups(folder / "db" / "db", "boot-1", (folder / "db",))


@pytest.fixture
async def open_here(open_store: Open, tmp_path: Path) -> Open:
    (tmp_path / "db").mkdir()
    return lambda: open_store(tmp_path / "db" / "db")


def jobs_in(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as conn:
        return [id for (id,) in conn.execute("SELECT id FROM job ORDER BY seq")]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_backup_has_all_that_was_acknowledged(open_here: Open, tmp_path: Path) -> None:
    """In one file that only we may read, with its date, boot and schema; the database goes on."""
    store = await open_here()
    await submit(store, "a1", "a2")
    to = tmp_path / "b.sqlite"
    made = await of(tmp_path).back_up(to, 5.5, force=False)

    assert made == backups.Backup(
        size=to.stat().st_size, jobs=2, schema=len(MIGRATIONS), database_epoch=store.database_epoch, at=5.5,
        boot="boot-1",
    )  # fmt: skip
    assert backups.describe(to, Stop()) == made
    assert jobs_in(to) == ["a1", "a2"]
    assert to.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["b.sqlite", "db"]
    await submit(store, "a3")


async def test_writers_are_not_held_up_and_change_nothing_of_it(open_here: Open, tmp_path: Path) -> None:
    """Commits between its pieces are in the database, and not in the backup, which does not begin again."""
    store = await open_here()
    await submit(store, *(f"a{number}" for number in range(300)))
    loop, pieces = asyncio.get_running_loop(), 0

    class Between(Stop):
        def look(self) -> None:
            """In the thread of the backup."""
            nonlocal pieces
            pieces += 1
            asyncio.run_coroutine_threadsafe(submit(store, f"b{pieces}"), loop).result(60)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backups, "PAGES", 8)
        to = tmp_path / "copy"
        await asyncio.to_thread(backups.copy, tmp_path / "db" / "db", to, Between())
    pages = to.stat().st_size // 4096
    assert 4 < pieces <= pages // 8 + 2
    assert jobs_in(to) == [f"a{number}" for number in range(300)]
    assert (await store.get(f"b{pieces}")).state == "queued"


async def test_nothing_is_overwritten_unless_asked_for(open_here: Open, tmp_path: Path) -> None:
    """And never the daemon's own files, whatever way leads there."""
    await open_here()
    backed, to = of(tmp_path), tmp_path / "b.sqlite"
    to.write_text("precious")
    with pytest.raises(BackupRefused, match="is there already"):
        await backed.back_up(to, 1.0, force=False)
    assert to.read_text() == "precious"
    assert (await backed.back_up(to, 1.0, force=True)).jobs == 0
    assert to.stat().st_mode & 0o777 == 0o600

    (tmp_path / "way").symlink_to(tmp_path / "db")
    for inside in (tmp_path / "db" / "db", tmp_path / "way" / "new", tmp_path / "x" / ".." / "db" / "new"):
        with pytest.raises(BackupRefused, match="own directories"):
            await backed.back_up(inside, 1.0, force=True)
    (tmp_path / "folder").mkdir()
    with pytest.raises(BackupRefused, match="and no file"):
        await backed.back_up(tmp_path / "folder", 1.0, force=True)
    with pytest.raises(BackupRefused, match="No such file"):
        await backed.back_up(tmp_path / "none" / "b", 1.0, force=False)
    assert names(tmp_path) == ["b.sqlite", "db", "folder", "way"]


async def test_a_disk_that_it_would_fill_is_left_alone(
    open_here: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs may need that room."""
    await open_here()
    monkeypatch.setattr(backups, "RESERVE", 1 << 60)
    with pytest.raises(BackupRefused, match="MiB left"):
        await of(tmp_path).back_up(tmp_path / "b", 1.0, force=False)


async def test_a_backup_under_way_is_given_up_at_the_end(
    open_here: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is left, and later ones are refused."""
    store = await open_here()
    await submit(store, *(f"a{number}" for number in range(300)))
    backed, began = of(tmp_path), asyncio.Event()
    loop, look, here = asyncio.get_running_loop(), Stop.look, threading.current_thread()

    def slowly(self: Stop) -> None:
        if threading.current_thread() is not here:
            loop.call_soon_threadsafe(began.set)
            self._event.wait(60)
        look(self)

    monkeypatch.setattr(backups, "PAGES", 8)
    monkeypatch.setattr(Stop, "look", slowly)
    asking = asyncio.ensure_future(backed.back_up(tmp_path / "b", 1.0, force=False))
    await began.wait()
    await backed.aclose()
    with pytest.raises(ShuttingDown):
        await asking
    monkeypatch.setattr(Stop, "look", look)
    with pytest.raises(ShuttingDown):
        await backed.check()
    assert names(tmp_path) == ["db"]


async def test_a_check_reads_all_of_it(open_here: Open, tmp_path: Path) -> None:
    """Damage that nobody has met yet is told; a backup of it is refused."""
    store = await open_here()
    await submit(store, *(f"a{number}" for number in range(300)))
    assert (await of(tmp_path).check()).problems == []
    await store.aclose()
    path = tmp_path / "db" / "db"
    data = bytearray(path.read_bytes())
    with closing(sqlite3.connect(path)) as conn:
        (page,) = conn.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'journal'").fetchone()
    data[(page - 1) * 4096 + 8 : page * 4096] = b"\x5a" * 4088
    path.write_bytes(data)

    assert (await of(tmp_path).check()).problems != []
    with pytest.raises(Corrupt, match="damaged|cannot be read"):
        await of(tmp_path).back_up(tmp_path / "b", 1.0, force=False)
    assert names(tmp_path) == ["db"]
