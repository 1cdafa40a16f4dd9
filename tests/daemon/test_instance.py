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


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder in one that anybody can write to."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "ours").mkdir(mode=0o700)
    (tmp_path / "open").chmod(0o777)
    return tmp_path / "open" / "ours"


def refused(path: Path) -> str:
    with pytest.raises(instance.UnusableDirectory) as caught:
        instance.private_directory(path)
    return str(caught.value)


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_folder_that_anybody_could_replace_is_refused(trap: Path, below: str) -> None:
    """Also one further down; where each has his own, as in /tmp, it is not."""
    assert f"anybody can write to {trap.parent} above it" in refused(trap / below)
    trap.parent.chmod(0o1777)
    instance.private_directory(trap / below)


def test_a_link_above_that_leads_through_such_a_folder_is_refused(trap: Path, tmp_path: Path) -> None:
    """It is the way that counts, and not where it ends."""
    (tmp_path / "ours").mkdir(mode=0o700)
    (trap / "link").symlink_to(tmp_path / "ours")
    (tmp_path / "way").symlink_to(trap / "link")
    assert "anybody can write to" in refused(tmp_path / "way" / "state")
    (tmp_path / "relative").symlink_to("ours")
    instance.private_directory(tmp_path / "relative" / "state")


@pytest.mark.parametrize("planted", ["link", "dangling", "file"])
def test_what_is_planted_in_the_place_of_a_folder_is_refused(tmp_path: Path, planted: str) -> None:
    """A link to a good one as well: whoever has made it can turn it."""
    (tmp_path / "good").mkdir(mode=0o700)
    place = tmp_path / "state"
    if planted == "file":
        place.write_text("")
    else:
        place.symlink_to(tmp_path / ("good" if planted == "link" else "nowhere"))

    assert "is a symbolic link or no directory" in refused(place)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("whose", ["itself", "above", "link"])
def test_a_folder_that_somebody_else_owns_or_could_replace_is_refused(tmp_path: Path, whose: str) -> None:
    """The one itself, one above it, or a link on the way."""
    above = tmp_path / "above"
    (above / "state").mkdir(mode=0o700, parents=True)
    (tmp_path / "way").symlink_to(above)
    given = {"itself": above / "state", "above": above, "link": tmp_path / "way"}[whose]
    os.chown(given, 1234, 1234, follow_symlinks=False)

    assert "belongs to uid 1234" in refused((tmp_path / "way" if whose == "link" else above) / "state")


def test_folders_are_made_for_us_alone_whatever_the_umask_is(tmp_path: Path) -> None:
    """All that are missing."""
    before = os.umask(0)
    try:
        instance.private_directory(tmp_path / "a" / "b" / "c")
    finally:
        os.umask(before)
    assert [os.stat(tmp_path / each).st_mode & 0o777 for each in ("a", "a/b", "a/b/c")] == [0o700] * 3


def test_a_directory_that_was_made_survives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each that was made is synced into the one above it; one that was there costs nothing."""
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    instance.private_directory(tmp_path / "a" / "b")
    assert sorted(synced) == [str(tmp_path), str(tmp_path / "a")]
    instance.private_directory(tmp_path / "a" / "b")
    assert len(synced) == 2
