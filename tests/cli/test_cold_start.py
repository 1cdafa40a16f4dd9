"""Commands that run in loops and prompts import next to nothing, and so does `import jobkeep`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest

from cli.conftest import CLIENT
from cli.fake_daemon import FakeDaemon, ended, job
from jobkeep.cli.listing import names
from jobkeep.client.routes import INTERFACES
from protocol.samples import sample

HEAVY = {
    "msgspec", "asyncio", "anyio", "rich", "structlog", "typing", "dataclasses", "datetime", "socket", "subprocess",
    "argparse", "shutil", "inspect", "pathlib", "logging", "difflib", "importlib.metadata", "unicodedata",
}  # fmt: skip
FAST = """
ls; ls --json; ls --all --state failed --label a=b; show k; show --json k; watch k; wait k; explain k; history k
events; sql SELECT; logs k; logs -n 3 --stdout k
run -d x; run -d --lock l x; run -d --retries 3 --delay 2h -- x; call -d m:f a=1; run x; call m:f
cancel k; resume k; restart k; rm k; progress 3 10; checkpoint get; checkpoint set {}
lock ls; lock show l; lock reset l; queue ls; queue pause q; queue resume q; queue limit q 2
schedule ls; schedule show s; schedule pause s; schedule resume s; schedule trigger s; schedule rm s
schedule add s cron -- x; session ls; session close s
recover; recover --check; ps; ps --orphans; cleanup; cleanup --dry-run
daemon status; daemon drain; daemon reload; daemon check; daemon backup f; metrics --json; completion bash; version
__complete show .; __complete run --queue .
"""
# What these do takes a process, a terminal or a library: what they import is small beside it.
DEAR = {
    "top": "draws with textual", "demo": "starts daemons", "doctor": "looks at everything", "web": "serves pages",
    "lock run": "starts a command", "session open": "may start a command", "emergency": "runs jobkeepd",
    "metrics": "formats with prometheus-client", "daemon start": "starts a daemon",
    "daemon stop": "waits for the end of a process",
    "daemon restore": "runs jobkeepd", "daemon check-config": "runs jobkeepd", "daemon install": "writes units",
}  # fmt: skip
WELL: dict[str, Any] = {
    "survivors": [], "problems": [], "drained": True, "running": [], "next": None, "timed_out": False,
}  # fmt: skip
INSIDE = {"JOBKEEP_JOB": "k", "JOBKEEP_RUN": "1", "JOBKEEP_COOKIE": "c"}
# Each line in a fork of one process, which has loaded nothing but the dispatcher.
EACH = """
import json, os, sys
import jobkeep.cli.main
for line in json.loads(sys.argv[1]):
    if os.fork() == 0:
        told = os.dup(1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = jobkeep.cli.main.main(line)
        os.write(told, json.dumps([line, code, list(sys.modules)]).encode() + b"\\n")
        os._exit(0)
    os.wait()
"""


def fast_lines() -> list[list[str]]:
    return [line.split() for row in FAST.splitlines() for line in row.split(";") if line.strip()]


@pytest.fixture
def full(daemon: FakeDaemon) -> FakeDaemon:
    """It answers every method."""
    for method in (method for interface in INTERFACES for method in interface.methods):
        # Several interfaces have a List: their replies in one have them all.
        known: dict[str, Any] = daemon.answers.setdefault(method.name, {})
        known |= sample(method.reply)
        known |= {name: value for name, value in WELL.items() if name in known}
    daemon.answers["List"]["jobs"] = [job()]
    daemon.answers["Wait"]["jobs"] = [ended()]
    daemon.answers |= {
        "Get": {"job": ended()}, "Events": lambda _: iter(()),
        "Logs": lambda _: iter(()), "Progress": {}, "SaveCheckpoint": {}, "LoadCheckpoint": {"seq": 1, "state": 1},
        "Submit": {"id": "k", "state": "queued", "created": True},
    }  # fmt: skip
    return daemon


def test_fast_commands_load_nothing_heavy(full: FakeDaemon) -> None:
    """Neither the library's encoders and loops nor the dearer parts of the standard library."""
    # -S: what the site packages of this environment load at start is not ours.
    ran = subprocess.run(
        [sys.executable, "-S", "-c", EACH, json.dumps(fast_lines())],
        env={**os.environ, **INSIDE, "PYTHONPATH": str(CLIENT)}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, check=True, timeout=120,
    )  # fmt: skip
    told = [json.loads(row) for row in ran.stdout.splitlines()]

    assert [line for line, _, _ in told] == fast_lines(), ran.stderr
    assert {" ".join(line): code for line, code, _ in told if code} == {}, ran.stderr
    assert {" ".join(line): HEAVY & {*modules} for line, _, modules in told if HEAVY & {*modules}} == {}


def test_every_command_is_either_fast_or_dear() -> None:
    """A new one has to be put on one of the lists."""
    lines = fast_lines()
    for name in names():
        parts = getattr(import_module(f"jobkeep.cli.commands.{name}"), "PARTS", None)
        for known in [f"{name} {part}" for part in parts] if parts else [name]:
            is_fast = any(line[: len(known.split())] == known.split() for line in lines)
            assert is_fast or known in DEAR, known


def test_a_fast_command_reads_nothing_it_does_not_name() -> None:
    """What Python itself says of one of them, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-S", "-X", "importtime", "-m", "jobkeep.cli", "completion", "bash"],
        env={**os.environ, "PYTHONPATH": str(CLIENT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = {row.rpartition("|")[2].strip() for row in done.stderr.splitlines() if row.startswith("import time:")}

    assert "jobkeep.cli.main" in loaded
    assert not HEAVY & loaded


IMPORT = "import sys; before = {*sys.modules}; import jobkeep; print(*sorted({*sys.modules} - before))"


def test_import_jobkeep_loads_one_small_module() -> None:
    """Names are loaded when they are used. 10 ms is the promise; on an idle machine it is a tenth of that."""
    best = float("inf")
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-S", "-X", "importtime", "-c", IMPORT],
            env={**os.environ, "PYTHONPATH": str(CLIENT)}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.split() == ["jobkeep"]
        took = next(row.split("|")[1] for row in done.stderr.splitlines() if row.endswith("| jobkeep"))
        best = min(best, int(took) / 1000)
    assert best <= 10, f"{best} ms"
