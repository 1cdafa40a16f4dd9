"""A daemon with a Dask cluster, both of them real."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import jobkeep
from dask_bridge.clusters import JOBS, Cluster, running, until
from jobkeep.testing import PrivateDaemon

pytest.importorskip("distributed", reason="the extra dask is not installed")

LOST_AFTER_S = 8.0  # of dask:strict, where that has to pass; a busy machine needs some of it for nothing


class Site:
    """A daemon with a cluster called lab; strict is the same one, which is not waited for as long.

    The scheduler of nowhere does not answer, and that of annex is started by who wants a second cluster.
    """

    def __init__(self, daemon: PrivateDaemon, client: jobkeep.BlockingClient, lab: Cluster) -> None:
        self.daemon = daemon
        self.jk = client
        self.lab = lab
        self._numbers = count()

    def log(self) -> Path:
        """A file that is not there yet."""
        return self.daemon.home / f"log{next(self._numbers)}"

    def call(self, name: str, *, on: str = "dask:lab", **arguments: Any) -> jobkeep.BlockingJob:
        options = {key: arguments.pop(key) for key in ("on_lost", "retries", "backoff", "grace") if key in arguments}
        given = {key: str(value) if isinstance(value, Path) else value for key, value in arguments.items()}
        return self.jk.call(f"dask_jobs:{name}", given, cwd=self.daemon.home, on=on, **options)

    def bridge(self, job: jobkeep.BlockingJob) -> int:
        """The process that carries its run."""
        found: list[int] = []

        def is_there() -> bool:
            found[:] = self.bridges(job)
            return len(found) == 1

        until(is_there)
        return found[0]

    def bridges(self, job: jobkeep.BlockingJob) -> list[int]:
        """None, between two of them. Beneath its slot, and more than that proves it once it was seen there before."""
        rows = [row for row in self.jk.processes() if (row.run or "").startswith(job.id)]
        return [row.pid for row in rows if "slot" in row.evidence]


# Of this package, not of the session: a worker counts processes beside it, and other tests start theirs beside these.
@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("dask")
    (home / "dask_jobs.py").write_text(JOBS, encoding="utf-8")
    with running(home, "lab") as lab:
        daemon = PrivateDaemon(
            JOBKEEP_DASK_LAB_SCHEDULER_FILE=str(lab.file),
            JOBKEEP_DASK_LAB_LOST_AFTER="10m",
            JOBKEEP_DASK_STRICT_SCHEDULER_FILE=str(lab.file),
            JOBKEEP_DASK_STRICT_LOST_AFTER=f"{LOST_AFTER_S}s",
            JOBKEEP_DASK_ANNEX_SCHEDULER_FILE=str(home / "annex.json"),
            JOBKEEP_DASK_NOWHERE_ADDRESS="tcp://127.0.0.1:9",
            JOBKEEP_DASK_NOWHERE_CONNECT_TIMEOUT="1s",
        )
        with daemon as client:
            site = Site(daemon, client, lab)
            yield site
            site.jk.close()
