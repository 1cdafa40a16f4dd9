"""A real daemon in a folder of its own: started, killed, started again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

import jobkeep
from jobkeep.client.plain import PlainConnection

ANSWERS_WITHIN = 60.0  # seconds; a start takes well under one, but not on a host that has no time
ENDED_WITHIN = 30.0  # seconds, for what still runs at the end


class PrivateDaemon:
    """`jobkeepd` as our child process, with all that it writes under `home`.

    As a context manager it is started and stopped; without `home` it has a temporary folder that goes with it, and so
    do the jobs that still run::

        with PrivateDaemon() as jk:  # a jobkeep.BlockingClient
            assert jk.run(["true"]).result() == 0

    `settings` are configuration keys by their environment names, such as ``JOBKEEP_QUEUES_DEFAULT_LIMIT="1"``.
    A folder's path must be short: a Unix socket's has 107 bytes at most.
    """

    def __init__(self, home: Path | None = None, **settings: str) -> None:
        self._temporary = home is None
        self.home: Path = home or Path(tempfile.mkdtemp(prefix="jk-"))
        self._settings = settings
        self.socket: Path = self.home / "run" / "socket"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> jobkeep.BlockingClient:
        self._client = self.start()
        return self._client

    def __exit__(self, *exc: object) -> None:
        self._client.close()
        if self._temporary:
            self._end_jobs()
        self.stop()
        if self._temporary:
            shutil.rmtree(self.home, ignore_errors=True)

    @property
    def pid(self) -> int:
        """Of the daemon that runs now."""
        assert self._process is not None, "the daemon is not started"
        return self._process.pid

    @property
    def log(self) -> str:
        """What the daemon has said so far."""
        return (self.home / "daemon.log").read_text(encoding="utf-8", errors="replace")

    def start(self) -> jobkeep.BlockingClient:
        """Start it and return a client once it answers."""
        for folder in ("run", "state"):
            (self.home / folder).mkdir(mode=0o700, exist_ok=True)
        with (self.home / "daemon.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
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
            self._process.wait(timeout=ANSWERS_WITHIN)
            self._process = None

    def wait(self) -> int:
        """Until it has ended by itself; its exit status."""
        assert self._process is not None, "the daemon is not started"
        status = self._process.wait(timeout=120)
        self._process = None
        return status

    def _end_jobs(self) -> None:
        """They would run on without a daemon, and nobody could find them once the folder is gone."""
        if self._process is None or self._process.poll() is not None:
            return
        deadline = time.monotonic() + ENDED_WITHIN
        with suppress(jobkeep.JobkeepError), jobkeep.connect_blocking(str(self.socket), autostart=False) as jk:
            jk.drain(timeout=0, commands="leave")
            while running := list(jk.jobs(state=["running", "cancelling"])):
                for job in running:
                    jk.job(job.id).cancel(force=True)
                if time.monotonic() > deadline:
                    return
                time.sleep(0.01)

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "jobkeepd"]

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("JOBKEEP_")}
        return {
            **inherited,
            "JOBKEEP_CONFIG": "",  # not the user's own
            "JOBKEEP_DAEMON_SOCKET": str(self.socket),
            "JOBKEEP_DAEMON_STATE_DIR": str(self.home / "state"),
            "JOBKEEP_DAEMON_RUNTIME_DIR": str(self.home / "run"),
            **self._settings,
        }

    def _connect(self) -> jobkeep.BlockingClient:
        deadline = time.monotonic() + ANSWERS_WITHIN
        while True:
            try:
                with closing(PlainConnection(str(self.socket), ANSWERS_WITHIN)) as connection:
                    connection.call("org.varlink.service.GetInfo")
            except jobkeep.DaemonUnreachable:
                self._fail_if_ended()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return jobkeep.connect_blocking(str(self.socket), autostart=False)

    def _fail_if_ended(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"the daemon ended with status {self._process.returncode}:\n{self.log[-2000:]}")
