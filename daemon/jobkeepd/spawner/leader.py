"""The forked child on its way to becoming the leader: waits behind the gate, then execs the order or says why not."""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from typing import Any, NoReturn

    from jobkeepd.spawner import record
else:
    import record

NEVER_STARTED = 125
_KEEP_LOOKING = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ENODEV, errno.ETIMEDOUT, errno.EACCES)


class Failed(Exception):
    """The order cannot be carried out; nothing of the command ran."""

    def __init__(self, stage: str, number: int | None, message: str) -> None:
        super().__init__(message)
        self.stage = stage
        self.number = number


def become(runtime: str, order: dict[str, Any], gate: socket) -> NoReturn:
    """Never returns: becomes the command, or records and reports why it cannot and exits 125."""
    os.setsid()
    try:
        if not gate.recv(1):  # the shim died, or could not write the leader record
            raise Failed("slot", None, "the slot ended before the command was started")
        _set_up(order)
        _execute(order["argv"], order["env"])
    except Failed as failure:
        _report(runtime, order["run"], failure, gate)
    except Exception as error:  # whatever it is, silence would be taken for a command that exited 125
        _report(runtime, order["run"], Failed("slot", None, f"the slot could not start the command: {error!r}"), gate)
    finally:
        os._exit(NEVER_STARTED)


def _report(runtime: str, run: str, failure: Failed, gate: socket) -> None:
    line = failure_line(run, failure.stage, failure.number, str(failure))
    try:
        # On record first, and by this process: then it is known even if the shim is gone meanwhile.
        record.write_first(runtime, run, record.EXIT, line)
    finally:
        gate.send(line)


def failure_line(run: str, stage: str, number: int | None, message: str) -> bytes:
    failed = {"stage": stage, "errno": number, "message": message}
    return record.encode({"op": "failed", "run": run, "failed": failed})


def _set_up(order: dict[str, Any]) -> None:
    out = _open_log(order["stdout"])
    err = out if order["stderr"] == order["stdout"] else _open_log(order["stderr"])
    os.dup2(out, 1)
    os.dup2(err, 2)  # stdin is the shim's own /dev/null; all else closes on exec
    try:
        os.chdir(order["cwd"])
    except (OSError, ValueError) as error:
        raise _wrong_directory(order["cwd"], error) from None
    os.umask(order["umask"])


def _open_log(path: str) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except (OSError, ValueError) as error:
        number, why = _reason(error)
        raise Failed("output", number, f"cannot open log file {path}: {why}") from None


def _wrong_directory(path: str, error: OSError | ValueError) -> Failed:
    number, why = _reason(error)
    known = {errno.ENOENT: "does not exist", errno.ENOTDIR: "is not a directory", errno.EACCES: "is not accessible"}
    return Failed("cwd", number, f"working directory {path} {known.get(number or 0, f'cannot be entered: {why}')}")


def _reason(error: OSError | ValueError) -> tuple[int | None, str]:
    return (error.errno, error.strerror) if isinstance(error, OSError) else (None, str(error))


def _execute(argv: list[str], env: dict[str, str]) -> NoReturn:
    """execvpe(3) with the order's own PATH. The most telling failure wins: a denied file over none at all."""
    worst, worst_rank, tried = errno.ENOENT, -1, argv[0]
    for path in _candidates(argv[0], env):
        try:
            os.execve(path, argv, env)
        except OSError as error:
            number = error.errno or 0
        except ValueError as error:  # a NUL inside, or a variable without a name
            raise Failed("exec", None, f"cannot pass on the arguments or the environment: {error}") from None
        rank = _telling(number, path)
        if rank > worst_rank:
            worst, worst_rank, tried = number, rank, path
        if number not in _KEEP_LOOKING:
            break
    raise Failed("exec", worst, _why_not(argv[0], tried, worst))


def _telling(number: int, path: str) -> int:
    if number in (errno.ENOENT, errno.ENOTDIR):
        return 1 if _exists(path) else 0  # it is there, so its interpreter is not
    return 2 if number in _KEEP_LOOKING else 3


def _candidates(name: str, env: dict[str, str]) -> list[str]:
    if "/" in name or not name:
        return [name]
    folders = env.get("PATH", os.defpath).split(":")
    return [f"{folder}/{name}" if folder else f"./{name}" for folder in folders]


def _exists(path: str) -> bool:
    return os.access(path, os.F_OK)


def _why_not(name: str, path: str, number: int) -> str:
    if number == errno.ENOENT and _exists(path):
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
