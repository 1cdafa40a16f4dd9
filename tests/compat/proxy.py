"""Stands between a daemon and whoever dials it, and writes down what they say."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import threading
from collections import deque
from pathlib import Path
from typing import Any

NUL = b"\0"


class Proxy:
    """Takes the place of a listening socket, which it moves aside.

    `calls` are in the order in which they came, each one {"call": …, "replies": […]}. `heard` is the same, message by
    message: the number of the connection, who spoke, and what.
    """

    def __init__(self, path: Path) -> None:
        self.calls: list[dict[str, Any]] = []
        self.heard: list[tuple[int, str, dict[str, Any]]] = []
        self.behind = str(path.with_name(f"{path.name}.behind"))
        path.rename(self.behind)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        for number in itertools.count(1):
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(caller, number), daemon=True).start()

    def _serve(self, caller: socket.socket, number: int) -> None:
        with caller, socket.socket(socket.AF_UNIX) as service:
            try:
                service.connect(self.behind)
            except OSError:  # it has been stopped
                return
            unanswered: deque[dict[str, Any]] = deque()
            back = threading.Thread(
                target=self._pass_on, args=(service, caller, number, "daemon", unanswered), daemon=True
            )
            back.start()
            self._pass_on(caller, service, number, "caller", unanswered)
            back.join()

    def _pass_on(
        self, source: socket.socket, sink: socket.socket, number: int, who: str, unanswered: deque[dict[str, Any]]
    ) -> None:
        rest = b""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                *messages, rest = (rest + data).split(NUL)
                for message in map(json.loads, messages):
                    self.heard.append((number, who, message))
                    if who == "caller":
                        self._note_call(message, unanswered)
                    else:
                        self._note_reply(message, unanswered)
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _note_call(self, call: dict[str, Any], unanswered: deque[dict[str, Any]]) -> None:
        entry = {"call": call, "replies": []}
        self.calls.append(entry)
        if not call.get("oneway"):
            unanswered.append(entry)

    def _note_reply(self, reply: dict[str, Any], unanswered: deque[dict[str, Any]]) -> None:
        unanswered[0]["replies"].append(reply)
        if not reply.get("continues"):
            unanswered.popleft()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # ends its accept()
        self._listener.close()
