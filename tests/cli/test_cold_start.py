"""Commands that run in loops and prompts import next to nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cli.conftest import CLIENT
from cli.fake_daemon import FakeDaemon, job

HEAVY = {
    "msgspec", "asyncio", "anyio", "rich", "structlog", "typing", "dataclasses", "datetime", "socket", "subprocess",
    "argparse", "shutil", "inspect", "pathlib", "logging", "difflib", "importlib.metadata", "unicodedata",
}  # fmt: skip


@pytest.mark.parametrize(
    "line", [[], ["ls"], ["ls", "--json"], ["show", "k"], ["run", "-d", "x"], ["call", "-d", "m:f", "a=1"], ["version"]]
)
def test_fast_commands_load_nothing_heavy(daemon: FakeDaemon, line: list[str]) -> None:
    """Neither the library's encoders and loops nor the dearer parts of the standard library."""
    daemon.answers.update(
        List={"jobs": [job()]}, Get={"job": job()}, Submit={"id": "k", "state": "queued", "created": True},
        Status={"version": "1"},
    )  # fmt: skip
    # -S: what the site packages of this environment load at start is not ours.
    done = subprocess.run(
        [sys.executable, "-S", "-X", "importtime", "-m", "jobkeep.cli", *line],
        env={**os.environ, "PYTHONPATH": str(CLIENT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = {row.rpartition("|")[2].strip() for row in done.stderr.splitlines() if row.startswith("import time:")}

    assert "jobkeep.cli.main" in loaded
    assert not HEAVY & loaded
