"""A daemon of the demo's own, in a folder of its own: started, killed, started again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import jobkeep

ANSWERS_WITHIN = 15.0  # seconds; a start takes well under one


class PrivateDaemon:
    """`jobkeepd` as our child process, with all that it writes under `home`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.socket = home / "run" / "socket"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> jobkeep.BlockingClient:
        """Start it and return a client once it answers."""
        for folder in ("run", "state"):
            (self.home / folder).mkdir(mode=0o700, exist_ok=True)
        with (self.home / "daemon.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jobkeepd"],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self._connect()

    def kill(self) -> None:
        """SIGKILL: the daemon gets no chance to write or to say anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)
            self._process = None

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("JOBKEEP_")}
        return {
            **inherited,
            "JOBKEEP_DAEMON_SOCKET": str(self.socket),
            "JOBKEEP_DAEMON_STATE_DIR": str(self.home / "state"),
            "JOBKEEP_DAEMON_RUNTIME_DIR": str(self.home / "run"),
        }

    def _connect(self) -> jobkeep.BlockingClient:
        deadline = time.monotonic() + ANSWERS_WITHIN
        while True:
            try:
                client = jobkeep.connect_blocking(str(self.socket), autostart=False)
                client.status()
            except jobkeep.DaemonUnreachable:
                self._fail_if_ended()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return client

    def _fail_if_ended(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            said = (self.home / "daemon.log").read_text(encoding="utf-8", errors="replace")
            raise SystemExit(f"error: the daemon ended with status {self._process.returncode}:\n{said[-2000:]}")
