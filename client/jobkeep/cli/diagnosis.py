"""What `jobkeep doctor` makes of what it has found: each row ok, warning or problem, with what to do. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from jobkeep.protocol.sizes import ROOM_NEEDED

OK, WARNING, PROBLEM = "ok", "warning", "problem"
MIB = 1 << 20
LITTLE = 512 * MIB  # bytes that are left on a disk
FEW_INODES = 10_000
FILES_NEEDED = 4096  # for 1,000 connections and as many runs
SLOW_COMMIT = 0.1  # seconds, on average


@dataclass(frozen=True)
class Row:
    """One finding. `hint` is what to do about it."""

    name: str
    level: str
    says: str
    hint: str | None = None


@dataclass(frozen=True)
class Place:
    """A file or folder of the daemon's. `kind`: dir, file, socket, link, other; None: there is none."""

    path: str
    kind: str | None = None
    mode: int = 0
    uid: int = 0
    read_only: bool = False  # its file system is


@dataclass(frozen=True)
class Disk:
    """Of the folder `path`, in bytes; `inodes` is None where the file system has any number."""

    path: str
    free: int
    size: int
    inodes: int | None


@dataclass(frozen=True)
class Facts:
    """All that was found. What could not be found is None."""

    client: str
    python: str
    uid: int
    status: dict[str, Any] | None = None  # of the daemon that answers
    silence: str | None = None  # why none does
    refused: bool = False  # one does, but says no more to this user
    advice: str | None = None  # what the refusal says to do
    named: bool = False  # its socket was named
    sqlite: str = ""
    config: dict[str, Any] | None = None  # what check-config reports
    config_failure: str | None = None
    places: dict[str, Place] = field(default_factory=dict)  # state, runtime, socket, database
    lock_holder: int | None = None  # of the state directory
    disks: list[Disk] = field(default_factory=list)
    files_limit: int | None = None  # of the daemon, else ours
    files_open: int | None = None
    delegated: bool | None = None  # the daemon's control group; None: there is no version 2
    linger: bool | None = None  # None: there is no logind
    synchronised: bool | None = None
    newest_ahead: float | None = None  # seconds by which the newest record is dated in the future
    hidden: bool = False  # /proc shows others' processes to nobody
    commit: float | None = None  # seconds, on average
    stale: int = 0  # slots in the runtime directory whose process is gone


def examine(facts: Facts) -> list[Row]:
    """Every row, in the order in which they are shown."""
    return [
        _daemon(facts), _versions(facts), _sqlite(facts), _config(facts),
        *(_folder(facts, name) for name in ("state", "runtime")), _socket(facts), _database(facts),
        *(_disk(disk) for disk in facts.disks), _commits(facts), _files(facts), _cgroup(facts), _linger(facts),
        _clock(facts), _records(facts), _proc(facts), _leftovers(facts),
    ]  # fmt: skip


def _daemon(facts: Facts) -> Row:
    if facts.status is not None:
        if facts.status.get("draining"):
            return Row("daemon", WARNING, "it drains: no job is started", "jobkeep daemon drain --off ends that")
        role = f"; this user is {role} there" if (role := facts.status.get("role")) else ""
        return Row("daemon", OK, f"pid {facts.status['pid']} answers on {facts.status['socket']}{role}")
    if facts.refused:
        hint = facts.advice or "ask whoever runs it for a role"
        return Row("daemon", WARNING, f"it answers, but not to this user: {facts.silence}", hint)
    if facts.lock_holder is not None:
        hint = "its log says what it does; jobkeep emergency ends it and all that it manages"
        return Row("daemon", PROBLEM, f"process {facts.lock_holder} runs and does not answer: {facts.silence}", hint)
    level = PROBLEM if facts.named else WARNING
    if any(place.read_only for place in facts.places.values()):
        return Row("daemon", level, f"none answers: {facts.silence}", "what is read-only below comes first")
    return Row("daemon", level, f"none answers: {facts.silence}", "jobkeep daemon start")


def _versions(facts: Facts) -> Row:
    theirs = facts.status["version"] if facts.status is not None else None
    if theirs is not None and theirs != facts.client:
        hint = "jobkeep daemon stop and start it again: jobs run on meanwhile"
        return Row("versions", WARNING, f"this is jobkeep {facts.client}, the daemon is {theirs}", hint)
    return Row("versions", OK, f"jobkeep {facts.client}, Python {facts.python}")


def _sqlite(facts: Facts) -> Row:
    version = facts.status["sqlite_version"] if facts.status is not None else facts.sqlite
    if version == "3.52.0":
        return Row("sqlite", WARNING, "3.52.0 was withdrawn by its makers", "use a Python with another SQLite")
    if has_wal_bug(version):
        says = f"{version} can damage a log that two connections write; the daemon has one that writes"
        return Row("sqlite", OK, says, "let no other program open the database: jobkeep sql, or a backup")
    return Row("sqlite", OK, version)


def has_wal_bug(version: str) -> bool:
    """3.7.0 to 3.51.2, but for 3.44.6 and 3.50.7 and what follows them in their lines."""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    if found is None:
        return True
    number = tuple(int(part or 0) for part in found.groups())
    mended = number[:2] in ((3, 44), (3, 50)) and number[2] >= {44: 6, 50: 7}[number[1]]
    return (3, 7, 0) <= number < (3, 51, 3) and not mended


def _config(facts: Facts) -> Row:
    report = facts.config
    if report is None:
        hint = "pip install 'jobkeep[daemon]', where the daemon is to run"
        return Row("configuration", WARNING, f"it cannot be checked: {facts.config_failure}", hint)
    if report["problems"]:
        says = "; ".join(placed(problem, report["file"]) for problem in report["problems"])
        return Row("configuration", PROBLEM, says, "jobkeep daemon check-config tells it line by line")
    return Row("configuration", OK, report["file"] or "no file: every key has its default")


def placed(problem: str, file: str | None) -> str:
    """With the file; problems of variables, and of a file that cannot be read, name them themselves."""
    return f"{file}: {problem}" if file and problem.startswith("[") else problem


def _folder(facts: Facts, name: str) -> Row:
    place = facts.places.get(name)
    title = f"{name} directory"
    if place is None:
        return Row(title, WARNING, "nobody knows where it is", "see the row configuration")
    if place.kind is None:
        return Row(title, OK, f"{place.path} is made by the first start")
    if place.kind != "dir":
        return Row(title, PROBLEM, f"{place.path} is no directory, or a link", "name another one, or move it away")
    if place.uid != _owner(facts):
        says = f"{place.path} belongs to uid {place.uid}, and the daemon is uid {_owner(facts)}"
        return Row(title, PROBLEM, says, f"chown {_owner(facts)} {place.path}")
    if place.read_only:
        hint = "mount it anew with -o remount,rw; where the kernel has done it, dmesg says why"
        return Row(title, PROBLEM, f"the file system of {place.path} is mounted read-only", hint)
    if place.mode & 0o022:
        return Row(title, PROBLEM, f"{place.path} has mode {place.mode:04o}", f"chmod 0700 {place.path}")
    if place.mode & 0o005:
        says = f"{place.path} has mode {place.mode:04o}: others can look into it"
        return Row(title, WARNING, says, f"chmod o-rx {place.path}")
    return Row(title, OK, f"{place.path}, mode {place.mode:04o}")


def _owner(facts: Facts) -> int:
    """The daemon's user: who has the database, or the directory, of a daemon that answers; else we."""
    state = facts.places.get("state")
    return state.uid if facts.status is not None and state is not None and state.kind == "dir" else facts.uid


def _socket(facts: Facts) -> Row:
    place = facts.places.get("socket")
    if place is None or place.kind is None:
        return Row("socket", OK, "there is none" if place is None else f"{place.path} is made by a start")
    if place.kind != "socket":
        return Row("socket", PROBLEM, f"{place.path} is no socket", "move it away, or name another socket")
    if facts.status is None and facts.lock_holder is None:
        return Row("socket", OK, f"{place.path} is left of a daemon that was killed", "the next start replaces it")
    return Row("socket", OK, f"{place.path}, mode {place.mode:04o}")


def _database(facts: Facts) -> Row:
    place = facts.places.get("database")
    if place is None or place.kind is None:
        return Row("database", OK, "there is none yet")
    if place.kind != "file":
        return Row("database", PROBLEM, f"{place.path} is no file", "restore a backup: jobkeep daemon restore FILE")
    if place.mode & 0o077:
        return Row("database", PROBLEM, f"{place.path}: others can read it", f"chmod 0600 {place.path}")
    return Row("database", OK, f"{place.path}, mode {place.mode:04o}; jobkeep daemon check reads all of it")


def _disk(disk: Disk) -> Row:
    says = f"{disk.path}: {disk.free // MIB:,} MiB are free"
    if disk.inodes is not None and disk.inodes < FEW_INODES:
        return Row("disk", PROBLEM, f"{disk.path}: {disk.inodes} inodes are free", "remove files from that disk")
    if disk.free >= LITTLE:
        return Row("disk", OK, says)
    needed = f"{ROOM_NEEDED // MIB} MiB"
    if disk.free < ROOM_NEEDED:
        hint = f"make room: once it is full no jobs are accepted until {needed} are free; those that run go on"
        return Row("disk", PROBLEM, says, hint)
    return Row("disk", WARNING, says, f"make room: below {needed} jobs are refused once it is full")


def _commits(facts: Facts) -> Row:
    if facts.commit is None:
        return Row("commits", OK, "none was measured")
    says = f"{facts.commit * 1000:.1f} ms on average"
    if facts.commit > SLOW_COMMIT:
        return Row("commits", WARNING, says, "its disk is slow or busy; the state directory may need another one")
    return Row("commits", OK, says)


def _files(facts: Facts) -> Row:
    if facts.files_limit is None:
        return Row("open files", OK, "not known here")
    used = "" if facts.files_open is None else f", {facts.files_open} are open"
    says = f"at most {facts.files_limit}{used}"
    hint = "LimitNOFILE= of its unit, or ulimit -n before it starts"
    if facts.files_open is not None and facts.files_open > 0.8 * facts.files_limit:
        return Row("open files", PROBLEM, says, hint)
    enough = facts.files_limit >= FILES_NEEDED
    return Row("open files", OK if enough else WARNING, says, None if enough else hint)


def _cgroup(facts: Facts) -> Row:
    if facts.delegated:
        return Row("control groups", OK, "each slot has its own")
    says = "not handed over: a process that hides is not found when its slot and the spawner are both killed"
    if facts.delegated is None:
        return Row("control groups", OK, "there are none of version 2 here, or no daemon to ask")
    return Row("control groups", WARNING, says, "Delegate=yes in its unit")


def _linger(facts: Facts) -> Row:
    runtime = facts.places.get("runtime")
    if facts.uid == 0 or runtime is None or not runtime.path.startswith(f"/run/user/{facts.uid}/"):
        return Row("linger", OK, "not needed: the runtime directory stays after a logout")
    if facts.linger:
        return Row("linger", OK, "the user's directories stay after a logout")
    says = f"at the last logout {runtime.path} goes, and with it what is known of running jobs"
    return Row("linger", WARNING, says, "loginctl enable-linger")


def _clock(facts: Facts) -> Row:
    if facts.synchronised is False:
        says = "not synchronised: due times and schedules go by it"
        return Row("clock", WARNING, says, "run chrony, systemd-timesyncd or another one for NTP")
    return Row("clock", OK, "synchronised" if facts.synchronised else "whether it is synchronised is not known here")


def _records(facts: Facts) -> Row:
    if facts.newest_ahead is not None and facts.newest_ahead > 5.0:
        says = f"the newest record is dated {facts.newest_ahead:.0f} s ahead: the clock was set back"
        return Row("time of records", WARNING, says, "leases and timeouts are not touched; due times wait for longer")
    return Row("time of records", OK, "not ahead of the clock")


def _proc(facts: Facts) -> Row:
    if facts.hidden:
        says = "hidepid: whose the processes of other users are, nobody can tell"
        return Row("/proc", WARNING, says, "families and orphans of other users are not seen; mount it with hidepid=0")
    return Row("/proc", OK, "shows all processes")


def _leftovers(facts: Facts) -> Row:
    if facts.stale and facts.status is None:
        return Row("leftovers", OK, f"{facts.stale} slots of a daemon that was killed", "the next start sees to them")
    return Row("leftovers", OK, "none")
