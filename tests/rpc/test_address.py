"""Where the daemon listens, and where it refuses to."""

from __future__ import annotations

import os
import socket
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobkeepd.errors import AlreadyRunning, BadConfig
from jobkeepd.rpc.address import Address, bind, inherited


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "private"


def test_folder_and_socket_are_for_us_alone(folder: Path) -> None:
    """Whatever the umask is."""
    before = os.umask(0)
    try:
        address = bind(str(folder / "s"), 8)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(os.stat(path).st_mode) for path in (folder, folder / "s")]
    address.socket.close()

    assert modes == [0o700, 0o600]


def test_a_stale_socket_is_replaced(folder: Path) -> None:
    """Nobody answers there: its daemon is dead."""
    bind(str(folder / "s"), 8).socket.close()

    bind(str(folder / "s"), 8).socket.close()


def test_a_live_socket_is_left_alone(folder: Path) -> None:
    """The error names its owner."""
    address = bind(str(folder / "s"), 8)

    with pytest.raises(AlreadyRunning) as caught:
        bind(str(folder / "s"), 8)
    address.socket.close()
    assert caught.value.pid == os.getpid()


def test_of_many_who_find_a_stale_socket_one_gets_the_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its bind and its listen nobody answers there either, and it must not be taken for stale."""
    bind(str(folder / "s"), 8).socket.close()

    chmod = os.chmod

    def linger(path: str, mode: int) -> None:
        time.sleep(0.02)
        chmod(path, mode)

    monkeypatch.setattr(os, "chmod", linger)

    def compete(_: int) -> Address | None:
        try:
            return bind(str(folder / "s"), 64)
        except AlreadyRunning:
            return None

    with ThreadPoolExecutor(16) as threads:
        got = [address for address in threads.map(compete, range(64)) if address is not None]
    for address in got:
        address.close()
    assert len(got) == 1
    assert not (folder / "s").exists()


def test_a_folder_that_cannot_be_made_is_told_with_the_reason(folder: Path) -> None:
    """Its parent is not ours to make."""
    with pytest.raises(BadConfig, match=f"{folder}/deeper cannot be made or opened: No such file or directory"):
        bind(str(folder / "deeper" / "s"), 8)


@pytest.mark.parametrize("kind", ["file", "link", "link to a socket", "dangling"])
def test_what_is_no_socket_is_left_alone(folder: Path, kind: str) -> None:
    """A typing error in the configuration deletes no file, and nothing follows a link: not even to a socket."""
    folder.mkdir(mode=0o700)
    (folder / "file").write_text("precious")
    address = bind(str(folder / "socket"), 8)
    if kind == "file":
        (folder / "s").write_text("precious")
    else:
        (folder / "s").symlink_to(folder / {"link": "file", "link to a socket": "socket"}.get(kind, "nowhere"))

    with pytest.raises(BadConfig, match="is no socket"):
        bind(str(folder / "s"), 8)
    address.close()
    assert (folder / "file").read_text() == "precious"
    assert os.path.lexists(folder / "s")
    assert not (folder / "nowhere").exists()


@pytest.mark.parametrize("planted", ["file", "link"])
def test_what_has_taken_the_place_of_our_socket_is_not_touched(folder: Path, planted: str) -> None:
    """Neither when others are let in, nor at the end."""
    address = bind(str(folder / "s"), 8)
    (folder / "s").unlink()
    (folder / "other").write_text("precious")
    (folder / "other").chmod(0o600)
    (folder / "s").symlink_to(folder / "other") if planted == "link" else (folder / "s").write_text("precious")
    address.open_to_group(True)
    address.close()

    assert (folder / "s").read_text() == "precious"
    assert stat.S_IMODE(os.stat(folder / "other").st_mode) == 0o600


def test_a_socket_is_opened_to_the_group_of_its_folder_and_closed_again(folder: Path) -> None:
    """Nobody else gets through the folder."""
    address = bind(str(folder / "s"), 8)
    modes = []
    for opened in (True, False):
        address.open_to_group(opened)
        modes.append(stat.S_IMODE(os.stat(folder / "s").st_mode))
    (folder / "s").unlink()
    address.open_to_group(True)
    address.close()

    assert modes == [0o666, 0o600]


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_a_folder_below_one_that_anybody_can_write_to_is_refused_unless_each_has_his_own(
    folder: Path, mode: int
) -> None:
    """Somebody else could put another folder, and a socket of his, in its place."""
    folder.mkdir()
    folder.chmod(mode)
    (folder / "ours").mkdir(mode=0o700)
    if mode == 0o777:
        with pytest.raises(BadConfig, match="anybody can write to"):
            bind(str(folder / "ours" / "s"), 8)
    else:
        bind(str(folder / "ours" / "s"), 8).close()


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o755, 0o701])
def test_a_folder_that_others_can_reach_is_refused(folder: Path, mode: int) -> None:
    """Somebody else could listen there in our place."""
    folder.mkdir()
    folder.chmod(mode)

    with pytest.raises(BadConfig, match=f"mode {mode:04o}"):
        bind(str(folder / "s"), 8)


def test_a_folder_that_is_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    """Also one to a good folder: whoever owns the link can turn it."""
    (tmp_path / "real").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "real")

    with pytest.raises(BadConfig, match="symbolic link"):
        bind(str(folder / "s"), 8)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_refused(folder: Path) -> None:
    """Its owner could replace our socket."""
    folder.mkdir(mode=0o700)
    os.chown(folder, 1234, 1234)

    with pytest.raises(BadConfig, match="belongs to uid 1234"):
        bind(str(folder / "s"), 8)


def test_a_path_that_no_socket_can_have_is_refused_by_its_length(folder: Path) -> None:
    """The kernel's own words would not say what is wrong."""
    with pytest.raises(BadConfig, match="at most 107"):
        bind(str(folder / ("s" * 108)), 8)


def test_only_our_own_socket_is_removed_at_the_end(folder: Path) -> None:
    """Another daemon may have taken the place."""
    first = bind(str(folder / "s"), 8)
    first.socket.close()
    second = bind(str(folder / "s"), 8)
    first.unlink()
    there = (folder / "s").exists()
    second.unlink()
    second.unlink()
    second.socket.close()

    assert there
    assert not (folder / "s").exists()


def test_a_socket_that_systemd_hands_over_is_used_as_it_is(folder: Path) -> None:
    """And its file stays when we end."""
    given = bind(str(folder / "s"), 8)
    address = inherited(os.dup(given.socket.fileno()))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(folder / "s"))
        address.socket.accept()[0].close()
    address.unlink()
    address.socket.close()
    given.socket.close()

    assert (folder / "s").exists()


def test_a_descriptor_that_does_not_listen_is_refused() -> None:
    """A mistake in a unit file."""
    one, other = socket.socketpair()
    reader, writer = os.pipe()
    for fd in (one.fileno(), reader):
        with pytest.raises(BadConfig, match=f"file descriptor {fd}"):
            inherited(fd)
    for closing in (one, other):
        closing.close()
    for closing_fd in (reader, writer):
        os.close(closing_fd)
