"""Commands of the CLI from nothing, by the built wheel in an environment of its own, against `python -c pass`."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.measure import Bound, Sample
from bench.rig import PARKED, Rig, hold_queue
from jobkeep.protocol.jobs import JobSpec

PAIRS = 10  # per round, in turns
PROJECT = Path(__file__).resolve().parents[2]
LISTED_JOBS = 20


def install(pip: list[str]) -> None:
    """Build the wheel and install it; what pip says is shown only if it fails."""
    done = subprocess.run([*pip, str(PROJECT)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"error: the wheel cannot be installed\n{done.stderr}")


class Installed:
    """The wheel in an environment of its own, and a daemon with some jobs; one for all measures of a rig."""

    _made: dict[Rig, Installed] = {}

    @classmethod
    def of(cls, rig: Rig) -> Installed:
        return cls._made.get(rig) or cls._made.setdefault(rig, cls(rig))

    def __init__(self, rig: Rig) -> None:
        """The base interpreter itself is linked: no shim of a version manager stands in between."""
        self.bin = rig.disk / "installed/bin"
        subprocess.run([os.path.realpath(sys.executable), "-m", "venv", str(self.bin.parent)], check=True)
        install([str(self.bin / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        daemon = rig.fresh_daemon()
        client = daemon.client()
        self.job = [client.submit(JobSpec(command=["true"], cwd="/")) for _ in range(LISTED_JOBS)][-1]
        hold_queue(client, rig.disk / "held-for-cold-start")
        self.environment = {
            "PATH": os.defpath,
            "HOME": str(rig.disk),
            "LANG": "C.UTF-8",
            "JOBKEEP_SOCKET": daemon.socket,
        }


class ColdLs:
    name = "ls_cold"
    what = "jobkeep ls, cold, installed wheel / python -c pass"
    unit = "ms"
    bound = Bound(ratio_at_most=3)

    def prepare(self, rig: Rig) -> None:
        installed = Installed.of(rig)
        self._environment = installed.environment
        self._raw = [str(installed.bin / "python"), "-c", "pass"]
        self._ours = [str(installed.bin / "jobkeep"), *self.words(installed.job)]
        for command in (self._raw, self._ours, self._raw, self._ours):
            self._milliseconds(command)

    def words(self, job: str) -> list[str]:
        """What stands behind `jobkeep`."""
        return ["ls"]

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


class ColdShow(ColdLs):
    name = "show_cold"
    what = "jobkeep show, cold, installed wheel / python -c pass"

    def words(self, job: str) -> list[str]:
        return ["show", job]


class ColdRun(ColdLs):
    """Into a queue that is held: what the command does is no part of it."""

    name = "run_cold"
    what = "jobkeep run -d, cold, installed wheel / python -c pass"

    def words(self, job: str) -> list[str]:
        return ["run", "-d", "--queue", PARKED, "--", "true"]
