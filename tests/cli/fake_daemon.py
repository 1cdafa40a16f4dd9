"""A scripted daemon for the CLI: a Varlink server on threads, whose answers a test sets per method."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

Json = dict[str, Any]
Answer = Callable[[Json], Any]


class Fault(Exception):
    """An error of the wire; a name without dots is one of org.jobkeep.Jobs."""

    def __init__(self, name: str, /, **parameters: Any) -> None:
        super().__init__(name)
        self.name = name if "." in name else f"org.jobkeep.Jobs.{name}"
        self.parameters = parameters


class Hangup(Exception):
    """The daemon goes away in the middle of the call."""


class FakeDaemon:
    """Answers calls from `answers`: a reply, a callable that makes one, or one that yields a stream of them.

    `calls` has every call as (short method name, parameters), in order.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.answers: dict[str, Any] = {}
        self.calls: list[tuple[str, Json]] = []
        self.raw: bytes | None = None  # answer everything with this
        self._open: set[socket.socket] = set()
        self._server = self._listen()

    def _listen(self) -> socket.socket:
        server = socket.socket(socket.AF_UNIX)
        server.bind(self.path)
        server.listen(16)
        threading.Thread(target=self._accept, args=(server,), daemon=True).start()
        return server

    def called(self, method: str) -> list[Json]:
        """The parameters of all calls of one method."""
        return [parameters for name, parameters in self.calls if name == method]

    def close(self) -> None:
        """Stop listening and drop all connections."""
        for sock in (self._server, *self._open):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, Hangup):
            for message in _messages(connection):
                self._answer(connection, json.loads(message))
        self._open.discard(connection)

    def _answer(self, connection: socket.socket, call: Json) -> None:
        name = call["method"].rpartition(".")[2]
        parameters = call.get("parameters", {})
        self.calls.append((name, parameters))
        if self.raw is not None:
            connection.sendall(self.raw)
            return
        try:
            answer = self.answers.get(name)
            if answer is None:
                raise Fault("org.varlink.service.MethodNotFound", method=call["method"])
            reply = answer(parameters) if callable(answer) else answer
            if isinstance(reply, dict):
                _send(connection, {"parameters": reply})
            else:
                self._stream(connection, reply)
        except Fault as fault:
            _send(connection, {"error": fault.name, "parameters": fault.parameters})

    def _stream(self, connection: socket.socket, replies: Iterator[Json]) -> None:
        held: Json | None = None
        for reply in replies:
            if held is not None:
                _send(connection, {"parameters": held, "continues": True})
            held = None if reply.get("flush") else reply
        _send(connection, {"parameters": held or {}})


def _messages(connection: socket.socket) -> Iterator[bytes]:
    rest = b""
    while data := connection.recv(1 << 16):
        *messages, rest = (rest + data).split(b"\0")
        yield from messages


def _send(connection: socket.socket, message: Json) -> None:
    connection.sendall(json.dumps(message).encode() + b"\0")


FLUSH: Json = {"flush": True}  # in a stream: send what came before, and do not end with it


def chunk(data: bytes, stream: str = "stdout", run: int = 1, offset: int = 0) -> Json:
    """One LogChunk."""
    return {"stream": stream, "run": run, "offset": offset, "data": base64.b64encode(data).decode()}


def job(id: str = "k3x9a0b1c2d3e4f5", state: str = "running", **fields: Any) -> Json:
    """A job as the daemon tells it."""
    return {
        "id": id, "name": "backup", "kind": "command", "state": state, "health": "ok", "queue": "default",
        "labels": {}, "key": None, "lock": None, "priority": 0, "attempt": 1,
        "runs": [], "created_at": "2026-03-01T11:40:00Z", "started_at": "2026-03-01T11:45:00Z", "ended_at": None,
        "due_at": None, "elapsed_s": 720.0,
        "progress": {"done": 0, "total": None, "note": None, "tallies": {}, "failed_items": 0},
        "checkpoint": None, "heartbeat_age_s": None, "stuck_for_s": None, "outcome": None,
        "actions": {"cancel": {"allowed": True, "reason": None}},
        "spec": {"command": ["./backup.sh", "--all"], "cwd": "/srv"},
        **fields,
    }  # fmt: skip


def ended(state: str = "succeeded", **fields: Any) -> Json:
    """A job that is over; keyword arguments go to its outcome, `job__NAME` ones to the job."""
    of_job = {name.removeprefix("job__"): value for name, value in fields.items() if name.startswith("job__")}
    outcome: Json = {"kind": state, "exit_code": None, "signal": None, "reason": None, "error": None}
    outcome.update({name: value for name, value in fields.items() if not name.startswith("job__")})
    return job(state=state, ended_at="2026-03-01T11:57:00Z", outcome=outcome, **of_job)
