"""Whether the code that was imported is still what is on disk."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
import time
from contextlib import suppress
from importlib.util import cache_from_source
from typing import Final

IDLE_S: Final = 0.05  # after a pause of so long, files are looked at before the next run
GLANCE_S: Final = 0.2  # without one, they are looked at no more often
EFFORT: Final = 0.05  # and at most this share of the time goes into that
_TICK_NS: Final = 10_000_000  # clocks of file systems are late by that

Version = tuple[int, int, int]


class Sources:
    """The files of imported modules that are neither Python's own nor installed."""

    def __init__(self) -> None:
        paths = {*sysconfig.get_paths().values(), *site.getsitepackages(), site.getusersitepackages()}
        paths.discard(sysconfig.get_path("data"))  # the whole prefix
        self._library = tuple(os.path.join(path, "") for path in paths)
        self._seen: set[str] = set()
        self._files: dict[str, Version | None] = {}  # None: one that changed while it was imported
        self._modules = 0
        self._next = 0.0
        self.notice(time.time_ns())

    def notice(self, since_ns: int) -> None:
        """Look for modules that are new; they have been imported after that time."""
        if len(sys.modules) == self._modules:
            return
        self._modules = len(sys.modules)
        for name in sys.modules.keys() - self._seen:
            self._seen.add(name)
            path = self._own_file(name)
            if path is not None:
                with suppress(OSError):
                    self._files[path] = _settled_version(path, since_ns)

    def changed(self, idle_s: float, *, surely: bool = False) -> bool:
        """Whether a file is another than when it was imported. Does not always look, unless `surely`."""
        begin = time.monotonic()
        if begin < self._next and idle_s < IDLE_S and not surely:
            return False
        changed = [path for path, version in self._files.items() if _version(path) != version]
        for path in changed:
            drop_cache(path)
        end = time.monotonic()
        self._next = end + max((end - begin) / EFFORT, GLANCE_S)
        return bool(changed)

    def forget_since(self, before: set[str], error: BaseException | None) -> None:
        """An import has failed: what it has brought is imported again next time. `before`: the modules until then."""
        for name in sys.modules.keys() - before:
            path = self._own_file(name)
            if path is not None:
                del sys.modules[name]
                drop_cache(path)
        traceback = None if error is None else error.__traceback__
        while traceback is not None:
            path = traceback.tb_frame.f_code.co_filename
            if not self._is_library("", path):
                drop_cache(path)
            traceback = traceback.tb_next

    def _own_file(self, name: str) -> str | None:
        path = getattr(sys.modules.get(name), "__file__", None)
        return path if isinstance(path, str) and not self._is_library(name, path) else None

    def _is_library(self, name: str, path: str) -> bool:
        if name.partition(".")[0] == "jobkeep" or "site-packages" in path or "dist-packages" in path:
            return True
        return path.startswith(self._library)


def drop_cache(path: str) -> None:
    """Compiled code counts as that of any source with the same size and the same second of change."""
    if path.endswith(".py"):
        with suppress(OSError, NotImplementedError):
            os.unlink(cache_from_source(path))


def _version(path: str) -> Version | None:
    try:
        status = os.stat(path)
    except OSError:
        return 0, -1, 0
    return status.st_mtime_ns, status.st_size, status.st_ino


def _settled_version(path: str, since_ns: int) -> Version | None:
    status = os.stat(path)
    if since_ns - _TICK_NS <= status.st_ctime_ns <= time.time_ns():
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
