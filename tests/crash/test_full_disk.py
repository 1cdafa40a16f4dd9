"""The disk of the state directory is full: what is refused, what goes on, and that it ends by itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

import jobkeep
from jobkeep.client.plain import PlainConnection
from jobkeep.testing import PrivateDaemon

from .disks import ImageDisk, fill, small_disk
from .judges import processes_of, slay_all
from .traced import attached, need_strace

JOBS = """
import os

async def batch(ctx, log, count, gate):
    async def one(item):
        with open(log, "a") as file:
            file.write(f"{item}\\n")
        while item == count // 2 and not os.path.exists(gate):
            await ctx.sleep(0.01)
        return "odd" if item % 2 else "even"
    return (await ctx.for_each(range(count), one, key=str, every=1)).tallies
"""
PATIENCE = "60s"
BIG = {"ballast": "x" * 200_000}


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.01)


class Host:
    """A daemon whose state directory is a disk of 24 MiB, and two gates for its jobs."""

    def __init__(self, daemon: PrivateDaemon) -> None:
        self.daemon = daemon
        self.home = daemon.home
        self.disk = daemon.home / "state"
        self.filler = self.disk / "filler"
        (self.home / "jobs.py").write_text(JOBS, encoding="utf-8")

    def command(self, jk: jobkeep.BlockingClient, name: str) -> jobkeep.BlockingJobHandle:
        """It runs until the gate of its name is there; as long as it does there is NAME.here."""
        script = ": > $0.here; while [ ! -e $0 ]; do sleep 0.02; done; rm $0.here; exit 5"
        return jk.run(["sh", "-c", script, f"{self.home}/{name}"], cwd=str(self.home), name=name)

    def batch(self, jk: jobkeep.BlockingClient, name: str, count: int) -> jobkeep.BlockingJobHandle:
        """Half of it is done before the gate."""
        arguments = {"log": str(self.home / "items"), "count": count, "gate": str(self.home / name)}
        return jk.call("jobs:batch", arguments, cwd=str(self.home), name=name)

    def open(self, name: str) -> None:
        (self.home / name).touch()

    def items(self) -> list[int]:
        return [int(item) for item in (self.home / "items").read_text().split()]

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "JOBKEEP_SOCKET": str(self.daemon.socket), "JOBKEEP_AUTOSTART": "0"}
        command = [sys.executable, "-m", "jobkeep.cli", *arguments]
        return subprocess.run(command, env=environment, cwd=self.home, capture_output=True, text=True, timeout=120)

    def fill(self, jk: jobkeep.BlockingClient) -> None:
        """Until a submit is refused: the log of the database has room for many, which it had before."""
        until(lambda: all((self.home / name).exists() for name in ("ends.here", "stays.here")))
        until(lambda: (self.home / "items").exists() and len(self.items()) == 5)
        fill(self.filler)
        submits = (jk.call("jobs:batch", BIG, queue="parked") for _ in range(200))
        with pytest.raises(jobkeep.StorageFull, match="no space left"):
            list(submits)
        fill(self.filler)


@pytest.fixture(params=["tmpfs", pytest.param("ext4", marks=pytest.mark.long)])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    daemon = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT="4", JOBKEEP_QUEUES_PARKED_LIMIT="1")
    at = daemon.home / "state"
    disk = small_disk(at, "24M") if request.param == "tmpfs" else ImageDisk(daemon.home / "image", at, 32).plugged_in()
    with disk:
        try:
            yield Host(daemon)
            daemon.stop()
        finally:
            slay_all(daemon.home)
    shutil.rmtree(daemon.home)


def test_a_full_disk_refuses_work_and_records_ends_until_there_is_room(host: Host) -> None:
    """Reads answer, what runs can end and be stopped, and room is all that is needed to go on."""
    with host.daemon.start() as jk:
        ends, stays, batch = host.command(jk, "ends"), host.command(jk, "stays"), host.batch(jk, "half", 8)
        host.fill(jk)
        with closing(PlainConnection(str(host.daemon.socket), 20)) as plain:
            parameters = json.dumps({"spec": {"command": ["true"], "env": {"A": "x" * 200_000}}}).encode()
            assert b'"error":"org.jobkeep.Admin.StorageFull"' in plain.call("org.jobkeep.Jobs.Submit", parameters)
        refused = host.cli("run", "-d", "--env", "A=" + "x" * 100_000, "--", "true")
        assert (refused.returncode, refused.stdout) == (4, "")
        assert "no space left" in refused.stderr
        assert "hint: make room on the disk of the state directory; running jobs go on" in refused.stderr
        assert ends.id in host.cli("-q", "ls", "--all").stdout
        host.open("ends")
        host.open("half")
        outcome = ends.wait(timeout=PATIENCE).outcome
        assert outcome is not None
        assert outcome.exit_code == 5
        assert batch.result(timeout=PATIENCE) == {"even": 4, "odd": 4}
        stays.cancel()
        assert stays.wait(timeout=PATIENCE).state == "cancelled"
        host.filler.unlink()
        assert jk.run(["true"]).result(timeout=PATIENCE) == 0
        until((host.disk / "ballast").exists)
        assert sorted(host.items()) == list(range(8))
        events = [json.loads(line)["event"] for line in host.daemon.log.splitlines()]
        assert [event for event in events if event.startswith("disk_")] == ["disk_full", "disk_has_room"]
        assert "job_task_failed" not in events


def test_a_killed_daemon_starts_again_on_a_full_disk_and_knows_what_ended_without_it(host: Host) -> None:
    """In the room that its log has. A checkpoint for which there is none, nor in the spool, waits with its function."""
    need_strace()
    with host.daemon.start() as jk:
        ends, batch = host.command(jk, "ends"), host.batch(jk, "half", 8)
        host.command(jk, "stays")
        host.fill(jk)
    (worker,) = [pid for pid, command in processes_of(host.home).items() if "-m jobkeep.worker" in command]
    with attached(worker, host.home / "worker.calls", "-f", "-e", "trace=write") as calls:
        host.daemon.kill()
        host.open("half")
        host.open("ends")
        until(lambda: any("spool" in call and "ENOSPC" in call for call in calls()))
    until(lambda: not (host.home / "ends.here").exists())
    with host.daemon.start() as jk:
        outcome = jk.job(ends.id).wait(timeout=PATIENCE).outcome
        assert outcome is not None
        assert outcome.exit_code == 5
        with pytest.raises(jobkeep.StorageFull):
            jk.run(["true"])
        host.filler.unlink()
        done = jk.job(batch.id)
        assert done.result(timeout=PATIENCE) == {"even": 4, "odd": 4}
        assert done.info().attempt == 1
        assert jk.run(["true"]).result(timeout=PATIENCE) == 0
    assert sorted(host.items()) == list(range(8))


def test_a_daemon_starts_on_a_full_disk_in_the_room_of_its_ballast_or_says_why_not(host: Host) -> None:
    """After it was stopped, there is no other room: its log is gone. Runs have gone on meanwhile."""
    with host.daemon.start() as jk:
        job = host.command(jk, "ends").id
        until((host.home / "ends.here").exists)
    host.daemon.stop()
    fill(host.filler)
    with host.daemon.start() as jk:
        assert jk.job(job).info().state == "running"
        with pytest.raises(jobkeep.StorageFull):
            jk.run(["true"])
        host.open("ends")
        assert jk.job(job).wait(timeout=PATIENCE).state == "failed"
    host.daemon.stop()
    fill(host.filler)
    refused = r"(?s)status 1.*cannot start: .*no space left.*hint: make room on that disk"
    with pytest.raises(RuntimeError, match=refused):
        host.daemon.start()
    host.filler.unlink()
    with host.daemon.start() as jk:
        assert jk.run(["true"]).result(timeout=PATIENCE) == 0


@pytest.mark.parametrize("kibibytes", [48, *(pytest.param(room, marks=pytest.mark.long) for room in range(0, 128, 8))])
def test_however_little_room_there_is_a_start_answers_or_says_why_not(host: Host, kibibytes: int) -> None:
    """Nothing waits in silence, and what ended meanwhile is recorded once there is room, without another start."""
    with host.daemon.start() as jk:
        job = host.command(jk, "ends").id
        until((host.home / "ends.here").exists)
    host.daemon.stop()
    (host.disk / "ballast").unlink()
    fill(host.filler)
    os.truncate(host.filler, host.filler.stat().st_size - (kibibytes << 10))
    host.open("ends")
    until(lambda: not (host.home / "ends.here").exists())
    try:
        host.daemon.start().close()
    except RuntimeError:
        assert "no space left on its device" in host.daemon.log
        host.filler.unlink()
        host.daemon.start().close()
    with jobkeep.connect_blocking(str(host.daemon.socket)) as jk:
        assert jk.job(job).info().attempt == 1
        host.filler.unlink(missing_ok=True)
        outcome = jk.job(job).wait(timeout=PATIENCE).outcome
        assert outcome is not None
        assert outcome.exit_code == 5
        assert jk.job(job).info().attempt == 1
        assert jk.run(["true"]).result(timeout=PATIENCE) == 0


def test_a_quota_that_is_used_up_is_a_full_disk(host: Host) -> None:
    """SQLite calls it an I/O error: work is refused, reads answer, ends are recorded as soon as there is room."""
    need_strace()
    used_up = ("-e", "trace=pwrite64,fallocate", "-e", "inject=pwrite64,fallocate:error=EDQUOT")
    with host.daemon.start() as jk:
        job = host.command(jk, "ends")
        until((host.home / "ends.here").exists)
        until(lambda: job.info().state == "running")
        with attached(host.daemon.pid, host.home / "daemon.calls", "-f", *used_up) as calls:
            with pytest.raises(jobkeep.StorageFull, match="no space left"):
                jk.run(["true"])
            until(lambda: any("pwrite64(" in call and "jobs.sqlite-wal" in call for call in calls()))
            host.open("ends")
            until(lambda: not (host.home / "ends.here").exists())
            assert job.info().state == "running"
        outcome = job.wait(timeout=PATIENCE).outcome
        assert outcome is not None
        assert outcome.exit_code == 5
        assert jk.run(["true"]).result(timeout=PATIENCE) == 0
        assert '"event": "store_failed"' not in host.daemon.log


def test_a_run_that_fills_the_disk_with_its_output_meets_that_itself(host: Host) -> None:
    """It is told by the kernel; its end is on record, what it wrote can be read, and nobody else is ended."""
    with host.daemon.start() as jk:
        job = jk.run(["head", "-c", "100M", "/dev/zero"])
        outcome = job.wait(timeout=PATIENCE).outcome
        assert outcome is not None
        assert (outcome.kind, outcome.exit_code) == ("failed", 1)
        written = sum(len(chunk.data) for chunk in job.logs(raw=True))
        assert written > 1 << 20
        with pytest.raises(jobkeep.StorageFull):
            jk.run(["true"])
        for path in (host.disk / "logs/runs").iterdir():
            path.unlink()
        assert jk.run(["true"]).result(timeout=PATIENCE) == 0
