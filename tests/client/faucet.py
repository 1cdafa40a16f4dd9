"""A scripted daemon that answers everything, and whose replies stop at a byte: to wait there, or to be cut off."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any

from jobkeep.client.routes import INTERFACES
from jobkeep.protocol import admin, jobs, service, sessions
from protocol.samples import sample

from .fake_daemon import Answer, Called, FakeDaemon, Script, event, job

PATIENCE_S = 60.0
LOG = b"one\ntwo, which is longer\nthree\n"
EVENTS = 4  # each journal ends with this seq


class Faucet(FakeDaemon):
    """Answers each method with what its declaration allows. `arm` is for replies that follow, on all connections."""

    def __init__(self, path: str) -> None:
        self._valve = threading.Condition()
        self._left: int | None = None  # bytes until it happens
        self._then: Callable[[], None] = self._hold
        self.passed = 0  # bytes since it was armed
        self.reached = False
        super().__init__(path)
        for interface in INTERFACES:
            for method in interface.methods:
                self.on(f"{interface.name.removeprefix('org.jobkeep.')}.{method.name}", sample(method.reply))
        self._scripts["org.varlink.service.GetInfo"] = lambda _: sample(service.Info)
        pids = itertools.count(1)
        answers: dict[str, Answer | Script] = {
            "Jobs.SubmitMany": lambda called: {"ids": ["j1"] * len(called.parameters["items"])},
            "Jobs.Get": {"job": job(state="succeeded", ended_at="2026-01-01T00:00:00Z")},
            "Jobs.List": {"jobs": [job()], "next": None},
            "Jobs.Wait": lambda called: {"jobs": [job(id, kind="function") for id in called.parameters["ids"]]},
            "Jobs.FailedItems": _failed_items,
            "Jobs.Events": _events,
            "Jobs.Logs": lambda called: [*_chunks(called.parameters["offset"] or 0), {}],
            "Locks.Acquire": {"token": 7, "ttl_s": 60.0},
            "Locks.Renew": self._renewed,
            "Sessions.Open": sample(sessions.OpenReply, token=7, ttl_s=60.0),
            "Admin.Status": lambda _: sample(admin.StatusReply, pid=next(pids)),
            **{
                f"Jobs.{verb}Matching": sample(jobs.MatchingReply, states={}, next=None)
                for verb in ("Cancel", "Resume", "Restart", "Remove")
            },
        }
        for name, answer in answers.items():
            self.on(name, answer)

    def arm(self, after: int | None, then: Callable[[], None] | None = None) -> None:
        """After so many bytes call `then`, by default wait for `open`. None: let all pass, and count."""
        with self._valve:
            self._left, self._then = after, then or self._hold
            self.passed, self.reached = 0, False

    def open(self) -> None:
        """Let all pass."""
        with self._valve:
            self._left = None
            self._valve.notify_all()

    def stop(self) -> None:
        self.open()
        super().stop()

    def vanish(self) -> None:
        """For `arm`: the daemon ends, and none comes in its place."""
        self.stop()
        end_connection()

    def _hold(self) -> None:
        with self._valve:
            self._valve.wait_for(lambda: self._left is None, PATIENCE_S)

    def _renewed(self, called: Called) -> dict[str, Any]:
        with self._change:  # until the connection is closed there is no hurry, and its end is soon
            self._change.wait(min(called.parameters["linger_s"], 0.05))
        return {}

    def _send(self, connection: socket.socket, messages: Iterable[dict[str, Any]]) -> None:
        data = b"".join(json.dumps(message).encode() + b"\0" for message in messages)
        with self._valve:
            left = self._left
            stops = left is not None and not self.reached and left < len(data)
            if left is not None and not stops:
                self._left = left - len(data)
            self.passed += len(data)
        if not stops:
            connection.sendall(data)
            return
        connection.sendall(data[:left])
        with self._valve:
            self.reached = True
            self._valve.notify_all()
        self._then()
        connection.sendall(data[left:])


def end_connection() -> None:
    """For `arm`: the rest of the reply never comes."""
    raise ConnectionAbortedError


def _failed_items(called: Called) -> dict[str, Any]:
    after = called.parameters["after"]
    error = {"type": "ValueError", "message": "no"}
    return {"items": [{"key": f"k{n}", "error": error} for n in range(after, min(after + 2, 3))], "total": 3}


def _events(called: Called) -> list[Any]:
    """The last one is the end of the job, which Get knows of."""
    after = called.parameters["after"] or 0
    return [*(event(seq, "succeeded" if seq == EVENTS else "progress") for seq in range(after + 1, EVENTS + 1)), {}]


def _chunks(offset: int) -> list[dict[str, Any]]:
    """LOG from there on, in pieces of seven bytes."""
    return [
        {"stream": "stdout", "run": 1, "offset": at, "data": b64encode(LOG[at : at + 7]).decode()}
        for at in range(offset, len(LOG), 7)
    ]
