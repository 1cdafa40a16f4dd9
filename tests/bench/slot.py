"""Slots alone, without a daemon, against plain posix_spawn + wait of the same program, two at a time.

A slot also writes identity and exit on record, passes its gate and proves by ECHILD that nothing is left.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench.measure import Bound, Sample
from bench.rig import Rig

SPAWNER = Path(__file__).parents[2] / "daemon/jobkeepd/spawner/spawner.py"
TRUE = "/bin/true"
BATCH, LANES, BURSTS = 100, 2, 3


class Peer:
    """Lines of JSON, one after the other."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._lines = self._socket.makefile("rb")
        self.next()  # its hello

    def next(self) -> dict[str, object]:
        return dict(json.loads(self._lines.readline()))

    def send(self, message: dict[str, object]) -> None:
        self._socket.sendall(json.dumps(message).encode() + b"\n")


class Lane:
    """One slot, driven with blocking calls."""

    def __init__(self, runtime: str, name: str) -> None:
        self._runtime, self._name, self._count = runtime, name, 0
        self._peer = Peer(f"{runtime}/slots/{name}.socket")

    def batch(self) -> None:
        for _ in range(BATCH):
            self._count += 1
            run = f"{self._name}.{self._count}"
            self._peer.send({
                "op": "start", "run": run, "argv": [TRUE], "env": {}, "cwd": "/", "umask": 63,
                "stdout": "/dev/null", "stderr": "/dev/null", "grace": 5,
            })  # fmt: skip
            while not self._peer.next().get("drained"):
                pass
            os.unlink(f"{self._runtime}/runs/{run}.run")


def spawn_batch() -> None:
    for _ in range(BATCH):
        os.waitpid(os.posix_spawn(TRUE, [TRUE], {}), 0)


class Slots:
    name = "slot"
    what = "slots alone, two at a time / posix_spawn+wait, two at a time"
    unit = "/s"
    bound = Bound(ratio_at_least=0.4)

    def prepare(self, rig: Rig) -> None:
        runtime = str(rig.memory / "slots-alone")
        os.mkdir(runtime, 0o700)
        command = [sys.executable, "-I", "-S", "-X", "utf8", str(SPAWNER), runtime]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert process.stdout is not None
        with process.stdout as said:
            if said.readline() != b"ready\n":
                raise SystemExit("error: the spawner does not start")
        self._spawner = Peer(f"{runtime}/spawner.socket")
        self._lanes = []
        for number in range(LANES):
            self._spawner.send({"id": number, "op": "open", "slot": f"s{number}"})
            self._spawner.next()
            self._lanes.append(Lane(runtime, f"s{number}"))
        rate([lane.batch for lane in self._lanes])

    def round(self) -> Sample:
        raw, ours = [], []
        for _ in range(BURSTS):
            ours.append(rate([lane.batch for lane in self._lanes]))
            raw.append(rate([spawn_batch] * LANES))
        return Sample(sorted(raw)[BURSTS // 2], sorted(ours)[BURSTS // 2])


def rate(work: list[Callable[[], None]]) -> float:
    threads = [threading.Thread(target=each) for each in work]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return BATCH * len(work) / (time.perf_counter() - began)
