"""Runs per second of slots alone against plain posix_spawn + wait, interleaved, two at a time.

    python tests/bench/slot.py [RUNTIME_DIR]

Both sides start /bin/true; a slot also writes identity and exit records, passes its gate and proves ECHILD.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

SPAWNER = Path(__file__).parents[2] / "daemon/jobkeepd/spawner/spawner.py"
BATCH, ROUNDS, LANES = 100, 7, 2


def dial(path: str) -> tuple[socket.socket, Callable[[], dict[str, object]]]:
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(path)
    lines = peer.makefile("rb")
    return peer, lambda: json.loads(lines.readline())


def spawn_batch() -> None:
    for _ in range(BATCH):
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)


class Lane:
    """One slot, driven with blocking calls."""

    def __init__(self, runtime: str, name: str) -> None:
        self.runtime, self.name, self.count = runtime, name, 0
        self.peer, self.next = dial(f"{runtime}/slots/{name}.socket")
        self.next()

    def batch(self) -> None:
        for _ in range(BATCH):
            self.count += 1
            run = f"{self.name}.{self.count}"
            order = {
                "op": "start", "run": run, "argv": ["/bin/true"], "env": {}, "cwd": "/", "umask": 63,
                "stdout": "/dev/null", "stderr": "/dev/null", "grace": 5,
            }  # fmt: skip
            self.peer.send(json.dumps(order).encode() + b"\n")
            while not self.next().get("drained"):
                pass
            os.unlink(f"{self.runtime}/runs/{run}.run")


def rate(work: list[Callable[[], None]]) -> float:
    threads = [threading.Thread(target=each) for each in work]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return BATCH * len(work) / (time.perf_counter() - begin)


def main() -> None:
    base = sys.argv[1] if len(sys.argv) > 1 else "/dev/shm"
    runtime = tempfile.mkdtemp(dir=base)
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(SPAWNER), runtime], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        spawner, answer = dial(f"{runtime}/spawner.socket")
        answer()
        for number in range(LANES):
            spawner.send(json.dumps({"id": number, "op": "open", "slot": f"s{number}"}).encode() + b"\n")
            answer()
        lanes = [Lane(runtime, f"s{number}") for number in range(LANES)]
        slots, spawns = [], []
        for _ in range(ROUNDS):
            slots.append(rate([lane.batch for lane in lanes]))
            spawns.append(rate([spawn_batch] * LANES))
        ours, limit = statistics.median(slots), statistics.median(spawns)
        print(f"slot {ours:.0f}/s, posix_spawn {limit:.0f}/s, ratio {ours / limit:.2f}")
        for lane in lanes:
            lane.peer.send(b'{"op":"retire"}\n')
        spawner.send(b'{"op":"retire"}\n')
        process.wait(5)
    finally:
        process.kill()
        shutil.rmtree(runtime)


if __name__ == "__main__":
    main()
