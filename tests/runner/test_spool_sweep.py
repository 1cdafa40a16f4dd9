"""What workers were about to write into the spool when they were killed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from jobkeepd.runner.spool import Spool


def test_only_what_a_dead_worker_was_about_to_write_is_removed(tmp_path: Path) -> None:
    """A living one is about to rename it."""
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    names = [f".j.1.checkpoint.{dead.pid}", f".j.1.checkpoint.{os.getpid()}", "j.1.checkpoint", ".hidden"]
    for name in names:
        (tmp_path / name).touch()
    Spool(str(tmp_path)).sweep()
    assert {path.name for path in tmp_path.iterdir()} == set(names[1:])
