"""One home under torture: its daemon, which is started again whenever it was struck, and its submitting clients."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from crash.judges import processes_of, slay
from jobkeep.client.autostart import answers

ANSWERS_WITHIN = 60.0
CLIENTS = 3
QUEUE_LIMIT = 4
_TESTS = Path(__file__).resolve().parent.parent.parent


class Household:
    """Processes of ours, by `subprocess`. A daemon that ends without having been struck is wrong, and is told of."""

    def __init__(self, home: Path, seed: int) -> None:
        self.home = home
        self.socket = str(home / "run" / "socket")
        self.wrong: list[str] = []
        self._over = home / "over"
        self.starts = 0
        self.slowest_start = 0.0
        self._seed = seed
        self._daemon: subprocess.Popen[bytes] | None = None
        self._back_at: float | None = None  # when the daemon is to be started again
        self._started_at = 0.0
        self._answered = False
        self._clients: list[subprocess.Popen[bytes] | None] = [None] * CLIENTS
        for folder in ("run", "state", "starts"):
            (home / folder).mkdir(mode=0o700, exist_ok=True)

    # -- the daemon -------------------------------------------------------------------------------------------------

    @property
    def daemon_pid(self) -> int | None:
        return None if self._daemon is None else self._daemon.pid

    def start_daemon(self) -> None:
        with (self.home / "daemon.log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [sys.executable, "-m", "jobkeepd"],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.starts += 1
        self._back_at, self._started_at, self._answered = None, time.monotonic(), False

    def daemon_was_struck(self, absence: float) -> None:
        """It has been sent SIGKILL, and is to be back after that many seconds."""
        assert self._daemon is not None
        if self._daemon.wait(timeout=ANSWERS_WITHIN) != -signal.SIGKILL:
            self.wrong.append(f"the daemon ended with status {self._daemon.returncode}")
        self._daemon, self._back_at = None, time.monotonic() + absence

    def stop_daemon(self) -> None:
        """As an administrator does, with SIGTERM."""
        if self._daemon is not None:
            self._daemon.terminate()
            if self._daemon.wait(timeout=ANSWERS_WITHIN) != 0:
                self.wrong.append(f"the daemon was stopped and ended with status {self._daemon.returncode}")
            self._daemon = None

    def wait(self, seconds: float, early: bool) -> None:
        """So long, counted from when the daemon answers; with `early` from its start. It is started when it is time."""
        while self._daemon is None:
            time.sleep(max(0.0, (self._back_at or 0.0) - time.monotonic()))
            self.start_daemon()
        if not early:
            self.until_answered()
        time.sleep(seconds)
        self.look()

    def until_answered(self) -> None:
        """Raises where it never does: nothing can be said after that."""
        while not self._answered:
            self.look()
            if answers(self.socket):
                self._answered = True
                self.slowest_start = max(self.slowest_start, time.monotonic() - self._started_at)
            elif time.monotonic() > self._started_at + ANSWERS_WITHIN:
                raise TimeoutError(f"no daemon answers on {self.socket} after {ANSWERS_WITHIN} s")

    def look(self) -> None:
        """Notice who has ended without being struck, and start anew those who were."""
        if self._daemon is not None and self._daemon.poll() is not None:
            self.wrong.append(f"the daemon ended by itself with status {self._daemon.returncode}; see daemon.log")
            self.start_daemon()
        if self._over.exists():
            return
        for number, client in enumerate(self._clients):
            if client is not None and client.poll() is not None:
                if client.returncode != -signal.SIGKILL:
                    self.wrong.append(f"client {number} ended with status {client.returncode}; see client.log")
                self._start_client(number)

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("JOBKEEP_")}
        return {
            **inherited,
            "JOBKEEP_DAEMON_SOCKET": self.socket,
            "JOBKEEP_DAEMON_STATE_DIR": str(self.home / "state"),
            "JOBKEEP_DAEMON_RUNTIME_DIR": str(self.home / "run"),
            "JOBKEEP_QUEUES_DEFAULT_LIMIT": str(QUEUE_LIMIT),
        }

    # -- the clients ------------------------------------------------------------------------------------------------

    @property
    def client_pids(self) -> list[int]:
        return [client.pid for client in self._clients if client is not None and client.poll() is None]

    def start_clients(self) -> None:
        for number in range(CLIENTS):
            self._start_client(number)

    def tell_clients_that_it_is_over(self) -> None:
        self._over.touch()

    def end_clients(self, within: float) -> None:
        """They end by themselves once they have been told that it is over."""
        deadline = time.monotonic() + within
        for number, client in enumerate(self._clients):
            if client is None:
                continue
            try:
                status = client.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.wrong.append(f"client {number} waits for ever")
                client.kill()
                client.wait()
                continue
            if status == -signal.SIGKILL:  # struck last of all: the next one tidies up
                self._start_client(number)
                self._clients[number].wait(timeout=max(5.0, deadline - time.monotonic()))  # type: ignore[union-attr]
            elif status != 0:
                self.wrong.append(f"client {number} ended with status {status}; see client.log")

    def _start_client(self, number: int) -> None:
        search = os.pathsep.join(filter(None, (str(_TESTS), os.environ.get("PYTHONPATH"))))
        with (self.home / "client.log").open("ab") as log:
            self._clients[number] = subprocess.Popen(
                [sys.executable, "-m", "crash.torture.load", str(self.home), str(number), str(self._seed)],
                env={**self._environment(), "PYTHONPATH": search},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def end_all(self) -> None:
        """Whatever became of it all, no process of the home stays."""
        for process in (self._daemon, *self._clients):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        deadline = time.monotonic() + ANSWERS_WITHIN
        while (left := processes_of(self.home)) and time.monotonic() < deadline:
            for pid in left:
                slay(pid, self.home)
            time.sleep(0.05)
