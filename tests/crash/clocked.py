"""Daemons whose wall clock is set while they run, and hosts that have been started anew."""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
import time
import uuid
from pathlib import Path

import pytest

import jobkeep
from jobkeep.testing import PrivateDaemon

from .judges import processes_of, slay

DAY = 86400
PATIENCE = 60.0


def libfaketime() -> str:
    """Skips the test where there is none."""
    found = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not found:
        pytest.skip("libfaketime is not installed (Debian: apt install libfaketime)")
    return found[0]


class ClockedDaemon(PrivateDaemon):
    """The wall clock of the daemon, its spawner and its shims can be set; the monotonic one goes on as it does."""

    def _environment(self) -> dict[str, str]:
        self.set_clock(0)
        return {
            **super()._environment(),
            "LD_PRELOAD": libfaketime(),
            "FAKETIME_TIMESTAMP_FILE": str(self.home / "clock"),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set_clock(self, seconds: int) -> None:
        """So far from the true time."""
        fresh = self.home / "clock.new"
        fresh.write_text(f"{seconds:+d}\n")
        fresh.rename(self.home / "clock")

    def clock(self, jk: jobkeep.BlockingClient) -> float:
        """How far the daemon believes to be from the true time: by the date of a job that it takes now."""
        job = jk.run(["true"], queue="probe")
        job.wait()
        return job.info().created_at.timestamp() - time.time()


class BootedDaemon(PrivateDaemon):
    """Sees a boot id of the test's own, as do all processes that it starts."""

    def __init__(self, **settings: str) -> None:
        if os.geteuid() != 0 or shutil.which("unshare") is None:
            pytest.skip("a boot id can be covered by root alone, with unshare")
        super().__init__(**settings)
        self._boot = self.home / "boot_id"
        self.boot()

    def boot(self) -> None:
        """Another boot of the host: nothing of the one before is left, and its id is new."""
        self.kill()
        deadline = time.monotonic() + PATIENCE
        while living := processes_of(self.home):
            for pid in living:
                slay(pid, self.home)
            assert time.monotonic() < deadline
        shutil.rmtree(self.home / "run", ignore_errors=True)  # it is in memory
        self._boot.write_text(f"{uuid.uuid4()}\n")

    def seen_boot(self) -> str:
        """What the daemon takes for the boot id, by its own log."""
        ready = [json.loads(line) for line in self.log.splitlines() if '"ready"' in line]
        return str(ready[-1]["boot_id"])

    def _command(self) -> list[str]:
        cover = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'
        return ["unshare", "-m", "sh", "-c", cover, str(self._boot), *super()._command()]


def need_mounts(daemon: BootedDaemon) -> None:
    """Skips the test where nothing can be mounted over the kernel's own file."""
    tried = subprocess.run([*daemon._command()[:6], "cat", "/proc/sys/kernel/random/boot_id"], capture_output=True)
    if tried.stdout != Path(daemon._boot).read_bytes():
        pytest.skip(f"the boot id cannot be covered: {tried.stderr.decode(errors='replace').strip()}")
