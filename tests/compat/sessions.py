"""A worker's session: what it says to its daemon and is told, from its first word to its last."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Raw

import jobkeep
from compat.proxy import Proxy
from compat.scenario import PYTHON, wait_until
from compat.transcript import Names, covers
from jobkeep.protocol.jobs import ErrorInfo, FailedItem
from jobkeep.protocol.worker import CheckpointParameters, FinishParameters, ItemKey, RunOrder, SaveStepParameters
from jobkeep.testing import PrivateDaemon
from jobkeep.worker.outbox import Unsaid
from jobkeep.worker.renewal import Handover

NUL = b"\0"
FENCED: dict[str, Any] = {"run": "abcdefghijkl.1", "fence": 3}
HANDOVER = Handover(
    order=RunOrder(
        run="mnopqrstuvwx.2", fence=4, function="jobs:batch", arguments=Raw(b'{"a":1}'), job="mnopqrstuvwx",
        name="batch", number=2, cookie="secret", stdout="/out", stderr="/err", cursor=Raw(b'{"at":1}'),
        checkpoint_seq=1, done=5,
    ),
    unsaid=Unsaid(
        steps=[SaveStepParameters(**FENCED, ordinal=0, name="fetch", result=Raw(b"[1]"))],
        checkpoints=[CheckpointParameters(**FENCED, seq=2, state=Raw(b"7"), done=2, failed=[
            FailedItem("k", ErrorInfo("ValueError", "bad"), ordinal=1, run=1)
        ], resolved=[ItemKey("0", "j")])],
        finishes=[FinishParameters(**FENCED, outcome="failed", error=ErrorInfo("OSError", "gone"), clean=False)],
    ),
    retire=True,
    spooled=["abcdefghijkl.1.checkpoint"],
)  # fmt: skip
Step = Mapping[str, Any]  # the number of a connection, and what the worker or the daemon says on it


def recorded(daemon: PrivateDaemon) -> tuple[list[Step], list[str]]:
    """A batch that has failures, then one that is cancelled, then the end of the daemon; and the jobs' ids."""
    with daemon.start():
        proxy = Proxy(daemon.socket)
        with jobkeep.connect_blocking(proxy.behind, autostart=False) as jk:
            jobs = drive(jk, daemon.home, PYTHON, {})
        daemon.stop()
        proxy.close()
    workers = {number for number, _, said in proxy.heard if said.get("method", "").startswith("org.jobkeep.Worker.")}
    names = {"caller": "worker", "daemon": "daemon"}
    steps = [
        {"connection": number, names[who]: said}
        for number, who, said in proxy.heard
        if number in workers and said.get("method") != "org.jobkeep.Worker.Beat"
    ]
    return steps, jobs


def drive(jk: jobkeep.BlockingClient, home: Path, python: str, env: dict[str, str]) -> list[str]:
    """Two jobs for one worker; returns when both have ended."""
    arguments = {"log": str(home / "items"), "gate": str(home / "gate")}
    options: dict[str, Any] = {"python": python, "cwd": str(home), "env": env}
    (home / "gate").touch()
    first = jk.call("jobs:batch", arguments, **options)
    first.wait(timeout=120)
    (home / "gate").unlink()
    second = jk.call("jobs:batch", arguments, **options)
    socket = str(jk.status().socket)
    wait_until(socket, second.id, "running")
    second.cancel()
    second.wait(timeout=120)
    return [first.id, second.id]


class Player:
    """Says what a recorded worker said, in its place, and compares what it is told with what that one was told."""

    def __init__(self, steps: Iterable[Step], home: Path, python: str, environ: Mapping[str, str]) -> None:
        self._steps = steps
        self._environ = environ
        self._names = Names(home, python)
        self._fences: dict[int, int] = {}
        self._connections: dict[int, socket.socket] = {}
        self._unread: dict[int, bytes] = {}

    def play(self) -> None:
        """Raises AssertionError where the daemon says too little."""
        for step in self._steps:
            number = step["connection"]
            if "worker" in step:
                self._say(number, step["worker"])
            else:
                told = self._hear(number)
                problem = covers(told, step["daemon"], self._names)
                assert problem is None, f"{problem}: {told}"
                run, now = step["daemon"].get("parameters", {}).get("run"), told.get("parameters", {}).get("run")
                if run:
                    self._fences[run["fence"]] = now["fence"]

    def _say(self, number: int, message: Any) -> None:
        if message["method"].endswith(".Attach"):  # who we are, only we know
            recorded = message["parameters"]
            self._names.known[recorded["worker"]] = self._environ["JOBKEEP_SEAT"]
            self._names.known[recorded["cookie"]] = self._environ["JOBKEEP_COOKIE"]
        message = self._names.fill_in(message)
        if message["parameters"].get("fence"):
            message["parameters"]["fence"] = self._fences[message["parameters"]["fence"]]
        if number not in self._connections:
            self._connections[number] = socket.socket(socket.AF_UNIX)
            self._connections[number].settimeout(60)
            self._connections[number].connect(self._environ["JOBKEEP_SOCKET"])
        self._connections[number].sendall(json.dumps(message).encode() + NUL)

    def _hear(self, number: int) -> Any:
        data = self._unread.get(number, b"")
        while NUL not in data:
            more = self._connections[number].recv(65536)
            assert more, "the daemon hung up"
            data += more
        message, _, self._unread[number] = data.partition(NUL)
        return json.loads(message)


def main() -> int:
    """In place of a worker: $TRANSCRIPT is the session, and $VERDICT gets what is wrong with this one."""
    steps = [json.loads(line) for line in Path(os.environ["TRANSCRIPT"]).read_text(encoding="utf-8").splitlines()]
    verdict = Path(os.environ["VERDICT"])
    try:
        Player(steps, verdict.parent, os.environ["PYTHON"], os.environ).play()
    except (AssertionError, OSError, KeyError) as problem:
        verdict.write_text(repr(problem), encoding="utf-8")
        return 1
    verdict.write_text("as then", encoding="utf-8")
    return 0
