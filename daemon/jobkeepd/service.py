"""What systemd hands to the daemon and hears from it: the socket, the watchdog, a line on how it goes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from typing import Final

import anyio

from jobkeep.protocol.vocabulary import JobState
from jobkeepd.errors import BadConfig
from jobkeepd.notify import notify
from jobkeepd.rpc.address import Address, bind, inherited
from jobkeepd.store.base import Store

_FIRST_FD: Final = 3  # sd_listen_fds(3)
_TELL: Final = 5.0  # seconds between two lines of STATUS


def address(path: str, backlog: int, environ: Mapping[str, str] = os.environ) -> Address:
    """The socket that systemd has opened for this process, else one of our own at `path`. Raises BadConfig."""
    fd = handed_over(environ, os.getpid())
    return bind(path, backlog) if fd is None else inherited(fd)


def handed_over(environ: Mapping[str, str], pid: int) -> int | None:
    """The descriptor of the one socket that is meant for us. Raises BadConfig where there are several."""
    if environ.get("LISTEN_PID") != str(pid):
        return None  # nothing, or meant for a process that we descend from
    sockets = environ.get("LISTEN_FDS", "")
    if sockets != "1":
        raise BadConfig([f"systemd hands over {sockets or 'no'} sockets; the daemon listens on one"])
    return _FIRST_FD


def watchdog(environ: Mapping[str, str], pid: int) -> float | None:
    """Seconds between two signs of life, at half of what systemd waits; None where it waits for none."""
    allowed, meant_for = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", str(pid))
    if not allowed.isascii() or not allowed.isdigit() or int(allowed) == 0 or meant_for != str(pid):
        return None
    return int(allowed) / 2e6


def status_line(counts: Mapping[tuple[str, JobState], int]) -> str:
    """What `systemctl status` shows."""
    states: Counter[str] = Counter()
    for (_, state), count in counts.items():
        states[state] += count
    return f"{states['running'] + states['cancelling']} running, {states['queued']} queued"


async def keep_alive() -> None:
    """Say that the loop turns. It does nothing else, so that only a loop that does not turn keeps it from it."""
    interval = watchdog(os.environ, os.getpid())
    while interval is not None:
        notify("WATCHDOG=1")
        await anyio.sleep(interval)


async def keep_telling(store: Store) -> None:
    """Say how it goes, when that has changed."""
    told = ""
    while os.environ.get("NOTIFY_SOCKET"):
        line = status_line(await store.counts())
        if line != told:
            notify(f"STATUS={line}")
            told = line
        await anyio.sleep(_TELL)
