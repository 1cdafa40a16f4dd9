"""Small disks of a test's own: one that gets full, one that loses its power. Nothing of them stays behind."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

_CLONE_NEWNS = 0x20000
_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
_WITHOUT_FLUSHING = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH


@contextmanager
def small_disk(at: Path, size: str) -> Iterator[Path]:
    """A tmpfs."""
    need_root()
    mount(at, ["-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs"])
    try:
        yield at
    finally:
        unmount(at)


class ImageDisk:
    """An ext4 in a file. A power cut is what its shutdown ioctl makes: what was not synced is gone."""

    def __init__(self, image: Path, at: Path, mebibytes: int) -> None:
        self._image = image
        self.at = at
        self._size = mebibytes << 20

    @contextmanager
    def plugged_in(self) -> Iterator[None]:
        """Mounted, and at the end not any more, nor is there a loop device."""
        need_root()
        self._image.touch(0o600)
        os.truncate(self._image, self._size)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", self._image], check=True, capture_output=True)
        try:
            self.plug_in()
            yield
        finally:
            unmount(self.at)
            self._image.unlink()

    def plug_in(self) -> None:
        """Mount it, which replays its journal."""
        mount(self.at, ["-o", "loop", str(self._image)])

    def unplug(self) -> None:
        unmount(self.at)

    def cut_power(self) -> None:
        """Nothing is written to it any more, not even its own journal."""
        handle = os.open(self.at, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(handle, _SHUTDOWN, struct.pack("I", _WITHOUT_FLUSHING))
        finally:
            os.close(handle)


def need_root() -> None:
    if os.getuid() != 0:
        pytest.skip("mounts a file system, which takes root")


@cache
def _keep_mounts_to_ourselves() -> None:
    """In a namespace of this process and its children they end with these, even if all are killed."""
    if ctypes.CDLL(None).unshare(_CLONE_NEWNS) == 0:
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)


def mount(at: Path, words: list[str]) -> None:
    _keep_mounts_to_ourselves()
    at.mkdir(mode=0o700, exist_ok=True)
    tried = subprocess.run(["mount", *words, at], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"this container may not mount: {tried.stderr.strip()}")


def unmount(at: Path) -> None:
    """Those who use it have been ended; it may take the kernel a moment to notice."""
    deadline = time.monotonic() + 60
    while os.path.ismount(at):
        tried = subprocess.run(["umount", at], capture_output=True, text=True)
        if tried.returncode and time.monotonic() > deadline:
            subprocess.run(["umount", "--lazy", at], check=True)  # nothing stays behind, once they have ended
            raise AssertionError(tried.stderr)
        time.sleep(0.01)


def fill(path: Path) -> None:
    """Write until there is no room at all."""
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * (1 << 16))
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 512)
