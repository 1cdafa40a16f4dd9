"""`jobkeep ls` from nothing, in a virtual environment of its own with the built wheel, against `python -c pass`."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.measure import Bound, Sample
from bench.rig import Rig
from jobkeep.protocol.jobs import JobSpec

PAIRS = 10  # per round, in turns
PROJECT = Path(__file__).resolve().parents[2]
LISTED_JOBS = 20


def install(pip: list[str]) -> None:
    """Build the wheel and install it; what pip says is shown only if it fails."""
    done = subprocess.run([*pip, str(PROJECT)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"error: the wheel cannot be installed\n{done.stderr}")


class ColdStart:
    name = "ls_cold"
    what = "jobkeep ls, cold, installed wheel / python -c pass"
    unit = "ms"
    bound = Bound(ratio_at_most=3.5)

    def prepare(self, rig: Rig) -> None:
        """The base interpreter itself is linked: no shim of a version manager stands in between."""
        venv = rig.disk / "installed"
        subprocess.run([os.path.realpath(sys.executable), "-m", "venv", str(venv)], check=True)
        pip = [str(venv / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        install(pip)
        daemon = rig.fresh_daemon()
        client = daemon.client()
        for _ in range(LISTED_JOBS):
            client.submit(JobSpec(command=["true"], cwd="/"))
        self._environment = {
            "PATH": os.defpath,
            "HOME": str(rig.disk),
            "LANG": "C.UTF-8",
            "JOBKEEP_SOCKET": daemon.socket,
        }
        self._raw = [str(venv / "bin/python"), "-c", "pass"]
        self._ours = [str(venv / "bin/jobkeep"), "ls"]
        for command in (self._raw, self._ours, self._raw, self._ours):
            self._milliseconds(command)

    def round(self) -> Sample:
        raw, ours = [], []
        for _ in range(PAIRS):
            raw.append(self._milliseconds(self._raw))
            ours.append(self._milliseconds(self._ours))
        return Sample(statistics.median(raw), statistics.median(ours))

    def _milliseconds(self, command: list[str]) -> float:
        began = time.perf_counter()
        done = subprocess.run(command, env=self._environment, capture_output=True)
        elapsed = (time.perf_counter() - began) * 1e3
        if done.returncode != 0:
            raise SystemExit(f"error: {command} ended with {done.returncode}: {done.stderr.decode()}")
        return elapsed
