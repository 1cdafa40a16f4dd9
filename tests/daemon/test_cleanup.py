"""Clean-up by a real daemon: what it ends, what it must not touch, and what it puts on record."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import jobkeep
from crash.judges import Held, is_alive, parent_of, slay_all, spawners_of
from jobkeep.protocol.processes import Process
from jobkeep.testing import PrivateDaemon

from .conftest import command_line

PATIENCE = 60.0
DRIVER, BROWSER = f"x7d{os.getpid()}", f"x7b{os.getpid()}"  # of no daemon that is tested beside this one


@pytest.fixture(scope="module")
def daemon() -> Iterator[PrivateDaemon]:
    settings = {"DRIVER_MATCH": DRIVER, "BROWSER_MATCH": BROWSER, "BROWSER_CHILD_OF": "driver"}
    private = PrivateDaemon(
        JOBKEEP_CLEANUP_ORPHANED_FOR="1s",
        JOBKEEP_CLEANUP_GRACE="1s",
        JOBKEEP_CLEANUP_INTERVAL="1d",  # none comes by itself
        JOBKEEP_CLEANUP_SCHEDULE="",
        JOBKEEP_JOBS_GRACE="1s",
        **{f"JOBKEEP_FAMILIES_{name}": value for name, value in settings.items()},
    )
    with private:
        yield private
        private.stop()
        slay_all(private.home)


@pytest.fixture
def jk(daemon: PrivateDaemon) -> Iterator[jobkeep.BlockingClient]:
    with jobkeep.connect_blocking(str(daemon.socket), autostart=False) as client:
        yield client


def until(true: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def pids_in(folder: Path, count: int) -> list[int]:
    """That processes have written into files of their own; each is whole once its line ends."""
    found: list[int] = []

    def all_there() -> bool:
        texts = [path.read_text() for path in folder.glob("pid.*")]
        found[:] = [int(text) for text in texts if text.endswith("\n")]
        return len(found) == count

    until(all_there, f"{count} processes of {folder}")
    return found


def by_pid(processes: list[Process]) -> dict[int, Process]:
    return {process.pid: process for process in processes}


def test_what_hid_from_a_run_is_known_by_those_who_saw_it(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient, tmp_path: Path
) -> None:
    """No cookie, a session of its own, and slot, spawner and leader were killed: it was seen beneath its run before."""
    hidden = f"env -i setsid sh -c 'echo $$ > {tmp_path}/pid.1; exec sleep 600'"
    job = jk.run(["sh", "-c", f"{hidden} & echo $$ > {tmp_path}/pid.2; exec sleep 601"])
    first, second = pids_in(tmp_path, 2)
    leader, child = (first, second) if (tmp_path / "pid.2").read_text().split() == [str(first)] else (second, first)
    with Held.take(leader, daemon.home) as held:  # type: ignore[union-attr]
        until(lambda: by_pid(jk.processes())[child].age_s > 1.5, "it is old enough to be told from others")
        seen = by_pid(jk.processes())[child]
        assert (seen.verdict, seen.run, seen.action) == ("owned", f"{job.id}.1", "protected")
        assert jk.cleanup(dry_run=True).killed_count == 0
        kill_spawners(daemon.home)
        held.send(signal.SIGKILL)
    until(lambda: job.info().state == "failed", "the run is lost")
    assert is_alive(child)
    orphan = by_pid(jk.processes(orphans=True))[child]
    assert (orphan.verdict, orphan.evidence, orphan.action) == ("orphan", ["seen"], "would_kill")
    done = jk.cleanup(reason="a test")
    assert (done.killed_count, by_pid(done.processes)[child].action, done.survivors) == (1, "killed", [])
    assert not is_alive(child)
    said = command_line(daemon.socket, daemon.home, "history", job.id, "--json").stdout.splitlines()
    (row,) = [json.loads(line) for line in said if json.loads(line)["kind"] == "signalled" and str(child) in line]
    assert (row["by"]["uid"], row["data"]["pid"], row["data"]["evidence"]) == (os.getuid(), child, ["seen"])
    assert {"boot_id", "start_ticks", "pidfd_inode", "command", "reason", "signal", "cause"} <= row["data"].keys()


def kill_spawners(home: Path) -> None:
    """All have stopped before the first one dies: none sees another's end, and none hands its run over meanwhile."""
    stopped: dict[int, Held] = {}
    while others := [pid for pid in spawners_of(home) if pid not in stopped]:
        for pid in others:
            held = Held.take(pid, home)
            if held is not None and held.send(signal.SIGSTOP):
                stopped[pid] = held
    for held in stopped.values():
        with held:
            held.send(signal.SIGKILL)


def signals(job: jobkeep.Job) -> list[tuple[str, str, str]]:
    """What its history says of them: signal, scope, reason."""
    said = [event.data for event in job.history() if event.kind == "signalled"]
    return [(str(each["signal"]), str(each["scope"]), str(each["reason"])) for each in said]


def test_every_signal_of_a_run_is_in_its_history(jk: jobkeep.BlockingClient, tmp_path: Path) -> None:
    """Of a cancellation that is ignored, and of what the run leaves behind."""
    hidden = f"env -i setsid sh -c 'trap \"\" TERM; echo $$ > {tmp_path}/pid.1; while :; do sleep 0.1; done' &"
    job = jk.run(["sh", "-c", f"trap '' TERM; {hidden} echo $$ > {tmp_path}/pid.2; while :; do sleep 0.1; done"])
    pids_in(tmp_path, 2)
    job.cancel(reason="enough")
    assert job.wait(timeout=PATIENCE).state == "cancelled"
    asked, killed, *left = signals(job)
    assert asked == ("SIGTERM", "group", "the job was cancelled: enough")
    assert killed == ("SIGKILL", "tree", "the job was cancelled: enough")
    assert ("SIGKILL", "process", "its run has ended, and has left it behind") in left
    told = {event.data["pid"] for event in job.history() if event.kind == "signalled"}
    assert {int((tmp_path / f"pid.{number}").read_text()) for number in (1, 2)} <= told


def test_who_wants_to_stay_stays_and_keeps_its_slot(jk: jobkeep.BlockingClient, tmp_path: Path) -> None:
    """The run is over at once; neither its end nor a clean-up ends the keeper."""
    keeper_begins = f"JOBKEEP_KEEP=1 sh -c 'echo $$ > {tmp_path}/pid.1; exec sleep 600' &"
    until_it_has = f"while [ ! -s {tmp_path}/pid.1 ]; do sleep 0.01; done"
    job = jk.run(["sh", "-c", f"{keeper_begins} {until_it_has}"], grace="60s")
    (keeper,) = pids_in(tmp_path, 1)
    assert job.wait(timeout=PATIENCE).state == "succeeded"
    assert jk.run(["true"]).wait(timeout=PATIENCE).state == "succeeded"
    assert jk.cleanup().killed_count == 0
    assert is_alive(keeper)
    assert signals(job) == []
    os.kill(keeper, signal.SIGKILL)


class Family:
    """Programs that go by the names of the configured families, and say who they are in files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shell = os.path.realpath(shutil.which("bash") or "/bin/sh")
        for name in (DRIVER, BROWSER):
            shutil.copy(shell, folder / name)
        self.driver = f"{folder}/{DRIVER}"
        browser = f"{folder}/{BROWSER} -c 'echo $$ > {folder}/pid.$$; while :; do sleep 1; done'"
        self.script = f"echo $$ > {folder}/pid.$$; {browser} & {browser} & while :; do sleep 1; done"


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    yield Family(tmp_path)
    for path in tmp_path.glob("pid.*"):
        pid = int(path.read_text())
        with suppress(FileNotFoundError):
            if os.readlink(f"/proc/{pid}/exe").startswith(str(tmp_path)):
                os.kill(pid, signal.SIGKILL)


def test_an_orphaned_driver_goes_with_its_browsers(jk: jobkeep.BlockingClient, family: Family) -> None:
    """None of them has anything of ours about it but their names, their lost parent, and our uid."""
    subprocess.run(["sh", "-c", '"$0" -c "$1" &', family.driver, family.script], start_new_session=True, check=True)
    pids = pids_in(family.folder, 3)
    driver = next(pid for pid in pids if os.readlink(f"/proc/{pid}/exe") == family.driver)
    if parent_of(driver) != 1:
        pytest.skip(f"orphans fall to process {parent_of(driver)} here, which is no known subreaper")
    until(lambda: all(by_pid(jk.processes())[pid].action == "would_kill" for pid in pids), "it is an orphan for 1 s")
    done = jk.cleanup()
    assert {process.pid for process in done.processes if process.action == "killed"} == set(pids)
    assert not any(is_alive(pid) for pid in pids)


@contextmanager
def killed(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """At the end, also of a test that has failed: it would be waited for in vain."""
    try:
        yield
    finally:
        process.kill()


def test_a_family_with_a_parent_or_under_a_run_is_left(jk: jobkeep.BlockingClient, family: Family) -> None:
    """Whatever it is called."""
    with subprocess.Popen([family.driver, "-c", family.script], start_new_session=True) as parent, killed(parent):
        foreign = pids_in(family.folder, 3)
        job = jk.run([family.driver, "-c", family.script])
        mine = set(pids_in(family.folder, 6)) - set(foreign)
        until(lambda: by_pid(jk.processes())[max(mine)].age_s > 1.5, "older than orphaned_for")
        done = jk.cleanup()
        rows = by_pid(done.processes)
        assert done.killed_count == 0
        assert {rows[pid].action for pid in foreign} == {"left"}
        assert {(rows[pid].action, rows[pid].run) for pid in mine} == {("protected", f"{job.id}.1")}
        assert {rows[pid].family for pid in mine} == {"driver", "browser"}
        assert all(is_alive(pid) for pid in (*foreign, *mine))
    job.cancel(force=True)
