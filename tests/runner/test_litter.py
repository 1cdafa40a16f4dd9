"""Files of seats that are gone are deleted when they are old, and no others."""

from __future__ import annotations

import os
import time
from pathlib import Path

import anyio

from jobkeepd.runner.litter import Litter
from jobkeepd.spawner import record


def test_old_files_of_seats_that_are_gone_go(tmp_path: Path) -> None:
    """Not those of a slot that lives, of a run that has not ended on record, or of yesterday."""
    now = time.time()
    for folder in ("logs/seats", "logs/workers", "logs/runs", "spool", "slots"):
        (tmp_path / folder).mkdir(parents=True)
    ages = {
        "logs/seats/gone.stdout": 40, "logs/workers/gone.log": 40, "spool/j.1.finish.bad": 40,  # which go
        "logs/seats/young.stdout": 1, "logs/seats/needed.stdout": 40, "logs/seats/lives.stdout": 40,
        "logs/runs/j.1.stdout": 40, "spool/j.1.finish": 40,
    }  # fmt: skip
    for name, days in ages.items():
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (now - days * 86400,) * 2)
    child = os.fork()
    if child == 0:
        record.take_lock(record.slot_lock(str(tmp_path), "lives"))
        (tmp_path / "locked").touch()
        time.sleep(600)
        os._exit(0)
    try:
        while not (tmp_path / "locked").exists():
            time.sleep(0.005)
        litter = Litter(str(tmp_path / "logs"), str(tmp_path / "spool"), str(tmp_path))
        anyio.run(litter.clear, now - 30 * 86400, {"needed"})
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert {name for name in ages if (tmp_path / name).exists()} == set(list(ages)[3:])
