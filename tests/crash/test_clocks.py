"""The wall clock jumps by a day, or the host is started anew: nothing expires, and nothing dead is taken for alive."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

import jobkeep
from daemon.holders import PATIENCE, holder, until
from jobkeep.testing import PrivateDaemon

from .clocked import DAY, BootedDaemon, ClockedDaemon, need_mounts

TTL = 3.0
JOBS = """
import asyncio, os

async def beat(ctx, gate):
    await ctx.progress(1)
    while not os.path.exists(gate):
        await asyncio.sleep(0.02)
    return "done"

async def step(ctx, gate):
    first = await ctx.step("first", lambda: ctx.run_number)
    await ctx.progress(1)
    while not os.path.exists(gate):
        await asyncio.sleep(0.02)
    return [first, ctx.run_number]

async def count(ctx, gate):
    async def one(item):
        if item == 7:
            while not os.path.exists(gate):
                await ctx.sleep(0.02)
        return "done"
    batch = await ctx.for_each(range(10), one, key=str, every=1)
    return [ctx.run_number, batch.tallies]
"""
SETTINGS = {
    "JOBKEEP_QUEUES_DEFAULT_LIMIT": "8",
    "JOBKEEP_QUEUES_PROBE_LIMIT": "1",
    "JOBKEEP_QUEUES_SHUT_LIMIT": "1",
    "JOBKEEP_LOCKS_TTL": f"{TTL}s",
    "JOBKEEP_LOCKS_MAX_HOLD": "1h",
    "JOBKEEP_LOCKS_ON_MAX_HOLD": "end",
    "JOBKEEP_JOBS_HEARTBEAT_INTERVAL": "0.2s",
    "JOBKEEP_JOBS_LATE_AFTER": "10s",
    "JOBKEEP_RECOVERY_INTERVAL": "0.5s",
    "JOBKEEP_RECOVERY_OLDER_THAN": "1h",
}
# What none of the jobs that are under way may meet with.
EXPIRIES = ("ended", "failed", "cancelled", "stalled", "fenced", "recovered", "requeued", "lock_released", "lock_stale")


@pytest.fixture
def daemon() -> ClockedDaemon:
    private = ClockedDaemon(**SETTINGS)
    (private.home / "jobs.py").write_text(JOBS, encoding="utf-8")
    return private


@pytest.fixture
def jk(daemon: ClockedDaemon) -> Iterator[jobkeep.BlockingClient]:
    with daemon as client:
        yield client


class UnderWay:
    """All that is dated: runs with limits, a job that waits for its turn, and a lock of each kind of holder."""

    def __init__(self, daemon: PrivateDaemon, jk: jobkeep.BlockingClient) -> None:
        self.gate = daemon.home / "gate"
        hour = {"timeout": "1h", "stall_after": "1h", "on_stall": "cancel", "queue_timeout": "1h"}
        self.function = jk.call("jobs:beat", {"gate": str(self.gate)}, cwd=str(daemon.home), lock="of-run", **hour)  # type: ignore[arg-type]
        script = f"while [ ! -e {self.gate} ]; do sleep 0.05; done"
        self.command = jk.run(["sh", "-c", script], queue="shut", **hour)  # type: ignore[arg-type]
        self.waiting = jk.run(["true"], queue="shut", **hour)  # type: ignore[arg-type]
        self.blocked = jk.run(["true"], lock="of-client", **hour)  # type: ignore[arg-type]
        until(lambda: self.function.info().progress.done == 1 and self.command.info().state == "running")

    @property
    def jobs(self) -> list[str]:
        return [each.id for each in (self.function, self.command, self.waiting, self.blocked)]

    def expired(self, jk: jobkeep.BlockingClient) -> list[str]:
        """What is on record of them, or of any lock, that must not be."""
        concerned = [event for event in jk.events(after=0) if event.job in self.jobs or event.kind.startswith("lock")]
        return [f"{event.kind} of {event.job}" for event in concerned if event.kind in EXPIRIES]


@pytest.mark.parametrize("jumps", [(DAY, -DAY), pytest.param((-DAY, DAY), marks=pytest.mark.long)])
def test_a_jump_of_the_wall_clock_expires_nothing(
    daemon: ClockedDaemon, jk: jobkeep.BlockingClient, jumps: tuple[int, ...]
) -> None:
    """No lease, no limit and no lock; a daemon that is killed meanwhile leaves them to the next one."""
    with holder(daemon, "of-client", "5m") as client:  # while no daemon is there it is not renewed
        token = client.token()
        under_way = UnderWay(daemon, jk)
        for jump in jumps:
            daemon.set_clock(jump)
            until(lambda jump=jump: abs(daemon.clock(jk) - jump) < 60)  # type: ignore[misc]
            time.sleep(TTL)  # everything is looked at more than once, and nothing happens: that is the claim
            assert under_way.expired(jk) == []
            assert [jk.job(job).info().health for job in under_way.jobs] == ["ok"] * 4
        daemon.kill()
        with daemon.start() as again:
            daemon.set_clock(jumps[0])
            until(lambda: abs(daemon.clock(again) - jumps[0]) < 60)
            time.sleep(TTL / 3)
            assert [again.job(job).info().state for job in under_way.jobs] == ["running", "running", "queued", "queued"]
            assert again.lock_info("of-client").token == token
            under_way.gate.touch()
            for job in (under_way.function, under_way.command, under_way.waiting):
                assert again.job(job.id).wait(timeout=PATIENCE).state == "succeeded"
            assert again.job(under_way.blocked.id).info().held == "it waits for the lock of-client"


@pytest.mark.long
@pytest.mark.parametrize("jump", [DAY, -DAY])
def test_a_jump_of_the_wall_clock_keeps_nothing_alive(
    daemon: ClockedDaemon, jk: jobkeep.BlockingClient, jump: int
) -> None:
    """What is due by the kernel's clock happens in its time, a day forward or back."""
    gate = daemon.home / "gate"
    beat = ("jobs:beat", {"gate": str(gate)})
    with holder(daemon, "of-client", f"{TTL}s") as client:
        client.token()
        late = jk.call(*beat, cwd=str(daemon.home), timeout="3s", grace="1s")
        stuck = jk.call(*beat, cwd=str(daemon.home), stall_after="3s", on_stall="cancel", grace="1s")
        hasty = jk.run(["true"], lock="of-client", queue_timeout="3s")
        until(lambda: late.info().state == "running" and stuck.info().state == "running")
        daemon.set_clock(jump)
        began = time.monotonic()
        ends = {job.id: job.wait(timeout=PATIENCE) for job in (late, stuck, hasty)}
        assert ends[late.id].outcome.reason == "timed out after 3 s"  # type: ignore[union-attr]
        assert ends[stuck.id].state == "cancelled"
        assert str(ends[hasty.id].outcome.reason).startswith("timed out in the queue after 3 s")  # type: ignore[union-attr]
        heir = jk.run(["true"], lock="of-client")
        os.kill(client.process.pid, signal.SIGSTOP)  # it lives, and renews nothing
        assert heir.wait(timeout=PATIENCE).state == "succeeded"
        print(f"all was over {time.monotonic() - began:.1f} s after the jump")
        os.kill(client.process.pid, signal.SIGCONT)


@pytest.mark.long
def test_a_timeout_counts_from_the_start_of_its_run_wherever_the_clock_is_set_to_meanwhile(
    daemon: ClockedDaemon, jk: jobkeep.BlockingClient
) -> None:
    """Also across a restart of the daemon: neither a day early nor a day late."""
    job = jk.run(["sleep", "600"], timeout="4s", grace="1s")
    patient = jk.run(["sleep", "600"], timeout="1h")
    until(lambda: job.info().state == "running" and patient.info().state == "running")
    daemon.kill()
    daemon.set_clock(-DAY)
    with daemon.start() as again:
        daemon.set_clock(-DAY)
        assert again.job(job.id).wait(timeout=PATIENCE).outcome.reason == "timed out after 4 s"  # type: ignore[union-attr]
        daemon.set_clock(DAY)
        daemon.kill()
        with daemon.start() as third:
            daemon.set_clock(DAY)
            until(lambda: abs(daemon.clock(third) - DAY) < 60)
            assert third.job(patient.id).info().state == "running"


def test_after_another_boot_nothing_of_the_one_before_is_taken_for_alive() -> None:
    """Leases are over, runs interrupted; what has a checkpoint or a step goes on from it, the rest follows on_lost."""
    daemon = BootedDaemon(**SETTINGS)
    need_mounts(daemon)
    (daemon.home / "jobs.py").write_text(JOBS, encoding="utf-8")
    gate = daemon.home / "gate"
    with daemon as jk:
        first_boot = daemon.seen_boot()
        with holder(daemon, "of-client", "1h") as client:
            client.token()
            counted = jk.call("jobs:count", {"gate": str(gate)}, cwd=str(daemon.home), lock="of-run")
            stepped = jk.call("jobs:step", {"gate": str(gate)}, cwd=str(daemon.home))
            fails = jk.run(["sleep", "600"])
            again = jk.run(["sh", "-c", f"[ -e {gate} ] || exec sleep 600"], on_lost="resume")
            blocked = jk.run(["true"], lock="of-client", queue_timeout="1h")
            until(lambda: counted.info().progress.done == 7 and stepped.info().progress.done == 1)
            until(lambda: fails.info().state == again.info().state == "running")
            daemon.boot()
            gate.touch()
        with daemon.start() as jk:
            assert daemon.seen_boot() != first_boot
            assert jk.job(counted.id).result(timeout=PATIENCE) == [2, {"done": 10}]
            assert jk.job(stepped.id).result(timeout=PATIENCE) == [1, 2]
            ended = jk.job(fails.id).wait(timeout=PATIENCE)
            assert ended.outcome is not None
            assert (ended.state, ended.outcome.kind, ended.outcome.reason) == (
                "failed", "interrupted", "the host was restarted",
            )  # fmt: skip
            found = jk.job(again.id).wait(timeout=PATIENCE)
            assert [(run.number, run.outcome) for run in found.runs] == [(1, "interrupted"), (2, "succeeded")]
            assert jk.job(blocked.id).wait(timeout=PATIENCE).state == "succeeded"
            assert jk.locks() == []
