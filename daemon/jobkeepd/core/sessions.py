"""Sessions: named long-lived processes that are handed out one client at a time. What an open does next. Pure.

A session is a job of a queue of its own, with a key, and is handed out under a lock. So there is at most one process of
a name, it outlives the daemon, its tree ends with it, and it is given back when its holder dies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from msgspec import Struct

from jobkeepd.core.model import Job, Moment

QUEUE = "sessions"
TRIES = 2  # checks in a row that a session which was ready may fail, before it counts as dead
SETTLED_AFTER = 1.0  # seconds after which a session without any check counts as ready


def key_of(name: str) -> str:
    """Of the session's job, and its lock."""
    return f"session:{name}"


def name_of_key(key: str) -> str:
    return key.removeprefix("session:")


def name_of(job: Job) -> str:
    return name_of_key(job.spec.key or "")


class Probe(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a session is asked whether it is well: exactly one of these.

    `http`: answers a GET with a status below 400. `tcp`: accepts a connection to HOST:PORT, or to that port of this
    host. `command`: exits with 0. `varlink`: answers GetInfo on that Unix socket. `output`: it has written a line in
    which this regular expression is found.
    """

    http: str | None = None
    tcp: str | int | None = None
    command: tuple[str, ...] | None = None
    varlink: str | None = None
    output: str | None = None

    def __post_init__(self) -> None:
        given = [name for name in self.__struct_fields__ if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"exactly one of {', '.join(self.__struct_fields__)} is needed")
        _CHECKS[given[0]](getattr(self, given[0]))

    @property
    def words(self) -> str:
        """As people read it."""
        kind = next(name for name in self.__struct_fields__ if getattr(self, name) is not None)
        value = getattr(self, kind)
        return f"{kind} {' '.join(value) if isinstance(value, tuple) else value}"


def host_and_port(address: str | int) -> tuple[str, int]:
    """Raises ValueError."""
    host, _, port = address.rpartition(":") if isinstance(address, str) else ("127.0.0.1", "", str(address))
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{address!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or not url.isprintable() or " " in url:
        raise ValueError(f"{url!r} is not an address like http://127.0.0.1:9515/status")
    _ = parts.port  # raises for one that is none


def _check_command(command: tuple[str, ...]) -> None:
    if not command or not command[0] or any("\0" in word for word in command):
        raise ValueError("the command has no name, or a NUL in it")


def _check_path(path: str) -> None:
    if not path.removeprefix("unix:").startswith("/") or "\0" in path:
        raise ValueError(f"{path!r} is not an absolute path of a socket, such as unix:/run/x/socket")


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None


_CHECKS: Mapping[str, Callable[[Any], object]] = {
    "http": _check_url, "tcp": host_and_port, "command": _check_command, "varlink": _check_path,
    "output": _check_pattern,
}  # fmt: skip

def trouble_with(name: str, command: Sequence[str], cwd: str, env: Mapping[str, str]) -> list[str]:
    """What types cannot say of a session's configuration."""
    told = []
    if len(key_of(name)) > 128:
        told.append(f"the name is longer than {128 - len(key_of(''))} characters")
    if cwd and not cwd.startswith("/"):
        told.append(f"cwd = {cwd!r}: an absolute path is expected")
    if not command[0] or any("\0" in word for word in (*command, cwd, *env, *env.values())):
        told.append("command: it has no name, or there is a NUL in it or around it")
    if any(not variable or "=" in variable for variable in env):
        told.append("env: the name of a variable is empty, or has = in it")
    return told


# none: there is no such process, nor anything that it has left. starting: it is on its way. ending: its leader has
# ended, or is being ended, and something of it is left.
Process: TypeAlias = Literal["none", "starting", "alive", "ending"]


class Seen(Struct, frozen=True, kw_only=True):
    """One look at a session, by whoever opens it. Durations in seconds.

    `complaint` is what the check said: None before it was asked, "" when it is well.
    """

    process: Process
    age: float = 0.0  # of the process
    waited: float = 0.0  # for the process to start, or for its end
    was_ready: bool = False
    complaint: str | None = None
    failures: int = 0  # checks in a row that it has failed
    changed: bool = False  # the configuration says something else by now
    starts: int = 0  # by this opener
    last: str = ""  # how the last process has ended


class Terms(Struct, frozen=True):
    """What the configuration allows, in seconds; `max_age` 0: any age."""

    start_timeout: float
    end_timeout: float
    max_age: float = 0.0


Do: TypeAlias = Literal["start", "check", "wait", "hand_out", "end", "fail"]


class Step(Struct, frozen=True):
    """What the opener does next; `reason` says why something is ended, or refused."""

    do: Do
    reason: str = ""


def decide_open(seen: Seen, terms: Terms) -> Step:
    """An open starts one process at most, and ends what it cannot hand out; each wait has an end."""
    match seen.process:
        case "none":
            return Step("fail", seen.last or "it has ended") if seen.starts else Step("start")
        case "starting":
            if seen.waited < terms.start_timeout:
                return Step("wait")
            return Step("end", f"it was not started within {terms.start_timeout:g} s")
        case "ending":
            if seen.waited < terms.end_timeout:
                return Step("wait")
            return Step("fail", f"what is left of the last one has not ended within {terms.end_timeout:g} s")
        case "alive":
            return _judge(seen, terms)


def _judge(seen: Seen, terms: Terms) -> Step:
    if not seen.starts:  # what was started for this very open is taken as it is
        if seen.changed:
            return Step("end", "its configuration has changed")
        if terms.max_age and seen.age >= terms.max_age:
            return Step("end", f"it is older than {terms.max_age:g} s")
    if seen.complaint is None:
        return Step("check")
    if not seen.complaint:
        return Step("hand_out")
    if not seen.was_ready and seen.age < terms.start_timeout:
        return Step("wait")
    if seen.failures < TRIES:
        return Step("wait")
    if seen.was_ready:
        return Step("end", f"it is not healthy: {seen.complaint}")
    return Step("end", f"it did not become ready within {terms.start_timeout:g} s: {seen.complaint}")


def process_of(job: Job | None, leader_alive: bool | None) -> Process:
    """`leader_alive`: None where the kernel would not tell."""
    if job is None:
        return "none"
    if job.stop is not None or job.state == "cancelling":
        return "ending"
    if job.state != "running" or job.run is None or job.run.state != "running":
        return "starting"
    return "ending" if leader_alive is False else "alive"


def age_of(job: Job | None, now: Moment) -> float:
    """Seconds since its process was started."""
    began = None if job is None or job.run is None else job.run.began
    if began is None or began.boot_id != now.boot_id:
        return 0.0
    return max(0.0, now.monotonic - began.monotonic)


SessionState: TypeAlias = Literal["starting", "ready", "in_use", "dead", "closed"]


def state_of(process: Process, *, in_use: bool, was_ready: bool, ended_by_itself: bool) -> SessionState:
    """As people see it. Whoever holds the name of a dead one still holds it: `in_use_by` says so."""
    match process:
        case "none":
            return "dead" if ended_by_itself else "closed"
        case "ending":
            return "dead"
        case "alive" if in_use and was_ready:
            return "in_use"
        case "alive" if was_ready:
            return "ready"
        case _:
            return "starting"
