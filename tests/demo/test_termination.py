"""`jobkeep demo --terminate` ends everything that does not want to end, and would say so if it did not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crash.judges import processes_of
from daemon.test_crashes import wait_for
from jobkeep.demo.living import Seen, alive, look, start_ticks
from jobkeep.demo.screen import Screen
from jobkeep.demo.termination import Ended, Termination
from jobkeep.testing import PrivateDaemon


@pytest.fixture
def short_path() -> Iterator[Path]:
    """The path of a socket has a limit."""
    path = Path(tempfile.mkdtemp(prefix="jk-"))
    yield path
    shutil.rmtree(path)


def test_the_command_shows_four_ends_and_leaves_nothing_behind(short_path: Path) -> None:
    """Each claim holds; no process and no folder of the demo is left."""
    done = subprocess.run(
        [sys.executable, "-m", "jobkeep.cli", "demo", "--terminate"],
        env={**os.environ, "TMPDIR": str(short_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") == 4
    assert "✗" not in done.stdout
    for word in ("it stopped by itself", "SIGKILL", "SIGTERM", "double-forked child", "'page': 7"):
        assert word in done.stdout
    assert list(short_path.iterdir()) == []
    wait_for(lambda: not processes_of(short_path))


def test_a_process_that_is_still_there_breaks_the_claim(tmp_path: Path) -> None:
    """The demo believes the kernel, whatever state the job is in."""
    out = StringIO()
    termination = Termination(PrivateDaemon(tmp_path), Screen(out))
    ticks = start_ticks(os.getpid())
    assert ticks is not None
    job: Any = SimpleNamespace(state="cancelled")
    termination._gone("Nothing is left.", Ended(job, 1.0, [Seen("test", os.getpid(), ticks)]), kept=True)
    termination._gone("Nothing is left.", Ended(job, 1.0, [Seen("test", os.getpid(), ticks - 1)]), kept=True)
    assert "STILL THERE (test)" in out.getvalue()
    assert [claim.holds for claim in termination._claims] == [False, True]


def test_processes_are_told_by_number_and_start(tmp_path: Path) -> None:
    """A number that somebody else has by now is no process of ours, nor is one that has ended."""
    log = tmp_path / "processes"
    assert look(log) == []
    gone = subprocess.Popen(["true"])
    gone.wait()
    log.write_text(f"some worker {os.getpid()}\nanother {gone.pid}\n", encoding="utf-8")
    (seen,) = look(log)
    assert (seen.who, seen.pid) == ("some worker", os.getpid())
    assert alive(seen)
    assert not alive(seen._replace(start_ticks=seen.start_ticks - 1))
