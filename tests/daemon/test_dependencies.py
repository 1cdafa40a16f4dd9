"""Jobs after others, against a real daemon, also one that is killed between a parent's end and its child's start."""

from __future__ import annotations

import jobkeep
from crash.judges import StartLog
from jobkeep.testing import PrivateDaemon

from .conftest import Cli
from .holders import PATIENCE, until


def test_a_child_starts_once_wherever_the_daemon_dies(daemon: PrivateDaemon) -> None:
    """Before its parent's end is recorded, and at any moment around that: it runs, once."""
    starts = StartLog(daemon.home / "starts")
    ids = []
    for number in range(4):
        gate = daemon.home / f"gate.{number}"
        with jobkeep.connect_blocking(str(daemon.socket)) as jk:
            parent = jk.run(["sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.01; done"])
            child = jk.run(starts.command(), after=parent.id)
            ids += [parent.id, child.id]
            while parent.info().state != "running":
                pass
            assert child.explain().reasons[0].text == f"it waits for job {parent.id} (running) to succeed"
            gate.touch()
            while number % 2 and parent.info().state == "running":
                pass  # its end is recorded by now, and the child on its way
        daemon.kill()
        daemon.start().close()
    with jobkeep.connect_blocking(str(daemon.socket)) as jk:
        assert {job.state for job in jk.wait(ids, timeout=PATIENCE)} == {"succeeded"}
    assert starts.starts() == dict.fromkeys(ids[1::2], 1)
    assert starts.violations() == []


def test_on_the_command_line_a_child_fails_with_its_parent_and_says_why(daemon: PrivateDaemon, cli: Cli) -> None:
    """One that waits for any end runs; fan-in by label; a parent that there is not is an error that says so."""
    gate = daemon.home / "gate"
    wait = ["sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.01; done; exit $0"]
    bad = cli("run", "-d", "--label", "batch=7", "--", *wait, "3").stdout.strip()
    good = cli("run", "-d", "--label", "batch=7", "--", *wait, "0").stdout.strip()
    child = cli("run", "-d", "--after", f"{good},{bad[:8]}", "--", "true").stdout.strip()
    reduce = cli("run", "-d", "--after-label", "batch=7", "--after-any-end", "--", "echo", "all").stdout.strip()
    nobody = cli("run", "-d", "--after", "zzzzzzzz", "--", "true")
    assert (nobody.returncode, "there is no job zzzzzzzz" in nobody.stderr) == (3, True)
    assert "--after-any-end needs --after" in cli("run", "-d", "--after-any-end", "--", "true").stderr
    shown = cli("show", "--no-trunc", child).stdout
    assert f"after      {good}, {bad}" in shown
    assert "it waits for the end of other jobs" in shown
    gate.touch()
    assert cli("wait", child).returncode == 1
    assert f"job {bad}, after which it was to run, has failed" in cli("show", "--no-trunc", child).stdout
    assert cli("wait", reduce).returncode == 0
    again = cli("run", "--after", bad, "--", "true")
    assert (again.returncode, f"job {bad}, after which it was to run, has failed" in again.stderr) == (1, True)
    with jobkeep.connect_blocking(str(daemon.socket)) as jk:
        until(lambda: jk.job(good).info().state == "succeeded")
        assert jk.run(["true"], after=[good], after_label={"batch": "7"}).wait(timeout=PATIENCE).state == "succeeded"
