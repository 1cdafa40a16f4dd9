"""A control group of version 1 in which processes are frozen: no signal ends them before they are thawed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path("/sys/fs/cgroup/freezer")
HERE = os.access(ROOT, os.W_OK) and (ROOT / "tasks").exists()
WHY_NOT = "only root, and a host with a freezer of version 1, can keep a process from dying"


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Until then."""
    group = ROOT / f"jobkeep-test-{os.getpid()}-{time.monotonic_ns()}"
    group.mkdir()
    state = group / "freezer.state"
    try:
        for pid in pids:
            (group / "tasks").write_text(str(pid))
        state.write_text("FROZEN")
        while state.read_text().strip() != "FROZEN":
            time.sleep(0.01)
        yield
    finally:
        state.write_text("THAWED")
        deadline = time.monotonic() + 60
        while (group / "tasks").read_text():  # they die now, if they were told to; else they go on
            if time.monotonic() > deadline:
                for pid in (group / "tasks").read_text().split():
                    (ROOT / "tasks").write_text(pid)
            time.sleep(0.01)
        group.rmdir()
