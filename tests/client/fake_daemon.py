"""A scripted Varlink server in a thread: what a client meets, without a daemon."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

Parameters = dict[str, Any]


class Called(NamedTuple):
    """One message that came in."""

    method: str
    parameters: Parameters
    more: bool
    connection: int  # counts from 1


class Refusal(NamedTuple):
    """Answer with this error."""

    name: str
    parameters: Parameters = {}


class Drop(NamedTuple):
    """Close the connection in place of an answer."""


Answer = Parameters | Refusal | Drop | list[Any]
Script = Callable[[Called], Answer]


class FakeDaemon:
    """Answers each method by its script; a list is a stream. Replies are sent in pieces of `chunk` bytes."""

    def __init__(self, path: str, chunk: int | None = None) -> None:
        self.path = path
        self.chunk = chunk
        self.calls: list[Called] = []
        self._scripts: dict[str, Script] = {}
        self._change = threading.Condition()
        self._open: set[socket.socket] = set()
        self._accepted = 0
        self.start()

    def start(self) -> None:
        """Listen, from the beginning or again."""
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(64)
        self._acceptor = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._acceptor.start()

    def stop(self) -> None:
        """Stop listening and drop all connections."""
        os.unlink(self.path)
        self._listener.shutdown(socket.SHUT_RDWR)  # ends the thread, once it has taken what waits in the backlog
        self._acceptor.join(60)
        self._listener.close()
        self.drop_all()

    def drop_all(self) -> None:
        """Close the connections there are."""
        with self._change:
            for connection in self._open:
                connection.shutdown(socket.SHUT_RDWR)

    def on(self, method: str, *answers: Answer | Script) -> None:
        """Script a method of org.jobkeep: the answers in turn, the last one for ever."""
        left = list(answers)

        def script(called: Called) -> Answer:
            answer = left.pop(0) if len(left) > 1 else left[0]
            return answer(called) if callable(answer) else answer

        self._scripts["org.jobkeep." + method] = script

    def received(self, method: str, count: int = 1, timeout: float = 60.0) -> list[Called]:
        """The calls of a method once there are `count` of them."""
        name = "org.jobkeep." + method

        def found() -> list[Called]:
            return [call for call in self.calls if call.method == name]

        with self._change:
            assert self._change.wait_for(lambda: len(found()) >= count, timeout), f"{len(found())} calls of {method}"
            return found()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._change:
                self._accepted += 1
                self._open.add(connection)
                number = self._accepted
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        rest = b""
        try:
            while data := connection.recv(65536):
                *messages, rest = (rest + data).split(b"\0")
                for message in messages:
                    if not self._reply(connection, number, json.loads(message)):
                        return
        except OSError:
            pass
        finally:
            with self._change:
                self._open.discard(connection)
            connection.close()

    def _reply(self, connection: socket.socket, number: int, message: dict[str, Any]) -> bool:
        called = Called(message["method"], message.get("parameters", {}), message.get("more", False), number)
        with self._change:
            self.calls.append(called)
            self._change.notify_all()
        script = self._scripts.get(called.method)
        answer = script(called) if script else Refusal("org.varlink.service.MethodNotFound", {"method": called.method})
        if isinstance(answer, list) and answer and isinstance(answer[-1], Drop):
            self._send(connection, [{**item, "continues": True} for item in replies(answer[:-1])])
            return False
        if isinstance(answer, Drop):
            return False
        self._send(connection, replies(answer))
        return True

    def _send(self, connection: socket.socket, messages: Iterable[dict[str, Any]]) -> None:
        data = b"".join(json.dumps(message).encode() + b"\0" for message in messages)
        step = self.chunk or len(data) or 1
        for at in range(0, len(data), step):
            connection.sendall(data[at : at + step])


def replies(answer: Answer) -> list[dict[str, Any]]:
    """The messages of an answer."""
    if isinstance(answer, Refusal):
        return [{"error": answer.name, "parameters": answer.parameters}]
    if isinstance(answer, list):
        last = len(answer) - 1
        return [
            {"error": item.name, "parameters": item.parameters}
            if isinstance(item, Refusal)
            else {"parameters": item, "continues": at < last}
            for at, item in enumerate(answer)
        ]
    return [{"parameters": answer}]


def job(id: str = "abc12345", **fields: Any) -> Parameters:
    """A job as the wire has it."""
    allowed = {"allowed": True, "reason": None}
    return {
        "id": id, "name": "sleep", "kind": "command", "state": "succeeded", "health": "ok", "queue": "default",
        "labels": {}, "key": None, "lock": None, "priority": 0, "attempt": 1, "runs": [],
        "created_at": "2026-01-01T00:00:00Z", "started_at": None, "ended_at": None, "due_at": None,
        "elapsed_s": None, "progress": {}, "checkpoint": None, "heartbeat_age_s": None, "stuck_for_s": None,
        "outcome": None,
        "actions": {"cancel": allowed, "resume": allowed, "resume_failed_items": allowed, "restart": allowed},
        "spec": {"command": ["sleep", "1"]},
    } | fields  # fmt: skip


def event(seq: int, kind: str = "progress", job: str | None = "abc12345") -> Parameters:
    """An entry of the journal as the wire has it."""
    return {"event": {"seq": seq, "at": "2026-01-01T00:00:00Z", "kind": kind, "job": job}}
