"""A map on a Dask cluster of this host, against Dask's own, and what it leaves in the memory of daemon and bridge."""

from __future__ import annotations

import logging
import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.commands import await_all
from bench.measure import Bound, NotHere, Sample
from bench.memory import below, private
from bench.rig import CONFIG, Daemon, Rig
from bench.wire import BareClient
from dask_bridge.clusters import Cluster
from jobkeep.protocol.jobs import JobParameters, JobSpec, ResultReply, SubmitParameters, SubmitReply

ITEMS: Final = 2000
MANY: Final = 10_000
PATIENCE_S: Final = 120.0
HERE = Path(__file__).parents[1]


class Lab:
    """A cluster of two workers with a thread each, and a daemon that knows it."""

    _labs: dict[Rig, Lab] = {}  # one for all measures of a rig

    def __init__(self, rig: Rig) -> None:
        try:
            distributed: Any = import_module("distributed")
        except ModuleNotFoundError:
            raise NotHere("distributed is not installed: pip install 'jobkeep[dask]'") from None
        self.path = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
        cluster = Cluster(rig.disk, "lab", path=self.path)
        cluster.start()  # the rig ends it
        for name in ("distributed", "distributed.client"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # and its client complains of that
        self.dask = distributed.Client(scheduler_file=str(cluster.file))
        self.dask.wait_for_workers(2)
        section = f'\n[dask.lab]\nscheduler_file = "{cluster.file}"\n'
        self.daemon: Daemon = rig.fresh_daemon(config=CONFIG + section)
        self._folder = rig.disk

    @classmethod
    def of(cls, rig: Rig) -> Lab:
        return cls._labs.get(rig) or cls._labs.setdefault(rig, cls(rig))

    def submit(self, function: str, **arguments: int | str) -> tuple[BareClient, str]:
        client = self.daemon.client()
        spec = JobSpec(
            function=f"bench.cluster_jobs:{function}", arguments=arguments, on="dask:lab",
            python=sys.executable, cwd=str(self._folder), env={"PYTHONPATH": self.path},
        )  # fmt: skip
        return client, client.call("org.jobkeep.Jobs.Submit", SubmitParameters(spec), SubmitReply).id

    def result(self, client: BareClient, job: str) -> float:
        await_all(self.daemon.socket, [job])
        reply = client.call("org.jobkeep.Jobs.Result", JobParameters(job), ResultReply)
        assert isinstance(reply.result, msgspec.Raw)
        return msgspec.json.decode(reply.result, type=float)


class MapOverhead:
    """Both over the same items; the start of the job is not in it, its checkpoints are."""

    name = "map"
    what = "2,000 items of 1 ms through ctx.map on a Dask cluster / through its own Client.map"
    unit = "s"
    bound = Bound(ratio_at_most=1.15)

    def prepare(self, rig: Rig) -> None:
        self._lab = Lab.of(rig)

    def round(self) -> Sample:
        from bench.cluster_jobs import one

        began = time.perf_counter()
        self._lab.dask.gather(self._lab.dask.map(one, range(ITEMS), pure=False))
        raw = time.perf_counter() - began
        return Sample(raw, self._lab.result(*self._lab.submit("timed", items=ITEMS)))


class MapMemory:
    """At the end of a map, before its job ends: that of the daemon and of the bridge."""

    name = "map_memory"
    what = "private memory of daemon and bridge after 10,000 items of ctx.map / after 1,000"
    unit = "KiB"
    bound = Bound(ratio_at_most=1.1)

    def prepare(self, rig: Rig) -> None:
        self._lab = Lab.of(rig)

    def round(self) -> Sample:
        return Sample(self._after(MANY // 10), self._after(MANY))

    def _after(self, items: int) -> float:
        gate, reached = self._lab.daemon.state / "gate", self._lab.daemon.state / "reached"
        gate.unlink(missing_ok=True)
        client, job = self._lab.submit("gated", items=items, reached=str(reached), gate=str(gate))
        latest = time.monotonic() + PATIENCE_S
        while not reached.exists():
            assert time.monotonic() < latest, f"job {job} has not come to the end of its items"
            time.sleep(0.01)
        daemon = self._lab.daemon.pid
        total = private(daemon) + sum(private(pid) for pid in below(daemon) if is_bridge(pid))
        reached.unlink()
        gate.touch()
        self._lab.result(client, job)
        return total


def is_bridge(pid: int) -> bool:
    return b"jobkeep.dask_bridge" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
