"""What an order needs before its leader can be started, and in one sentence for the user why it cannot be."""

from __future__ import annotations

import ctypes
import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from jobkeepd.spawner import record
else:
    import record

_NULL = bytes(ctypes.sizeof(ctypes.c_void_p))


class Failed(Exception):
    """The order cannot be carried out; nothing of the command ran."""

    def __init__(self, stage: str, number: int | None, message: str) -> None:
        super().__init__(message)
        self.stage = stage
        self.number = number

    def line(self, run: str, slot: str) -> bytes:
        """As the slot tells it, and puts it on record in place of an exit."""
        failed = {"stage": self.stage, "errno": self.number, "message": str(self)}
        return record.encode({"op": "failed", "run": run, "slot": slot, "failed": failed})


class Strings:
    """Pointers to strings, as in a char *[]: bytes that can be joined to others as long as this lives."""

    def __init__(self, strings: Collection[bytes]) -> None:
        self._kept = (ctypes.c_char_p * len(strings))(*strings)
        self.pointers = bytes(self._kept)


class Base:
    """Variables that many orders of one connection share, in the form that the kernel takes."""

    def __init__(self, env: dict[str, str]) -> None:
        self.path = env.get("PATH")
        self.encoded = _encode(env)
        self.strings = Strings((self.encoded or {}).values())


class Command:
    """The order's program in the form that the kernel takes. Made while the order's directory is the current one."""

    def __init__(self, order: dict[str, Any], base: Base) -> None:
        argv, own = order["argv"], order["env"]
        encoded = _encode(own)
        if encoded is None or base.encoded is None or any("\0" in text for text in argv):
            raise Failed(
                "exec", errno.EINVAL, "an argument or a variable contains a character that cannot be passed on"
            )
        self.name = argv[0] if argv else ""
        self._kept = [Strings([os.fsencode(text) for text in argv]), base.strings]
        self.argv = self._kept[0].pointers + _NULL
        if encoded.keys().isdisjoint(base.encoded):
            self._kept.append(Strings(encoded.values()))
            self.env = self._kept[2].pointers + base.strings.pointers + _NULL
        else:
            self._kept.append(Strings({**base.encoded, **encoded}.values()))
            self.env = self._kept[2].pointers + _NULL
        self.path = self.name if "/" in self.name else _look_up(self.name, own.get("PATH", base.path))

    def failure(self, number: int) -> Failed:
        """Why exec refused it."""
        return Failed("exec", number, _why_not(self.name, self.path, number))


def _encode(env: dict[str, str]) -> dict[str, bytes] | None:
    """Name -> NAME=value, or None if one of them cannot be a variable."""
    encoded = {}
    for name, value in env.items():
        pair = f"{name}={value}"
        if not name or "=" in name or "\0" in pair:
            return None
        encoded[name] = pair.encode("utf-8", "surrogateescape")
    return encoded


def open_logs(order: dict[str, Any]) -> tuple[int, int]:
    """Descriptors for stdout and stderr, one file or two."""
    out = _open_log(order["stdout"])
    if order["stderr"] == order["stdout"]:
        return out, out
    try:
        return out, _open_log(order["stderr"])
    except Failed:
        os.close(out)
        raise


def _open_log(path: str) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY | os.O_NONBLOCK
    try:
        fd = os.open(path, flags, 0o600)
    except (OSError, ValueError) as error:
        number, why = _reason(error)
        raise Failed("output", number, f"cannot open log file {path}: {why}") from None
    os.set_blocking(fd, True)  # it was opened without: a FIFO nobody reads must not stop the slot
    return fd


def enter(order: dict[str, Any]) -> None:
    try:
        os.chdir(order["cwd"])
    except (OSError, ValueError) as error:
        raise _wrong_directory(order["cwd"], error) from None


def _wrong_directory(path: str, error: OSError | ValueError) -> Failed:
    number, why = _reason(error)
    known = {errno.ENOENT: "does not exist", errno.ENOTDIR: "is not a directory", errno.EACCES: "is not accessible"}
    return Failed("cwd", number, f"working directory {path} {known.get(number or 0, f'cannot be entered: {why}')}")


def _reason(error: OSError | ValueError) -> tuple[int | None, str]:
    return (error.errno, error.strerror or "") if isinstance(error, OSError) else (None, str(error))


def _look_up(name: str, search: str | None) -> str:
    """As execvpe(3) does, with the order's own PATH: a file that may not be executed beats none at all."""
    if not name:
        return name
    denied = False
    for folder in (os.defpath if search is None else search).split(":"):
        path = f"{folder or '.'}/{name}"
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
        denied = denied or os.path.lexists(path)
        if denied:
            shut = path
    if denied:
        raise Failed("exec", errno.EACCES, _why_not(name, shut, errno.EACCES))
    raise Failed("exec", errno.ENOENT, _why_not(name, name, errno.ENOENT))


def _why_not(name: str, path: str, number: int) -> str:
    if number == errno.ENOENT and os.access(path, os.F_OK):
        return f"the interpreter that {path} names in its first line does not exist"
    if number in (errno.ENOENT, errno.ENOTDIR):
        return f"command not found: {name}"
    if number == errno.EACCES:
        return f"{path} is a directory" if os.path.isdir(path) else f"permission denied: {path}"
    if number == errno.ENOEXEC:
        return f"{path} cannot be executed: it is no program for this machine and has no #! line"
    if number == errno.E2BIG:
        return f"the arguments and the environment of {name} are too long"
    return f"cannot execute {path}: {os.strerror(number)}"
