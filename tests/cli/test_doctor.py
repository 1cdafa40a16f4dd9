"""jobkeep doctor: what it makes of what it finds, and that it finds it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.conftest import Jobkeep
from cli.fake_daemon import FakeDaemon, Fault
from jobkeep import __version__
from jobkeep.cli import symptoms
from jobkeep.cli.commands import demo
from jobkeep.cli.diagnosis import MIB, Disk, Facts, Place, examine, has_wal_bug
from jobkeep.cli.failures import Failure
from jobkeep.testing import PrivateDaemon

STATUS = {"version": "1", "pid": 7, "socket": "/s", "sqlite_version": "3.51.3", "state_dir": "/v", "runtime_dir": "/r"}
WELL = Facts(
    client="1", python="3.13", uid=5, status=STATUS, config={"problems": [], "file": "/c", "values": []},
    places={
        "state": Place("/v", "dir", 0o700, 5), "runtime": Place("/r", "dir", 0o750, 5),
        "socket": Place("/s", "socket", 0o600, 5), "database": Place("/v/jobs.sqlite", "file", 0o600, 5),
    },
    disks=[Disk("/v", 9000 * MIB, 9999 * MIB, 10**6)], files_limit=65536, files_open=30, delegated=True, linger=False,
    synchronised=True, newest_ahead=-3.0, commit=0.004,
)  # fmt: skip
SILENT = replace(WELL, status=None, silence="nobody listens", sqlite="3.51.3")


def of(**changes: Any) -> Facts:
    return replace(WELL, **changes)


def place(name: str, **changes: Any) -> Facts:
    return of(places={**WELL.places, name: replace(WELL.places[name], **changes)})


def test_all_is_well() -> None:
    """Every row is ok, and says something."""
    assert {row.level for row in examine(WELL)} == {"ok"}
    assert all(row.says for row in examine(WELL))


@pytest.mark.parametrize(
    ("facts", "name", "level", "word"),
    [
        (SILENT, "daemon", "warning", "nobody listens"),
        (replace(SILENT, named=True), "daemon", "problem", "nobody listens"),
        (replace(SILENT, lock_holder=99), "daemon", "problem", "process 99 runs and does not answer"),
        (of(status={**STATUS, "draining": True}), "daemon", "warning", "drains"),
        (of(client="2"), "versions", "warning", "the daemon is 1"),
        (of(status={**STATUS, "sqlite_version": "3.52.0"}), "sqlite", "warning", "withdrawn"),
        (of(status={**STATUS, "sqlite_version": "3.40.1"}), "sqlite", "ok", "one that writes"),
        (of(config={"problems": ["[x]: bad"], "file": "/c"}), "configuration", "problem", "/c: [x]: bad"),
        (of(config=None, config_failure="no structlog"), "configuration", "warning", "no structlog"),
        (place("state", kind="link"), "state directory", "problem", "no directory"),
        (place("state", read_only=True), "state directory", "problem", "mounted read-only"),
        (replace(SILENT, refused=True), "daemon", "warning", "it answers, but not to this user"),
        (place("runtime", mode=0o770), "runtime directory", "problem", "mode 0770"),
        (place("runtime", uid=6), "runtime directory", "problem", "belongs to uid 6"),
        (place("state", mode=0o755), "state directory", "warning", "look into it"),
        (place("state", kind=None), "state directory", "ok", "made by the first start"),
        (place("socket", kind="file"), "socket", "problem", "no socket"),
        (SILENT, "socket", "ok", "left of a daemon"),
        (place("database", mode=0o640), "database", "problem", "others can read it"),
        (place("database", kind="link"), "database", "problem", "no file"),
        (of(disks=[Disk("/v", 12 * MIB, 1, 10**6)]), "disk", "problem", "12 MiB"),
        (of(disks=[Disk("/v", 13 * MIB, 1, 10**6)]), "disk", "warning", "13 MiB"),
        (of(disks=[Disk("/v", 500 * MIB, 1, None)]), "disk", "warning", "500 MiB"),
        (of(disks=[Disk("/v", 9000 * MIB, 1, 9)]), "disk", "problem", "9 inodes"),
        (of(commit=0.25), "commits", "warning", "250.0 ms"),
        (of(files_limit=1024), "open files", "warning", "1024"),
        (of(files_limit=1024, files_open=900), "open files", "problem", "900 are open"),
        (of(delegated=False), "control groups", "warning", "not handed over"),
        (place("runtime", path="/run/user/5/jobkeep"), "linger", "warning", "last logout"),
        (of(synchronised=False), "clock", "warning", "not synchronised"),
        (of(newest_ahead=3600.0), "time of records", "warning", "3600 s ahead"),
        (of(hidden=True), "/proc", "warning", "hidepid"),
        (replace(SILENT, stale=3), "leftovers", "ok", "3 slots"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_do(facts: Facts, name: str, level: str, word: str) -> None:
    """In its own row; and of what is not ok the hint says what to do."""
    row = next(row for row in examine(facts) if row.name == name)

    assert (row.level, word in row.says) == (level, True), row
    assert row.hint or level == "ok"


@pytest.mark.parametrize(
    ("version", "has"),
    [
        ("3.6.23", False), ("3.7.0", True), ("3.40.1", True), ("3.44.5", True), ("3.44.6", False), ("3.50.6", True),
        ("3.50.7", False), ("3.51", True), ("3.51.2", True), ("3.51.3", False), ("3.53.2", False), ("what", True),
    ],
)  # fmt: skip
def test_the_versions_of_sqlite_with_the_bug_are_known(version: str, has: bool) -> None:
    """Of logs that two connections write: from 3.7.0 to 3.51.2, but for two lines that were mended."""
    assert has_wal_bug(version) is has


def test_looks_at_files_find_what_there_is(tmp_path: Path) -> None:
    """Kinds, holders of locks by the kernel's word, and the disk of a folder that is yet to be made."""
    (tmp_path / "file").touch(0o640)
    (tmp_path / "link").symlink_to(tmp_path)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
    assert symptoms.place_of(str(tmp_path / "file")) == Place(str(tmp_path / "file"), "file", 0o640, os.getuid())
    assert [symptoms.place_of(str(tmp_path / name)).kind for name in ("link", "s", "none")] == ["link", "socket", None]
    assert symptoms.disks([f"{tmp_path}/a/b", str(tmp_path)])[0].path == str(tmp_path)

    holding = "import fcntl, sys; f = open(sys.argv[1], 'rb+'); fcntl.lockf(f, fcntl.LOCK_EX); print('held'); input()"
    (tmp_path / "slots").mkdir()
    for name in ("held.lock", "stale.lock", "x.socket"):
        (tmp_path / "slots" / name).touch()
    path = str(tmp_path / "slots" / "held.lock")
    holder = subprocess.Popen(
        [sys.executable, "-c", holding, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert (symptoms.lock_holder(path), symptoms.stale_slots(str(tmp_path))) == (holder.pid, 1)
    holder.communicate("\n")
    assert (symptoms.lock_holder(path), symptoms.lock_holder("/none")) == (None, None)


def test_looks_at_the_host_tell_or_say_that_they_cannot(tmp_path: Path) -> None:
    """Limits of this process, mounts of /proc; of no process nothing is known."""
    assert symptoms.files_limit(os.getpid()) == os.sysconf("SC_OPEN_MAX")
    assert (symptoms.files_limit(1 << 22), symptoms.files_open(1 << 22), symptoms.delegated(1 << 22)) == (None,) * 3
    mounts = tmp_path / "mounts"
    for options, hidden in (("rw,hidepid=2", True), ("rw,hidepid=off", False), ("rw", False)):
        mounts.write_text(f"sys /sys sysfs rw 0 0\nproc /proc proc {options} 0 0\n")
        assert symptoms.hidden_processes(str(mounts)) is hidden
    assert symptoms.synchronised() in (True, False, None)
    assert symptoms.linger(str(tmp_path)) in (False, None)


def test_a_file_system_that_is_mounted_read_only_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its flag: root may write by modes alone, and the database's row would say nothing."""
    assert not symptoms.place_of(str(tmp_path)).read_only
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY | os.ST_NOSUID))

    assert symptoms.place_of(str(tmp_path)).read_only


def test_a_daemon_that_refuses_this_user_is_no_daemon_that_is_missing(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """What the refusal says to do is what is told, and not to start another one."""
    def refuse(_: object) -> dict[str, Any]:
        raise Fault("org.jobkeep.Admin.NotPermitted", message="user 6 has no role here", hint="ask root")

    daemon.answers["Status"] = refuse
    found = {row["name"]: row for row in jobkeep("doctor", "--json").json["rows"]}

    assert (found["daemon"]["level"], found["daemon"]["hint"]) == ("warning", "ask root")
    assert "user 6 has no role here" in found["daemon"]["says"]


def test_without_a_daemon_it_looks_at_all_the_rest(
    jobkeep: Jobkeep, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """A named socket on which nobody listens is a problem: exit code 1; nothing is started."""

    def missing(*_: object, **__: object) -> dict[str, Any]:
        raise Failure("jobkeepd cannot run here; structlog is not installed", 1)

    monkeypatch.setattr(symptoms, "jobkeepd", missing)
    done = jobkeep("doctor", "--json")

    rows = {row["name"]: row for row in done.json["rows"]}
    assert (done.code, done.json["ok"], rows["daemon"]["level"]) == (1, False, "problem")
    assert "structlog is not installed" in rows["configuration"]["says"]
    assert os.listdir(folder) == []


def test_it_is_a_table_with_what_to_do(jobkeep: Jobkeep, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """-q leaves out what is ok."""
    monkeypatch.setattr("jobkeep.cli.symptoms.look", lambda _: of(delegated=False, commit=0.25))
    done = jobkeep("doctor", "-q")

    assert done.out == (
        "! warning  commits         250.0 ms on average\n"
        "                           → its disk is slow or busy; the state directory may need another one\n"
        "! warning  control groups  not handed over: a process that hides is not found when its slot and the spawner"
        " are both killed\n"
        "                           → Delegate=yes in its unit\n"
    )
    assert done.code == 0
    assert len(jobkeep("doctor").out.splitlines()) > 15


def test_a_real_daemon_is_looked_at(jobkeep: Jobkeep, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it has its files, how fast it commits, how many files it may open; and nothing of it is a problem."""
    private = PrivateDaemon()
    with private as jk:
        assert jk.run(["true"]).result() == 0
        monkeypatch.setenv("JOBKEEP_SOCKET", str(private.socket))
        monkeypatch.setenv("JOBKEEP_CONFIG", "")
        done = jobkeep("doctor", "--json")
    rows = {row["name"]: row for row in done.json["rows"]}

    assert (done.code, done.json["ok"]) == (0, True), done.out
    assert f"pid {rows['daemon']['says'].split()[1]} answers" in rows["daemon"]["says"]
    assert rows["versions"]["says"].startswith(f"jobkeep {__version__}, ")
    assert rows["database"]["says"].startswith(f"{private.home}/state/jobs.sqlite, mode 0600")
    assert rows["commits"]["says"].endswith(" ms on average")
    assert "are open" in rows["open files"]["says"]


def test_the_demo_says_what_is_missing_for_it(jobkeep: Jobkeep, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel has the daemon's code; what that imports comes with an extra."""
    monkeypatch.setattr(demo, "is_installed", lambda: False)
    done = jobkeep("demo")

    assert done.code == 2
    assert done.err.splitlines()[1] == "hint: pip install 'jobkeep[daemon]'"
