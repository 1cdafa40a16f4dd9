"""Takes the place of a daemon that need not answer: finds it, ends it through a pidfd, and holds its locks."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import closing
from pathlib import Path

from jobkeepd import instance
from jobkeepd.errors import AlreadyRunning, NotAdministrator
from jobkeepd.rpc.peer import peer_of
from jobkeepd.runner.process_state import has_ended
from jobkeepd.spawner import record

DAEMONS = 20  # that are ended one after the other: its manager may start it again and again
DIES_WITHIN = 5.0


def listener_of(path: str) -> tuple[dict[str, str], Path | None] | None:
    """Environment and configuration file of the daemon that listens there, if one does. It need not answer.

    Raises NotAdministrator.
    """
    with closing(socket.socket(socket.AF_UNIX)) as asking:
        asking.settimeout(DIES_WITHIN)
        try:
            asking.connect(path)
            pid = peer_of(asking).pid
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except PermissionError:
            raise NotAdministrator(f"{path}: permission denied; an emergency is for its user and for root") from None
        except OSError:
            return None
    words = [os.fsdecode(word) for word in command.split(b"\0")]
    if pid == 1 or not any("jobkeepd" in word for word in words):  # the one who made the socket for it
        return None
    pairs = (os.fsdecode(pair).partition("=") for pair in environment.split(b"\0") if b"=" in pair)
    named = next((Path(value) for option, value in zip(words, words[1:], strict=False) if option == "--config"), None)
    return {name: value for name, _, value in pairs}, named


def become_owner(state: Path) -> None:
    """As root, take on the user that the daemon runs as: its files stay its own. Raises NotAdministrator."""
    try:
        seen = state.stat()
    except FileNotFoundError:
        return
    if seen.st_uid == os.geteuid():
        return
    if os.geteuid() != 0:
        raise NotAdministrator(f"{state} is uid {seen.st_uid}'s: this is for that user and for root")
    os.setgroups([])
    os.setgid(seen.st_gid)
    os.setuid(seen.st_uid)


def take_over(*directories: Path) -> tuple[list[instance.InstanceLock], list[int]]:
    """Hold the locks of a daemon, whose holders are ended for that; and who they were."""
    ended: list[int] = []
    held = []
    for directory in directories:
        for _ in range(DAEMONS):
            try:
                held.append(instance.InstanceLock(directory))
                break
            except AlreadyRunning as busy:
                if busy.pid is None or busy.pid == os.getpid():
                    raise
                if end_holder(busy.pid, directory):
                    ended.append(busy.pid)
        else:
            raise AlreadyRunning(str(directory), ended[-1] if ended else None)
    return held, ended


def end_holder(pid: int, directory: Path) -> bool:
    """SIGKILL for the process that holds the lock; False if by now another one does, or nobody.

    The lock goes with its holder: who has it after the pidfd was opened is who the pidfd keeps to.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if lock_holder(directory) != pid:
            return False
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        if not has_ended(pidfd, DIES_WITHIN):
            raise AlreadyRunning(str(directory), pid)  # in uninterruptible sleep: nobody can take its place
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(pidfd)


def lock_holder(directory: Path) -> int | None:
    """Who has the lock of a daemon there. Not for a directory whose lock we hold: to look would give it up."""
    return record.lock_holder(str(directory / "lock"))
