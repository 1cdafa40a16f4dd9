"""What the recorded client does: commands of the CLI and calls of the library, with what happens in between."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jobkeep
from compat.conftest import JOBS
from jobkeep.testing import PrivateDaemon

PYTHON = os.path.abspath(sys.executable)  # as the CLI sends it
HOLD = "while [ ! -e {} ]; do sleep 0.01; done"


def prepared(home: Path) -> None:
    """The folder that the scenario's jobs work in."""
    (home / "jobs.py").write_text(JOBS, encoding="utf-8")


class Scene:
    """One pass of the scenario against a daemon. `note` gets each step that is not a call."""

    def __init__(self, daemon: PrivateDaemon, behind: str, note: Callable[[dict[str, Any]], None]) -> None:
        self.daemon = daemon
        self.jobs: list[str] = []
        self.by = ""  # who makes the calls now
        self._behind = behind  # the daemon's socket, past the proxy
        self._note = note

    def play(self) -> None:
        self._commands()
        self._functions()
        self._mistakes()
        self._library()
        self._lists()

    def _commands(self) -> None:
        gate = self.daemon.home / "gate"
        self.cli("version")
        self.cli("daemon", "status")
        first = self.submit("run", "--name", "greeting", "--label", "team=a", "--", "sh", "-c",
                            "echo out; echo err >&2; exit 3")  # fmt: skip
        self.cli("wait", first)
        for command in (("show",), ("logs",), ("logs", "-f"), ("history",)):
            self.cli(*command, first)
        held = ["run", "--key", "nightly", "--request-id", "nightly-1", "--", "sh", "-c", HOLD.format(gate)]
        second = self.submit(*held)
        self.until(second, "running")
        assert self.submit(*held) == second
        self.cli("run", "-d", "--key", "nightly", "--", "true")
        self.cli("run", "-d", "--key", "nightly", "--on-conflict", "return", "--", "true")
        self.cli("restart", second, "--from-start")
        self.until(second, "running", 2)
        self.cli("cancel", second)
        self.cli("wait", second)
        self.cli("resume", second)
        self.until(second, "running", 3)
        self.touch(gate)
        self.cli("wait", second)
        third = self.submit("run", "--retries", "1", "--backoff", "1h", "--timeout", "5m", "--", "false")
        self.until(third, "scheduled")
        self.cli("show", third)
        self.cli("cancel", third)

    def _functions(self) -> None:
        home = self.daemon.home
        batch = self.submit(
            "call", "--python", PYTHON, "jobs:batch", f"log={home}/items", f"gate={home}/gate"
        )  # fmt: skip
        self.cli("wait", batch)
        self.cli("show", batch)
        self.cli("resume", batch, "--failed-items")
        self.cli("wait", batch)
        pid = self.submit("call", "--python", PYTHON, "jobs:pid")
        self.cli("wait", pid)
        failed = self.submit("call", "--python", PYTHON, "jobs:missing")
        self.cli("wait", failed)
        self.cli("show", failed)

    def _mistakes(self) -> None:
        self.cli("show", "zzzzzzzz")
        self.cli("resume", self.jobs[-1], "--failed-items")
        self.cli("cancel", self.jobs[0])
        self.cli("run", "-d", "--queue", "nowhere", "--", "true")
        self.cli("sql", "DELETE FROM job")

    def _library(self) -> None:
        with jobkeep.connect_blocking(str(self.daemon.socket), autostart=False) as jk:
            self.by = "jobkeep.connect_blocking()"
            handles = list(jk.submit_many({"command": ["true"], "cwd": "/"}, [{"name": "one"}, {"name": "two"}]))
            self.jobs += [handle.id for handle in handles]
            jk.wait([handle.id for handle in handles], timeout=120)
            handles[0].info()
            list(jk.job(self.jobs[3]).failed_items())
            jk.job(self.jobs[4]).result()
            list(jk.job(self.jobs[0]).logs(lines=1, stream="stdout", raw=True))

    def _lists(self) -> None:
        self.cli("ls", "--no-trunc")
        self.cli("ls", "--state", "failed", "--label", "team=a")
        self.cli("ls", "--since", "1h")
        self.cli("sql", "SELECT id, name, state, attempt, done, failed_items FROM job_status ORDER BY name")
        self.cli("daemon", "stop")

    # -- steps ------------------------------------------------------------------------------------------------------

    def cli(self, *arguments: str) -> str:
        self.by = f"jobkeep {' '.join(arguments)}"
        done = subprocess.run(
            [sys.executable, "-m", "jobkeep.cli", *arguments],
            cwd=self.daemon.home,
            env={
                "PATH": "/usr/bin:/bin", "HOME": str(self.daemon.home), "LANG": "C.UTF-8",
                "JOBKEEP_SOCKET": str(self.daemon.socket), "JOBKEEP_AUTOSTART": "0",
                **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )  # fmt: skip
        return done.stdout

    def submit(self, command: str, *arguments: str) -> str:
        """The id of the job."""
        (id,) = self.cli(command, "-d", *arguments).split()
        if id not in self.jobs:
            self.jobs.append(id)
        return id

    def until(self, job: str, state: str, attempt: int = 1) -> None:
        self._note({"until": [job, state, attempt]})
        wait_until(self._behind, job, state, attempt)

    def touch(self, path: Path) -> None:
        self._note({"touch": str(path)})
        path.touch()


def wait_until(socket: str, job: str, state: str, attempt: int = 1) -> None:
    """Until the job is in that state, in that run or a later one."""
    deadline = time.monotonic() + 60
    with jobkeep.connect_blocking(socket, autostart=False) as jk:
        while (info := jk.job(job).info()).state != state or info.attempt < attempt:
            assert time.monotonic() < deadline, f"job {job} is {info.state}, not {state}"
            time.sleep(0.01)
