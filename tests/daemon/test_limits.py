"""What a job may take of the host: set before its first instruction, and told of when it is not."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import jobkeep
from jobkeep.testing import PrivateDaemon

from .conftest import Cli

PATIENCE = "60s"
JOBS = """
import os, resource

def what_holds() -> dict:
    return {
        "pid": os.getpid(), "nofile": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "data": resource.getrlimit(resource.RLIMIT_DATA)[0], "nice": os.getpriority(os.PRIO_PROCESS, 0),
    }

def take(size: int) -> None:
    bytes(size)
"""


def test_jobs_run_within_their_limits_and_others_without(daemon: PrivateDaemon, cli: Cli) -> None:
    """A command in any slot; functions in a worker that is shared by those with equal limits; `show` tells them."""
    (daemon.home / "bounds.py").write_text(JOBS, encoding="utf-8")
    niceness = os.getpriority(os.PRIO_PROCESS, 0) + 3
    options = ("--nofile", "99", "--memory", "512M", "--nice", str(niceness), "--cpu", "1")
    said = cli("run", *options, "--", "sh", "-c", "ulimit -n; nice")
    assert (said.stdout.split(), said.returncode) == (["99", str(niceness)], 0)
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert cli("run", "--", "sh", "-c", "ulimit -n").stdout.strip() == str(usual)

    with jobkeep.connect_blocking(str(daemon.socket), autostart=False) as jk:
        def held(**limits: object) -> dict[str, int]:
            job = jk.call("bounds:what_holds", cwd=daemon.home, **limits)  # type: ignore[arg-type]
            return dict(job.result(timeout=PATIENCE))

        first, second, free = held(nofile=99, memory="512M"), held(nofile=99, memory="512M"), held()
        assert (first["nofile"], first["data"]) == (99, 512 << 20)
        assert second["pid"] == first["pid"] != free["pid"]
        assert free["nofile"] == usual
        starving = jk.call("bounds:take", {"size": 1 << 30}, cwd=daemon.home, memory="512M").wait(timeout=PATIENCE)
        assert starving.outcome is not None
        assert starving.outcome.error is not None
        assert starving.outcome.error.type == "MemoryError"
    shown = cli("show", json.loads(cli("ls", "--json", "--all").stdout.splitlines()[-1])["id"]).stdout
    assert f"512 MiB of memory, 1 CPU, 99 open files, niceness {niceness}" in shown


def test_a_limit_that_cannot_be_had_fails_the_job_and_a_senseless_one_the_command(cli: Cli, tmp_path: Path) -> None:
    """With what the bound is, without anything having run; and with a hint."""
    refused = cli("run", "--nofile", "1000000000", "--", "touch", f"{tmp_path}/ran")
    assert refused.returncode != 0
    assert "LimitNOFILE=" in refused.stderr
    assert not (tmp_path / "ran").exists()
    senseless = cli("run", "--memory", "512", "--", "true")
    assert (senseless.returncode, "512M or 1.5G" in senseless.stderr) == (2, True)


def test_a_kill_by_somebody_else_is_told_as_such(cli: Cli) -> None:
    """`explain` names what the kernel does where memory is short, and the most that the run had used."""
    killed = cli("run", "--", "sh", "-c", "kill -9 $$")
    assert (killed.returncode, "which jobkeep did not send" in killed.stderr) == (137, True)
    explained = cli("explain", json.loads(cli("ls", "--json", "--all").stdout.splitlines()[0])["id"]).stdout
    assert "journalctl -k" in explained
    assert "had used" in explained
