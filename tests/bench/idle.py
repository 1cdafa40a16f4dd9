"""Memory of a daemon that has nothing to do, against a bare interpreter."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from bench.measure import Bound, Sample
from bench.rig import Rig

SETTLE = 2.0  # seconds after the first answer: an idle daemon, not a starting one


class Idle:
    name = "idle_rss"
    what = "resident memory of an idle daemon / of a bare interpreter"
    unit = "MiB"
    bound = Bound(at_most=40)

    def prepare(self, rig: Rig) -> None:
        self._pid = rig.fresh_daemon().pid
        time.sleep(SETTLE)

    def round(self) -> Sample:
        bare = subprocess.Popen(
            [sys.executable, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert bare.stdout is not None
        bare.stdout.readline()
        sample = Sample(resident(bare.pid), resident(self._pid))
        bare.communicate(b"\n")
        return sample


def resident(pid: int) -> float:
    """VmRSS in MiB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / 1024
