"""The private files beside the database."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobkeepd import instance

BOOT = "0a1b2c3d-0000-4000-8000-00000000abcd"


def test_the_boot_is_remembered(tmp_path: Path) -> None:
    """As the kernel words it."""
    instance.remember_boot(tmp_path, instance.boot_id())
    assert instance.last_boot_id(tmp_path) == instance.boot_id()
    assert [path.name for path in tmp_path.iterdir()] == ["boot_id"]


@pytest.mark.parametrize("content", [b"", b"\n", b"\0" * 37, b"0a1b2c3d-00", b"\xff\xfe"])
def test_a_damaged_boot_is_no_other_boot(tmp_path: Path, content: bytes) -> None:
    """Every live run would be ended for it."""
    (tmp_path / "boot_id").write_bytes(content)
    assert instance.last_boot_id(tmp_path) is None


def test_an_unreadable_boot_is_no_other_boot(tmp_path: Path) -> None:
    """A folder in its place: root reads any file."""
    (tmp_path / "boot_id").mkdir()
    assert instance.last_boot_id(tmp_path) is None


def test_the_same_boot_is_not_written_again(tmp_path: Path) -> None:
    """What is not written cannot be damaged."""
    instance.remember_boot(tmp_path, BOOT)
    before = os.stat(tmp_path / "boot_id")
    instance.remember_boot(tmp_path, BOOT)
    after = os.stat(tmp_path / "boot_id")
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_boot_that_cannot_be_written_is_not_an_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs of this boot would be ended at the next start."""
    instance.remember_boot(tmp_path, "1" + BOOT[1:])

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    instance.remember_boot(tmp_path, BOOT)
    assert instance.last_boot_id(tmp_path) is None


def test_the_secret_stays_and_is_never_short(tmp_path: Path) -> None:
    """An empty one could be guessed by anybody."""
    first = instance.secret(tmp_path)
    assert instance.secret(tmp_path) == first
    (tmp_path / "secret").write_bytes(b"")
    assert len(instance.secret(tmp_path)) == 32
