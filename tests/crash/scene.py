"""A daemon of a test's own whose processes are killed at points of their work; what dies is started again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from jobkeep.blocking.jobs import BlockingJobHandle
from jobkeep.errors import DaemonUnreachable
from jobkeep.protocol.jobs import Job
from jobkeep.testing import PrivateDaemon
from jobkeepd.spawner import record

from .judges import JOBS, StartLog, beside, is_alive, parent_of, processes_of, slay, spawners_of

LASTING = 2.2  # seconds: by then a run has been handed over to its warden
PATIENCE = 60.0  # seconds; what is waited for takes less than two
CODE = 7


class Work(Struct, frozen=True):
    """What is submitted at once. `cold`: no slot or worker waits for it. `lasting`: long enough for a warden.
    `missing`: a command that does not exist."""

    function: bool = False
    cold: bool = False
    jobs: int = 1
    lasting: bool = False
    missing: bool = False


class Scene:
    """One home, in which one work after the other is done. Its queue runs one job at a time."""

    def __init__(self) -> None:
        self._daemon = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT="1")
        self.home = self._daemon.home
        (self.home / "start_log_jobs.py").write_text(JOBS, encoding="utf-8")
        self.log = StartLog(self.home / "starts")
        self.trace = self.home / "strace.log"
        self._runtime = str(self.home / "run")
        self._clients = ThreadPoolExecutor(1)
        self._count = 0
        self._spawners: set[int | None] = set()  # of this daemon

    def __enter__(self) -> Scene:
        self.client = self._daemon.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._clients.shutdown()
        self._daemon.__exit__(*exc)
        for pid in spawners_of(self.home):
            slay(pid, self.home)

    # -- who is there -----------------------------------------------------------------------------------------------

    @property
    def daemon(self) -> int:
        return self._daemon.pid

    @property
    def database(self) -> int:
        """The thread of the daemon that writes the most, its main thread apart."""
        return max(other_threads(self.daemon), key=lambda tid: _writes(self.daemon, tid))

    @property
    def spawner(self) -> int | None:
        return record.lock_holder(record.spawner_lock(self._runtime))

    @property
    def shims(self) -> list[int]:
        locks = Path(self._runtime, "slots").glob("*.lock")
        return [pid for pid in map(record.lock_holder, map(str, locks)) if pid is not None]

    @property
    def workers(self) -> list[int]:
        return [pid for pid, command in processes_of(self.home).items() if "-m jobkeep.worker" in command]

    # -- what is done -----------------------------------------------------------------------------------------------

    def prepare(self, work: Work) -> None:
        """See to it that one idle process waits for the work; or, if it is to be cold, none."""
        self._spawners.add(self.spawner)
        if len(self._spawners) > 3:  # a daemon gives up after five of them in half a minute
            self.kill_daemon()
            self.start_daemon()
        if not work.cold:
            self.submit(Work(function=work.function)).result(PATIENCE)
            until(lambda: len(self.shims) == 1)
        elif not work.function:  # a function gets a worker of its own by its environment
            for pid in self.shims:
                slay(pid, self.home)
            until(lambda: not self.shims)
        for _ in range(3):  # by then the daemon has seen it, too
            self.client.status()

    def submit(self, work: Work) -> Future[list[Job]]:
        """The jobs once all have ended. Every other one fails, with CODE.

        The client sends a submit again, with the same request id, when the daemon dies.
        """
        items = []
        for _ in range(work.jobs):
            self._count += 1
            items.append(self._spec(work, f"job{self._count}", CODE if self._count % 2 else 0))
        return self._clients.submit(self._submit, items)

    def _spec(self, work: Work, name: str, code: int) -> dict[str, object]:
        if work.missing:
            return {"command": [str(self.home / "no-such-command")], "name": name}
        if not work.function:
            body = f"sleep {LASTING}; " if work.lasting else ""
            return {"command": self.log.ending(code, body), "name": name}
        arguments = {"folder": str(self.log.folder), "code": code}
        env = {"ALONE": name} if work.cold else {}
        return {"function": "start_log_jobs:logged", "arguments": arguments, "name": name, "env": env}

    def _submit(self, items: Sequence[dict[str, object]]) -> list[Job]:
        template = {"cwd": str(self.home), "env": {"PATH": "/usr/bin:/bin"}}
        handles = self.client.submit_many(template, items)
        return self.client.wait([handle.id for handle in handles], timeout=PATIENCE)

    def call(self, **arguments: object) -> BlockingJobHandle:
        """Submit a function that logs its start and its end: see JOBS."""
        arguments["folder"] = str(self.log.folder)
        return self.client.call("start_log_jobs:logged", arguments, cwd=str(self.home))

    def see_end(self, ended: Future[list[Job]]) -> list[Job]:
        """The jobs once they have ended; a dead daemon is started again meanwhile."""

        def have_ended() -> bool:
            self.revive()
            return ended.done()

        until(have_ended)
        return ended.result(0)

    def revive(self) -> None:
        """Start the daemon again if it is dead."""
        if not is_alive(self.daemon):
            self.kill_daemon()
            self.start_daemon()

    def kill_daemon(self) -> None:
        """One that is dead is collected."""
        self._daemon.kill()

    def stop_daemon(self) -> None:
        self._daemon.stop()

    def start_daemon(self) -> None:
        self._daemon.start().close()
        self._spawners.clear()

    def leftovers(self, jobs: Sequence[Job]) -> list[str]:
        """What must not be there once the jobs have ended, after some time to go away."""
        deadline = time.monotonic() + PATIENCE
        while (problems := self._seen(jobs)) and time.monotonic() < deadline:
            time.sleep(0.01)
        return problems

    def _seen(self, jobs: Sequence[Job]) -> list[str]:
        try:
            return list(self._leftovers(jobs))
        except DaemonUnreachable:  # its kill came at a call after the last one of the jobs
            self.revive()
            return ["the daemon is dead"]

    def _leftovers(self, jobs: Sequence[Job]) -> Iterator[str]:
        everybody = processes_of(self.home)
        shims = set(self.shims)
        hosts = {self.daemon, self.spawner, *shims, *beside(self.spawner, shims, self.home)}
        workers = {pid for pid, command in everybody.items() if "-m jobkeep.worker" in command}
        for pid in everybody.keys() - hosts - workers:
            yield f"process {pid} is left: {everybody[pid]}"
        for pid in workers:
            if is_alive(pid) and parent_of(pid) not in shims:
                yield f"worker {pid} has no slot"
        names = sorted(job.name for job in jobs)
        newest = [job.name for job in self.client.jobs(limit=2 * len(names)) if job.name in names]
        if sorted(newest) != names:
            yield f"jobs of one submit of {names}: {newest}"


def until(condition: Callable[[], bool]) -> None:
    """Look until it holds; fail when it does not come to hold."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.002)


def other_threads(pid: int) -> list[int]:
    """All but the main one."""
    return [int(tid) for tid in os.listdir(f"/proc/{pid}/task") if int(tid) != pid]


def _writes(pid: int, tid: int) -> int:
    lines = Path(f"/proc/{pid}/task/{tid}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("syscw"))
