"""A quota is used up: SQLite calls that an I/O error, and to us it is a full disk."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from contract.deeds import Heard, ending, start, submit
from jobkeepd.errors import StorageFailed, StorageFull
from jobkeepd.store import opening
from jobkeepd.store.ballast import NEEDED, SIZE, Ballast
from store.conftest import Open
from store.trouble import Failing, break_store

pytestmark = pytest.mark.anyio
WRITE = sqlite3.SQLITE_IOERR_WRITE


class Quota:
    """`left`: how many bytes a file may be given; None: any number."""

    left: int | None = None
    code = errno.EDQUOT

    def allocate(self, fd: int, offset: int, size: int) -> None:
        if self.left is not None and size > self.left:
            raise OSError(self.code, os.strerror(self.code))
        os.truncate(fd, max(os.fstat(fd).st_size, offset + size))


@pytest.fixture
def quota(monkeypatch: pytest.MonkeyPatch) -> Quota:
    quota = Quota()
    monkeypatch.setattr(os, "posix_fallocate", quota.allocate)
    return quota


async def test_when_a_quota_is_used_up_submits_are_refused_and_ends_wait(
    open_store: Open, heard: Heard, quota: Quota
) -> None:
    """As on a full disk: reads answer, what has happened is recorded later, and it ends by itself."""
    store = await open_store()
    await submit(store, "a1")
    job = await start(store, "a1")
    quota.left = 0
    broken = break_store(store, "COMMIT", "disk I/O error", WRITE)
    store.send(ending(job))
    with pytest.raises(StorageFull, match="no space left"):
        await submit(store, "b1")
    assert broken.failed
    assert (await store.get("a1")).state == "running"

    quota.left = None
    broken.heal()
    assert (await submit(store, "b2")).created
    assert (await store.get("a1")).state == "succeeded"
    assert heard.failures == []


@pytest.mark.parametrize("failures", [1, 2])
async def test_room_that_comes_back_between_a_write_and_the_look_for_it_is_believed_once(
    open_store: Open, heard: Heard, quota: Quota, failures: int
) -> None:
    """A disk that fails the next write as well, with room on it, is broken."""
    store = await open_store()
    await submit(store, "a1")
    job = await start(store, "a1")
    quota.left = 0
    broken = break_store(store, "COMMIT", "disk I/O error", WRITE)
    with pytest.raises(StorageFull, match="no space left"):
        await submit(store, "b1")
    quota.left = 1 << 20  # what is looked for, and not enough for the ballast
    seen = broken.failed
    broken.fail_only(failures)
    if failures == 1:
        await store.apply(ending(job))
        assert (await store.get("a1")).state == "succeeded"
    else:
        with pytest.raises(StorageFailed):
            await store.apply(ending(job))
    assert broken.failed == seen + failures
    assert (heard.failures == []) is (failures == 1)


@pytest.mark.parametrize(
    ("left", "code", "what"),
    [(None, errno.EDQUOT, WRITE), (0, errno.EDQUOT, sqlite3.SQLITE_IOERR_FSYNC), (0, errno.EIO, WRITE)],
    ids=["room is left", "a failed fsync", "the disk is broken"],
)
async def test_any_other_error_of_the_disk_stops_the_store(
    open_store: Open, heard: Heard, quota: Quota, left: int | None, code: int, what: int
) -> None:
    """A quota excuses a write alone, and only while there is none left of it."""
    store = await open_store()
    quota.left, quota.code = left, code
    break_store(store, "COMMIT", "disk I/O error", what)
    with pytest.raises(StorageFailed):
        await submit(store, "a1")
    assert heard.failures != []


def test_a_start_beyond_the_quota_says_that_there_is_no_room(tmp_path: Path, quota: Quota) -> None:
    """Then the room of the ballast is given up for it."""
    path = tmp_path / "db"
    opening.create_file(path)
    conn = sqlite3.connect(path, isolation_level=None)
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = WRITE
    quota.left = 1 << 16  # for the index of the log
    failing: sqlite3.Connection = Failing(conn, "BEGIN", error)  # type: ignore[assignment]
    with pytest.raises(StorageFull, match="no space left"):
        opening.prepare(failing, path)
    conn.close()
    assert not path.with_name("db.room").exists()


def test_the_ballast_is_taken_again_once_there_is_room_beside_it(tmp_path: Path, quota: Quota) -> None:
    """What the file system has free says nothing of a quota; half of it is left to nobody."""
    ballast = Ballast(tmp_path / "ballast")
    quota.left = NEEDED - 1
    ballast.restore()
    assert ballast.low
    assert not (tmp_path / "ballast").exists()

    quota.left = NEEDED
    ballast.restore()
    assert not ballast.low
    assert (tmp_path / "ballast").stat().st_size == SIZE
