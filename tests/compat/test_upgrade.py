"""A daemon of the next version takes over from ours, and ours from it: what runs goes on, what is new starts anew."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import jobkeep
from crash.judges import StartLog, parent_of, processes_of, slay, slay_slot, spawners_of
from jobkeep.testing import PrivateDaemon
from jobkeepd.spawner import record

from .conftest import NEXT, PRESENT, Version, VersionedDaemon

PATIENCE = "60s"
WAYS = pytest.mark.parametrize(("before", "after"), [(PRESENT, NEXT), (NEXT, PRESENT)], ids=["upgrade", "downgrade"])


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Look until it holds; another process makes it hold."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.01)


def change(daemon: VersionedDaemon, after: Version) -> jobkeep.BlockingClient:
    """Kill the daemon, and start one of another version in its place."""
    daemon.kill()
    daemon.version = after
    return daemon.start()


def started(daemon: VersionedDaemon, version: Version) -> jobkeep.BlockingClient:
    daemon.version = version
    return daemon.start()


def is_of(pid: int, version: Version) -> bool:
    """Whether a spawner or a shim is of that version."""
    path = f"/slots-{version.slots}/" if version != PRESENT else "/jobkeepd/spawner/"
    try:
        return path in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:  # it has ended since it was seen
        return False


@WAYS
def test_commands_go_on_and_end_as_they_do(daemon: VersionedDaemon, before: Version, after: Version) -> None:
    """One ends while no daemon is there, one later: true exits, whole output, each started once."""
    starts, gates = StartLog(daemon.home / "starts"), [daemon.home / f"gate{n}" for n in range(2)]
    with started(daemon, before) as jk:
        bodies = [f"echo one; while [ ! -e {gate} ]; do sleep 0.01; done; echo two; exit 7" for gate in gates]
        jobs = [jk.run(starts.command(body)).id for body in bodies]
        wait_for(lambda: len(starts.runs()) == 2)
    daemon.kill()
    gates[0].touch()
    wait_for(lambda: sum("two" in path.read_text() for path in (daemon.home / "state/logs/seats").iterdir()) == 1)
    with change(daemon, after) as jk:
        assert jk.job(jobs[1]).info().state == "running"
        gates[1].touch()
        for job in jobs:
            info = jk.job(job).wait(timeout=PATIENCE)
            assert info.outcome is not None
            assert (info.state, info.outcome.exit_code, info.attempt) == ("failed", 7, 1)
            assert b"".join(chunk.data for chunk in jk.job(job).logs(raw=True)) == b"one\ntwo\n"
    assert starts.starts() == dict.fromkeys(jobs, 1)
    assert starts.violations() == []


@WAYS
def test_a_running_command_can_be_cancelled_and_leaves_nothing(
    daemon: VersionedDaemon, before: Version, after: Version
) -> None:
    """Also what has left its session and its environment behind, and ignores SIGTERM."""
    escaped = daemon.home / "escaped"
    script = f"(env -i setsid sh -c 'trap \"\" TERM; echo $$ > {escaped}; while :; do sleep 1; done' &) ; sleep 600"
    with started(daemon, before) as jk:
        job = jk.run(["sh", "-c", script]).id
        wait_for(lambda: escaped.exists() and escaped.read_text().strip())
    with change(daemon, after) as jk:
        jk.job(job).cancel()
        assert jk.job(job).wait(timeout=PATIENCE).state == "cancelled"
        assert not Path(f"/proc/{escaped.read_text().strip()}").exists()


@WAYS
def test_new_runs_start_on_new_slots_and_the_old_ones_go(
    daemon: VersionedDaemon, before: Version, after: Version
) -> None:
    """A slot of another version ends with its run, and with the last one their spawner."""
    gate = daemon.home / "gate"
    with started(daemon, before) as jk:
        old = jk.run(["sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.01; done"])
        wait_for(lambda: old.info().state == "running")
    with change(daemon, after) as jk:
        new = jk.run(["sh", "-c", "echo $$; exec sleep 600"])
        leader = int(next(iter(new.logs(follow=True))))
        wait_for(lambda: is_of(parent_of(leader), after))  # its shim, or its warden once the run has lasted
        assert any(is_of(pid, before) for pid in spawners_of(daemon.home))
        gate.touch()
        assert jk.job(old.id).wait(timeout=PATIENCE).state == "succeeded"
        wait_for(lambda: not any(is_of(pid, before) for pid in spawners_of(daemon.home)))
        assert jk.job(new.id).info().state == "running"


@WAYS
def test_a_shim_killed_after_the_change_costs_nothing(daemon: VersionedDaemon, before: Version, after: Version) -> None:
    """The spawner that made way tells the exit."""
    gate = daemon.home / "gate"
    with started(daemon, before) as jk:
        running = jk.run(["sh", "-c", f"echo $$; while [ ! -e {gate} ]; do sleep 0.01; done; exit 9"])
        job, leader = running.id, int(next(iter(running.logs(follow=True))))
    with change(daemon, after) as jk:
        slay_slot(leader, daemon.home)
        gate.touch()
        outcome = jk.job(job).wait(timeout=PATIENCE).outcome
        assert outcome is not None
        assert (outcome.kind, outcome.exit_code) == ("failed", 9)


@pytest.mark.parametrize(
    ("before", "after", "absent"),
    [
        (PRESENT, NEXT, True),
        (PRESENT, NEXT, False),
        (NEXT, PRESENT, False),
        (PRESENT, NEXT._replace(slots=PRESENT.slots), False),
    ],
    ids=["upgrade_meanwhile", "upgrade", "downgrade", "upgrade_of_workers_alone"],
)
def test_a_batch_goes_on_and_loses_nothing(
    daemon: VersionedDaemon, before: Version, after: Version, absent: bool
) -> None:
    """Each item once; then its worker goes, and the next function gets a fresh one."""
    log, gate = daemon.home / "items", daemon.home / "gate"
    with started(daemon, before) as jk:
        job = jk.call("jobs:batch", {"log": str(log), "gate": str(gate)}, cwd=str(daemon.home)).id
        wait_for(lambda: log.exists() and len(log.read_text().split()) == 7)
        (worker,) = workers_of(daemon)
    daemon.kill()
    if absent:
        gate.touch()
        wait_for(lambda: list((daemon.home / "state/spool").glob("*.finish")))
    with change(daemon, after) as jk:
        gate.touch()
        assert jk.job(job).result(timeout=PATIENCE) == {"even": 10, "odd": 8, "failed": 2}
        assert jk.job(job).info().attempt == 1
        assert jk.call("jobs:pid", cwd=str(daemon.home)).result(timeout=PATIENCE) != worker
        wait_for(lambda: worker not in workers_of(daemon))
    assert sorted(map(int, log.read_text().split())) == list(range(20))


def workers_of(daemon: PrivateDaemon) -> list[int]:
    return [pid for pid, command in processes_of(daemon.home).items() if "jobkeep.worker" in command]


def test_functions_run_where_an_older_jobkeep_is_installed(daemon: VersionedDaemon) -> None:
    """A worker of the job's own interpreter may speak an older version, run after run."""
    with started(daemon, NEXT) as jk:
        pids = {jk.call("jobs:pid", cwd=str(daemon.home)).result(timeout=PATIENCE) for _ in range(3)}
    assert len(pids) == 1


def test_a_version_of_workers_that_nobody_knows_any_more_is_an_error_that_says_what_to_do(
    daemon: VersionedDaemon,
) -> None:
    """The job fails at once, and names the interpreter and both versions."""
    with started(daemon, NEXT._replace(oldest=PRESENT.newest + 1)) as jk:
        outcome = jk.call("jobs:pid", cwd=str(daemon.home)).wait(timeout=PATIENCE).outcome
        assert outcome is not None
        assert outcome.reason is not None
        assert f"worker of {sys.executable} did not start: its jobkeep speaks version" in outcome.reason
        assert "upgrade jobkeep there" in outcome.reason


def test_a_run_whose_worker_the_next_daemon_does_not_know_is_left_to_end(daemon: VersionedDaemon) -> None:
    """Its end and its last checkpoint are taken from the spool."""
    log, gate = daemon.home / "items", daemon.home / "gate"
    with started(daemon, PRESENT) as jk:
        job = jk.call("jobs:batch", {"log": str(log), "gate": str(gate)}, cwd=str(daemon.home)).id
        wait_for(lambda: log.exists() and len(log.read_text().split()) == 7)
    with change(daemon, NEXT._replace(oldest=PRESENT.newest + 1)) as jk:
        assert jk.job(job).info().state == "running"
        gate.touch()
        assert jk.job(job).result(timeout=PATIENCE) == {"even": 10, "odd": 8, "failed": 2}
        info = jk.job(job).info()
        assert (info.attempt, info.progress.done, info.progress.failed_items) == (1, 20, 2)
    assert sorted(map(int, log.read_text().split())) == list(range(20))


def test_a_daemon_that_is_upgraded_where_it_runs_starts_no_spawner_of_another_version(
    daemon: VersionedDaemon,
) -> None:
    """When its spawner dies it says why no command starts; a restart helps, and nothing is lost."""
    with started(daemon, NEXT) as jk:
        code = daemon.home / "state" / f"slots-{NEXT.slots}" / "spawner" / "record.py"
        code.write_text(code.read_text().replace(f"\nPROTOCOL = {NEXT.slots}\n", f"\nPROTOCOL = {NEXT.slots + 1}\n"))
        os.utime(code, (1, 1))  # as old as no other: what was compiled in the same second would be taken for current
        spawner = record.lock_holder(record.spawner_lock(str(daemon.home / "run")))
        assert spawner is not None
        assert slay(spawner, daemon.home)
        job = jk.run(["true"]).id
        wait_for(lambda: "restart the daemon" in daemon.log)
        assert jk.job(job).info().state == "queued"
    with change(daemon, PRESENT) as jk:
        assert jk.job(job).wait(timeout=PATIENCE).state == "succeeded"
    assert os.path.exists(daemon.home / "run" / "spawner.socket")
