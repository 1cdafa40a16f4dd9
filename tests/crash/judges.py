"""Judges outside the daemon: what really started, and what really lives. They ask the file system and the kernel."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

# Only builtins of the shell before the log is written; O_EXCL (`set -C`) lets one start of a run win. flock says 1 if
# another run has the lock; it may also be killed, which proves nothing.
_SCRIPT = """
set -C
run=$JOBKEEP_JOB.$JOBKEEP_RUN
{ echo $$ > "$0/start.$run"; } 2>/dev/null || { : > "$0/again.$run.$$"; exit 99; }
exec 9>> "$0/live.$JOBKEEP_JOB"
flock -n 9
[ $? != 1 ] || { : > "$0/two_live.$run"; exit 98; }
"""
_END = 'echo {code} > "$0/end.$run"; exit {code}'

# The same for a function: a module for the directory that it is called in.
JOBS = """
import fcntl, os

def logged(folder: str, code: int = 0, gate: str = "") -> str:
    job = os.environ["JOBKEEP_JOB"]
    run = f"{job}.{os.environ['JOBKEEP_RUN']}"
    try:
        os.close(os.open(f"{folder}/start.{run}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        open(f"{folder}/again.{run}.{os.getpid()}", "x").close()
        raise
    with open(f"{folder}/live.{job}", "a") as live:
        try:
            fcntl.flock(live, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            open(f"{folder}/two_live.{run}", "x").close()
            raise
        if gate:
            open(gate).read()  # waits until somebody has opened that FIFO for writing, and closed it
        with open(f"{folder}/end.{run}", "x") as end:
            end.write(f"{code}\\n")
    if code:
        raise ValueError(f"code {code}")
    return "done"
"""

# As with `live` above: the kernel ends a flock with the last process that has it open.
_DOOR = """
exec 9>> "$0/inside"
flock -n 9
[ $? != 1 ] || { : > "$0/together.$$"; exit 98; }
echo $JOBKEEP_LOCK_TOKEN >> "$0/tokens"
"""

# struct pidfd_info of linux/pidfd.h: mask, cgroup, twelve 32-bit fields of which exit_code is the last
_PIDFD_GET_INFO = 0xC040FF0B
_PIDFD_INFO_EXIT = 1 << 3
_INFO = struct.Struct("QQ11Ii")


class Door:
    """A room for one. Whoever enters while somebody is inside leaves a mark; who is inside is known to the kernel."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self._file = folder / "inside"
        self._file.touch()

    def command(self, body: str = "sleep 0.01") -> list[str]:
        """A command that enters, then does `body` in a shell; what that starts is inside as well."""
        return ["sh", "-c", _DOOR + body, str(self.folder)]

    @contextmanager
    def inside(self, token: int) -> Iterator[None]:
        """The same for a program."""
        with self._file.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                (self.folder / f"together.{os.getpid()}.{token}").touch()
                raise
            with (self.folder / "tokens").open("a") as tokens:
                tokens.write(f"{token}\n")
            yield

    def occupied(self) -> bool:
        """Asked without touching it: somebody who enters must not meet us."""
        inode = str(self._file.stat().st_ino)
        locks = Path("/proc/locks").read_text().splitlines()
        return any("FLOCK" in line and line.split()[5].rpartition(":")[2] == inode for line in locks)

    def tokens(self) -> list[int]:
        """Of all who entered, in that order."""
        return [int(line) for line in (self.folder / "tokens").read_text().split()]

    def violations(self) -> list[str]:
        """Who met somebody inside."""
        return sorted(name for name in os.listdir(self.folder) if name.startswith("together."))


class StartLog:
    """A folder in which each start of a run leaves a file of its own; a second one is told apart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def command(self, body: str = "exit 0") -> list[str]:
        """A command that logs its start, then does `body` in a shell."""
        return ["sh", "-c", _SCRIPT + body, str(self.folder)]

    def ending(self, code: int, body: str = "") -> list[str]:
        """A command that logs its start and, as the last thing it does, that it ends with `code`."""
        return self.command(body + _END.format(code=code))

    def ends(self) -> dict[tuple[str, int], int]:
        """(job, number of the run) -> the code it meant to end with, of each run that came to its end."""
        found = {}
        for path in self.folder.glob("end.*"):
            _, job, number = path.name.split(".")
            found[job, int(number)] = int(path.read_text() or -1)
        return found

    def starts(self) -> Counter[str]:
        """Job -> how many of its runs began."""
        return Counter(path.name.split(".")[1] for path in self.folder.glob("start.*"))

    def runs(self) -> set[tuple[str, int]]:
        """(job, number of the run) of each run that began."""
        return {
            (name.split(".")[1], int(name.split(".")[2])) for name in os.listdir(self.folder) if name[:6] == "start."
        }

    def violations(self) -> list[str]:
        """Runs that began twice, and jobs of which two runs lived at once."""
        return sorted(name for name in os.listdir(self.folder) if name.startswith(("again.", "two_live.")))


def processes_of(home: Path) -> dict[int, str]:
    """Pid -> command line of each living process that names `home` in its arguments or its environment.

    That is the daemon, its spawner and shims, workers and commands, and whatever inherited their environment.
    """
    found = {pid: command_of(pid, home) for pid in _pids() if pid != os.getpid()}
    return {pid: command for pid, command in found.items() if command is not None}


def command_of(pid: int, home: Path) -> str | None:
    """Its command line, if it lives and is a process of `home`."""
    mark = os.fsencode(home)
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None
    if state in "ZX" or not (mark in command or mark in environment):
        return None
    return command.replace(b"\0", b" ").decode(errors="replace").strip()


def variable_of(pid: int, name: str) -> str | None:
    """What a process was started with in its environment."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    start = f"{name}=".encode()
    return next((pair[len(start) :].decode() for pair in environment if pair.startswith(start)), None)


def children_of(pid: int) -> list[int]:
    """Of all its threads; those that have ended since are left out."""
    try:
        lists = [Path(f"/proc/{pid}/task/{thread}/children").read_text() for thread in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []
    return [int(child) for text in lists for child in text.split()]


def spawners_of(home: Path) -> list[int]:
    """The spawner and its shims, which are forks of it."""
    return [pid for pid, command in processes_of(home).items() if "/spawner/spawner.py" in command]


def beside(spawner: int | None, shims: Iterable[int], home: Path) -> set[int]:
    """The zygote and the wardens: forks of the spawner that hold no lock, each with its reason to be there."""
    near = {*([] if spawner is None else children_of(spawner)), *map(parent_of, filter(is_alive, shims))}
    return {pid for pid in near if "/spawner/spawner.py" in (command_of(pid, home) or "")}


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def slay(pid: int, home: Path) -> bool:
    """SIGKILL for a process that is proven to be of `home`; whether it was there to get it."""
    held = Held.take(pid, home)
    if held is None:
        return False
    with held:
        return held.send(signal.SIGKILL)


def slay_slot(leader: int, home: Path) -> int:
    """SIGKILL for the slot of a leader: its shim, or its warden if the run has lasted by now; the pid of it."""
    while True:
        above = parent_of(leader)
        if slay(above, home):
            return above


def slay_all(home: Path) -> None:
    """SIGKILL for all that is of `home`, until nothing of it is left."""
    deadline = time.monotonic() + 60
    while left := processes_of(home):
        for pid in left:
            slay(pid, home)
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


class Held:
    """A process that is proven to be of a home, by a pidfd: whatever is sent goes to it, or to nobody."""

    def __init__(self, pid: int, pidfd: int, command: str) -> None:
        self.pid = pid
        self.command = command
        self._pidfd = pidfd

    @classmethod
    def take(cls, pid: int, home: Path) -> Held | None:
        """None if it is gone, or somebody else's. First the pidfd, then the proof: the number may pass on."""
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return None
        command = command_of(pid, home)
        if command is None:
            os.close(pidfd)
            return None
        return cls(pid, pidfd, command)

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._pidfd)

    def send(self, number: int) -> bool:
        """Whether it was there to get it."""
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return False
        return True

    def ended_within(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def status(self) -> int | None:
        """The wait status of one that ended and was reaped, by whomever; None where the kernel does not tell (6.15)."""
        asked = _INFO.pack(_PIDFD_INFO_EXIT, *(0,) * 13)
        try:
            mask, *_, status = _INFO.unpack(fcntl.ioctl(self._pidfd, _PIDFD_GET_INFO, asked))
        except OSError:
            return None
        return int(status) if mask & _PIDFD_INFO_EXIT else None


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())
