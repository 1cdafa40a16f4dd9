"""Locks against the real daemon, with a judge outside: who is inside, and was anybody there already."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import anyio
import anyio.lowlevel
import pytest

import jobkeep
from crash.judges import Door
from jobkeep.testing import PrivateDaemon

from .conftest import Cli
from .holders import PATIENCE, PATIENCE_S, holder, until

DAEMON = {"JOBKEEP_QUEUES_DEFAULT_LIMIT": "4", "JOBKEEP_LOCKS_TTL": "30s"}

@pytest.fixture
def daemon() -> Iterator[PrivateDaemon]:
    private = PrivateDaemon(**DAEMON)
    (private.home / "jobs.py").write_text(
        "import os\n"
        "def token(ctx):\n    return [ctx.lock_token, os.environ.get('JOBKEEP_LOCK_TOKEN')]\n"
        "async def token_async(ctx):\n    return [ctx.lock_token, os.environ.get('JOBKEEP_LOCK_TOKEN')]\n"
    )
    with private:
        yield private


@pytest.fixture
def jk(daemon: PrivateDaemon) -> Iterator[jobkeep.BlockingClient]:
    with jobkeep.connect_blocking(str(daemon.socket)) as client:
        yield client


# -- one at a time ----------------------------------------------------------------------------------------------------


def test_jobs_and_clients_of_every_kind_are_never_inside_together(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient, cli: Cli
) -> None:
    """Commands, programs with and without await, on both loops, and the command line; tokens rise with each of them."""
    door, rounds = Door(daemon.home / "door"), 6
    socket = str(daemon.socket)

    async def awaits() -> None:
        async with jobkeep.connect(socket) as client:
            for _ in range(rounds):
                async with client.lock("crm", wait=PATIENCE) as lease:
                    with door.inside(lease.token):
                        await anyio.sleep(0.005)

    def blocks() -> None:
        for _ in range(rounds):
            with jk.lock("crm", wait=PATIENCE) as lease, door.inside(lease.token):
                time.sleep(0.005)

    def types() -> None:
        done = cli("lock", "run", "crm", "--wait", PATIENCE, "--", *door.command())
        assert done.returncode == 0, done.stderr

    jobs = [jk.run(door.command(), lock="crm") for _ in range(rounds)]
    with ThreadPoolExecutor(5) as pool:
        working = [
            pool.submit(blocks), pool.submit(blocks), pool.submit(anyio.run, awaits), pool.submit(types),
            pool.submit(anyio.run, awaits, backend="trio"),
        ]  # fmt: skip
        for work in working:
            work.result(PATIENCE_S)
    assert {job.wait(timeout=PATIENCE).state for job in jobs} == {"succeeded"}
    assert door.violations() == []
    tokens = door.tokens()
    assert len(tokens) == 5 * rounds + 1
    assert tokens == sorted(set(tokens))
    assert jk.locks() == []


@pytest.mark.parametrize("function", ["token", "token_async"])
def test_a_job_knows_the_token_of_its_lock(daemon: PrivateDaemon, cli: Cli, function: str) -> None:
    """Functions by their context, all by the environment; the next run of the same worker knows nothing of it."""
    assert cli("run", "--lock", "crm", "--", "sh", "-c", "echo $JOBKEEP_LOCK_TOKEN").stdout == "1\n"
    assert cli("run", "--", "sh", "-c", "echo [$JOBKEEP_LOCK_TOKEN]").stdout == "[]\n"
    assert cli("call", "--lock", "crm", f"jobs:{function}").stdout == '[2, "2"]\n'
    assert cli("call", f"jobs:{function}").stdout == "[null, null]\n"


# -- death and silence of holders -------------------------------------------------------------------------------------


def test_a_killed_client_frees_its_lock_at_once(daemon: PrivateDaemon, jk: jobkeep.BlockingClient) -> None:
    """And the next one, who waits, has it: long before any ttl. On a host that has the time: one of five has to do."""

    def took() -> float:
        with holder(daemon, ttl="1h") as held, ThreadPoolExecutor(1) as pool:
            token = held.token()
            entered = threading.Event()

            def wait() -> int:
                with jk.lock("crm", wait=PATIENCE) as lease:
                    entered.set()
                    return lease.token

            waiting = pool.submit(wait)
            until(lambda: jk.lock_info("crm").waiting == 1)
            held.process.send_signal(signal.SIGKILL)
            killed = time.monotonic()
            assert entered.wait(PATIENCE_S)
            seconds = time.monotonic() - killed
            assert waiting.result(PATIENCE_S) == token + 1
        print(f"freed {seconds * 1000:.0f} ms after the holder's death")
        return seconds

    assert any(took() < 5 for _ in range(5))  # the kernel tells, so that neither a ttl nor a look has to pass


def test_a_stopped_client_is_fenced_and_hears_of_it(daemon: PrivateDaemon, jk: jobkeep.BlockingClient) -> None:
    """Stopped beyond its ttl: another one gets the lock, with a higher token, and it is told when it goes on."""
    with holder(daemon, ttl="2s") as held:
        first = held.token()
        held.process.send_signal(signal.SIGSTOP)
        with jk.lock("crm", wait=PATIENCE) as lease:
            assert lease.token > first
            held.process.send_signal(signal.SIGCONT)
            assert "the lock crm is lost" in held.lost()
            lease.check()
    kinds = [(entry.kind, entry.data.get("reason")) for entry in jk.events(after=0) if "lock" in entry.kind]
    assert ("lock_released", "expired") in kinds


def test_a_client_that_is_killed_while_it_waits_leaves_nothing_behind(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient
) -> None:
    """Neither a wait nor, a moment later, a hold."""
    with jk.lock("crm"), holder(daemon) as held:
        until(lambda: jk.lock_info("crm").waiting == 1)
        held.end()
        until(lambda: jk.lock_info("crm").waiting == 0)
    assert jk.locks() == []


# -- the daemon dies --------------------------------------------------------------------------------------------------


def test_locks_of_living_holders_survive_the_daemon(daemon: PrivateDaemon, jk: jobkeep.BlockingClient) -> None:
    """A program's, with and without await, and a running job's; who died meanwhile has lost it."""
    gate = daemon.home / "gate"
    job = jk.run(["sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.05; done"], lock="of-job")
    until(lambda: len(jk.locks()) == 1)

    async def stay() -> None:
        async with jobkeep.connect(str(daemon.socket)) as client, client.lock("of-async"), client.lock("of-both"):
            with holder(daemon, "of-dead") as dead:
                await anyio.to_thread.run_sync(dead.token)
                daemon.kill()
                dead.end()
            daemon.start().close()
            await anyio.lowlevel.checkpoint()

    with jk.lock("of-blocking") as lease:
        tokens = {lock.name: lock.token for lock in jk.locks()}
        anyio.run(stay)
        after = {lock.name: (lock.token, lock.holder) for lock in jk.locks()}
        lease.check()
        assert after["of-job"][0] == tokens["of-job"]
        assert after["of-blocking"][0] == lease.token
        assert "of-dead" not in after
        with pytest.raises(jobkeep.LockHeld), jk.lock("of-job"):
            pass
    gate.touch()
    assert job.wait(timeout=PATIENCE).state == "succeeded"
    until(lambda: jk.locks() == [])


def test_a_daemon_that_stays_away_costs_the_lock_after_its_ttl(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient
) -> None:
    """By the clock of the holder, whatever the next daemon says."""
    with holder(daemon, ttl="2s") as held:
        held.token()
        daemon.kill()
        assert "not renewed for 2 s" in held.lost()
        daemon.start().close()
    with jk.lock("crm", wait=PATIENCE) as lease:
        assert lease.token == 2


# -- reset ------------------------------------------------------------------------------------------------------------


def test_a_forced_reset_ends_the_run_for_sure_before_the_next_one_begins(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient, cli: Cli
) -> None:
    """Though it is deaf to TERM and has left its session behind."""
    door, ready = Door(daemon.home / "door"), daemon.home / "ready"
    deaf = f"trap '' TERM; touch {ready}; setsid sh -c 'trap \"\" TERM; while :; do sleep 0.05; done' & wait"
    first = jk.run(door.command(deaf), lock="crm", grace="60s")
    second = jk.run(door.command(), lock="crm")
    until(ready.exists)
    done = cli("lock", "reset", "crm")
    assert (done.returncode, "which is alive" in done.stderr) == (5, True)
    done = cli("lock", "reset", "crm", "--force", "--reason", "stuck")
    assert done.returncode == 0
    assert first.wait(timeout=PATIENCE).state == "cancelled"
    assert second.wait(timeout=PATIENCE).state == "succeeded"
    # `first` was killed inside: that it is gone, and the door so free again, is what `second` found.
    assert door.violations() == []
    stopped = next(entry for entry in first.history() if entry.kind == "cancel_requested")
    assert stopped.data["reason"] == "lock crm was reset: stuck"


def test_a_forced_reset_takes_the_lock_from_a_client_and_tells_it(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient, cli: Cli
) -> None:
    """At once, and for good."""
    with holder(daemon) as held:
        token = held.token()
        assert cli("lock", "reset", "crm").returncode == 5
        reset = time.monotonic()
        assert cli("lock", "reset", "crm", "--force").returncode == 0
        assert "the lock crm is lost" in held.lost()
        assert time.monotonic() - reset < 20
    assert jk.lock_info("crm").token == token + 1


def test_a_cancelled_job_keeps_its_lock_until_its_last_process_is_gone(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient
) -> None:
    """Though nothing of it heeds TERM, and some of it has left its session: the next one finds nobody inside."""
    door, ready = Door(daemon.home / "door"), daemon.home / "ready"
    deaf = f"trap '' TERM; touch {ready}; setsid sh -c 'trap \"\" TERM; while :; do sleep 0.05; done' & wait; wait"
    first = jk.run(door.command(deaf), lock="crm", grace="1s")
    until(ready.exists)
    second = jk.run(door.command(), lock="crm")
    assert second.info().held == "it waits for the lock crm"
    first.cancel()
    cancelled, heir = first.wait(timeout=PATIENCE), second.wait(timeout=PATIENCE)
    assert (cancelled.state, heir.state) == ("cancelled", "succeeded")
    assert cancelled.ended_at <= heir.started_at  # type: ignore[operator]
    assert door.violations() == []


# -- the command line -------------------------------------------------------------------------------------------------


def test_a_killed_command_line_frees_its_lock_and_takes_its_command_along(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient
) -> None:
    """Who has the lock next is not alone otherwise."""
    door = Door(daemon.home / "door")
    process = subprocess.Popen(
        [sys.executable, "-m", "jobkeep.cli", "--socket", str(daemon.socket), "lock", "run", "crm", "--",
         *door.command("while :; do sleep 0.02; done")],
    )  # fmt: skip
    until(lambda: door.occupied())
    process.kill()
    killed = time.monotonic()
    process.wait()
    with jk.lock("crm", wait=PATIENCE):
        print(f"freed {(time.monotonic() - killed) * 1000:.0f} ms after the holder's death")
        until(lambda: not door.occupied())
    assert door.violations() == []
