"""What becomes of a submit whose key or whose lock is taken, against the real daemon."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import jobkeep
from crash.judges import Door
from jobkeep.testing import PrivateDaemon

from .conftest import Cli
from .holders import PATIENCE, until


@pytest.fixture
def jk(daemon: PrivateDaemon) -> Iterator[jobkeep.BlockingClient]:
    with jobkeep.connect_blocking(str(daemon.socket)) as client:
        yield client


def test_of_twenty_submits_with_one_key_at_once_one_is_a_job(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient
) -> None:
    """The others are refused, with its id; or answered with it."""
    gate = daemon.home / "gate"
    command = ["sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.05; done"]

    def submit(number: int) -> str:
        try:
            return jk.run(command, key="k", on_conflict="reject" if number % 2 else "return").id
        except jobkeep.KeyConflict as taken:
            return taken.id

    with ThreadPoolExecutor(20) as pool:
        ids = set(pool.map(submit, range(20)))
    assert len(ids) == 1
    assert [job.key for job in jk.jobs()] == ["k"]
    gate.touch()
    assert jk.job(ids.pop()).wait(timeout=PATIENCE).state == "succeeded"


def test_each_policy_does_what_it_says_about_a_key(daemon: PrivateDaemon, jk: jobkeep.BlockingClient, cli: Cli) -> None:
    """reject, return, queue, replace-queued, cancel-running."""
    door, gate = Door(daemon.home / "door"), daemon.home / "gate"
    waiting = door.command(f"while [ ! -e {gate} ]; do sleep 0.02; done")

    def submit(policy: str) -> subprocess.CompletedProcess[str]:
        return cli("run", "-d", "--key", "k", "--on-conflict", policy, "--", *waiting)

    first = jk.run(waiting, key="k")
    until(lambda: first.info().state == "running")
    refused = submit("reject")
    assert refused.returncode == 5
    assert f"job {first.id} has the key k and is running; it was submitted " in refused.stderr
    assert submit("return").stdout.strip() == first.id
    queued = submit("queue").stdout.strip()
    full = submit("queue")
    assert (full.returncode, f"job {queued} has the key k and is queued" in full.stderr) == (5, True)
    newest = submit("replace-queued").stdout.strip()
    assert jk.job(queued).info().state == "cancelled"
    assert first.info().state == "running"
    assert jk.job(newest).info().held == "it waits for the key k"
    last = submit("cancel-running").stdout.strip()
    assert first.wait(timeout=PATIENCE).state == "cancelled"
    assert jk.job(newest).info().state == "cancelled"
    gate.touch()
    assert jk.job(last).wait(timeout=PATIENCE).state == "succeeded"
    assert door.violations() == []


def test_a_submit_under_a_held_lock_waits_unless_it_was_asked_not_to(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient, cli: Cli
) -> None:
    """By default it waits, and occupies no place of its queue."""
    with jk.lock("crm"):
        refused = cli("run", "-d", "--lock", "crm", "--on-conflict", "reject", "true")
        assert refused.returncode == 5
        assert f"the lock crm is held by process {os.getpid()} of user {os.getuid()}; it has had it" in refused.stderr
        assert "hint: nothing was submitted; jobkeep lock show crm tells more" in refused.stderr
        waiting = [jk.job(cli("run", "-d", "--lock", "crm", "true").stdout.strip()) for _ in range(5)]
        assert cli("run", "true").returncode == 0
        assert {job.info().state for job in waiting} == {"queued"}
        assert waiting[0].info().held == "it waits for the lock crm"
        assert jk.lock_info("crm").waiting == 5
    assert {job.wait(timeout=PATIENCE).state for job in waiting} == {"succeeded"}
    gate = daemon.home / "gate"
    holding = jk.run(["sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.02; done"], lock="crm")
    until(lambda: len(jk.locks()) == 1)
    assert cli("run", "-d", "--lock", "crm", "--on-conflict", "return", "true").stdout.strip() == holding.id
    gate.touch()
    assert holding.wait(timeout=PATIENCE).state == "succeeded"
