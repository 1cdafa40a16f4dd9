"""A daemon for one worker, in this process: it hands out orders, keeps reports and can vanish and return."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

CLIENT = Path(__file__).resolve().parents[2] / "client"
DEADLINE_S = 60.0
WELCOME = b'{"parameters":{"kind":"welcome"},"continues":true}\0'


class FakeDaemon:
    """Answers each call at once; `refuse` maps a method to the error that it gets instead."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = str(directory / "socket")
        self.attached: list[dict[str, Any]] = []
        self.reports: list[tuple[str, dict[str, Any]]] = []
        self.refuse: dict[str, str] = {}
        self.silent: set[str] = set()
        self.keys: list[dict[str, str]] = []
        self.results: list[Any] = []  # of steps that are stored
        self.runs = 0
        self.knows = range(1, 2)  # versions of the protocol
        self._news = threading.Condition()
        self._orders: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.open()

    def open(self) -> None:
        """Begin to listen."""
        if os.path.exists(self.path):
            os.unlink(self.path)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def vanish(self) -> None:
        """As if killed: no listener, all connections closed."""
        with self._news:
            if self._listener is not None:
                self._listener.shutdown(socket.SHUT_RDWR)
                self._listener.close()
                self._listener = None
            if os.path.exists(self.path):
                os.unlink(self.path)
            for connection in self._connections:
                connection.shutdown(socket.SHUT_RDWR)
                connection.close()
            self._connections.clear()
            self._orders = None

    @property
    def has_worker(self) -> bool:
        """One has attached, in a version that is known."""
        return self._orders is not None

    def order(self, function: str, *, cut: bool = False, **arguments: Any) -> str:
        """Send a run; its id."""
        return self.send_run(function, arguments, cut=cut)

    def send_run(
        self, function: str, arguments: dict[str, Any], *, cut: bool = False, **more: Any
    ) -> str:
        """Send a run with fields of the order of its own; its id."""
        self.runs += 1
        run = f"j{self.runs}.1"
        order = {
            "run": run, "fence": self.runs, "job": f"j{self.runs}", "cookie": f"cookie{self.runs}",
            "function": function, "arguments": arguments, "name": "f", "number": 1,
            "stdout": str(self.directory / f"{run}.out"), "stderr": str(self.directory / f"{run}.err"),
            **more,
        }  # fmt: skip
        self.send({"kind": "run", "run": order}, cut=cut)
        return run

    def stop(self, run: str, reason: str = "cancelled") -> None:
        self.send({"kind": "stop", "target": run, "reason": reason})

    def send(self, order: dict[str, Any], *, cut: bool = False) -> None:
        """Send an order to the worker, byte by byte if `cut`."""
        self._reply({"parameters": order, "continues": True}, cut=cut)

    def expel(self, error: str) -> None:
        """End the stream of orders with an error."""
        self._reply({"error": error, "parameters": {"message": "go away"}})

    def wait(self, method: str, run: str | None = None, *, number: int = 1) -> dict[str, Any]:
        """The parameters of the `number`-th report of that kind."""

        def matching() -> list[dict[str, Any]]:
            return [p for name, p in self.reports if name == method and run in (None, p.get("run"))]

        self.until(lambda: len(matching()) >= number, f"{method} of {run}")
        return matching()[number - 1]

    def until(self, ready: Callable[[], bool], what: str) -> None:
        """Wait for something that a report or a connection brings."""
        with self._news:
            assert self._news.wait_for(ready, DEADLINE_S), f"no {what}; there were {self.reports}"

    def finish_of(self, function: str, **arguments: Any) -> dict[str, Any]:
        """Run a function to its end."""
        return self.wait("Finish", self.order(function, **arguments))

    def output(self, run: str, stream: str = "out") -> bytes:
        return (self.directory / f"{run}.{stream}").read_bytes()

    def _reply(self, reply: dict[str, Any], *, cut: bool = False) -> None:
        self.until(lambda: self._orders is not None, "worker")
        assert self._orders is not None
        data = msgspec.json.encode(reply) + b"\0"
        for piece in [data[i : i + 1] for i in range(len(data))] if cut else [data]:
            self._orders.sendall(piece)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._news:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        rest = b""
        try:
            while data := connection.recv(65536):
                *messages, rest = (rest + data).split(b"\0")
                for message in messages:
                    self._take(connection, msgspec.json.decode(message))
        except OSError:
            pass
        finally:
            with self._news:
                self._connections.discard(connection)
            connection.close()

    def _take(self, connection: socket.socket, call: dict[str, Any]) -> None:
        method = call["method"].rpartition(".")[2]
        with self._news:
            if connection not in self._connections:
                return
            if method == "Attach":
                self.attached.append(call["parameters"])
                if call["parameters"]["protocol"] in self.knows:
                    self._orders = connection
                    connection.sendall(WELCOME)
                else:
                    connection.sendall(msgspec.json.encode(self._wrong_protocol(call["parameters"])) + b"\0")
            else:
                self.reports.append((method, call["parameters"]))
            if method != "Attach" and not call.get("oneway") and method not in self.silent:
                reply: dict[str, Any] = {"parameters": {}}
                if method in self.refuse:
                    reply = {"error": self.refuse[method], "parameters": {"message": "no"}}
                elif method == "FailedKeys":
                    after = call["parameters"].get("after", 0)
                    reply = {"parameters": {"keys": self.keys[after : after + 1000]}}
                elif method == "StepResult":
                    reply = {"parameters": {"result": self.results[call["parameters"]["ordinal"]]}}
                connection.sendall(msgspec.json.encode(reply) + b"\0")
            self._news.notify_all()


    def _wrong_protocol(self, hello: dict[str, Any]) -> dict[str, Any]:
        said = {"message": "not known", "protocol": hello["protocol"]}
        said |= {"oldest": self.knows[0], "newest": self.knows[-1]}
        return {"error": "org.jobkeep.Worker.WrongProtocol", "parameters": said}


START = """
import json, os, sys
from jobkeep.protocol import worker
worker.OLDEST, worker.PROTOCOL = json.loads(sys.argv[2])
from jobkeep.worker.serve import Server, leave
from jobkeep.worker.settings import Settings
from msgspec.structs import replace
sys.path[0] = os.getcwd()
leave(Server(replace(Settings.take(os.environ), **json.loads(sys.argv[1]))).serve())
"""


class Worker:
    """A real worker process. With `timings`, settings other than those of `python -m jobkeep.worker`; with `speaks`,
    the oldest and the newest version of the protocol that it knows."""

    def __init__(self, daemon: FakeDaemon, speaks: tuple[int, int] = (1, 1), **timings: float) -> None:
        self.spool = daemon.directory / "spool"
        self.spool.mkdir(exist_ok=True)
        self.log = daemon.directory / "worker.log"
        self.begun = daemon.directory / "begun"
        start = ["-m", "jobkeep.worker"]
        if timings or speaks != (1, 1):
            start = ["-c", START, msgspec.json.encode(timings).decode(), msgspec.json.encode(speaks).decode()]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *start],
                cwd=daemon.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={
                    **os.environ,
                    "PYTHONPATH": str(CLIENT),
                    "PYTHONDONTWRITEBYTECODE": "" if "KEEP_BYTECODE" in os.environ else "1",
                    "JOBKEEP_SOCKET": daemon.path,
                    "JOBKEEP_SEAT": "seat1",
                    "JOBKEEP_COOKIE": "secret",
                    "JOBKEEP_SPOOL": str(self.spool),
                    "JOBKEEP_BEGUN": str(self.begun),
                },
            )

    def exit_code(self) -> int:
        """Wait for its end."""
        return self.process.wait(DEADLINE_S)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
