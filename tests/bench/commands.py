"""Commands submitted in bulk through the client, started, recorded and logged, against posix_spawn and task-spooler."""

from __future__ import annotations

import asyncio
import os
import select
import subprocess
import time
from collections.abc import Callable

import jobkeep
from bench import peer
from bench.measure import INFORMATION, Bound, Sample
from bench.rig import Rig
from bench.wire import BareClient
from jobkeep.protocol.jobs import WaitParameters, WaitReply

TRUE = "/bin/true"
COMMANDS = 400  # per round and side
WAIT_FOR = 100  # ids in one Wait


def spawn_in_sequence() -> float:
    """One at a time: the plainest way to run a program."""
    began = time.perf_counter()
    for _ in range(COMMANDS):
        os.waitpid(os.posix_spawn(TRUE, [TRUE], {}), 0)
    return COMMANDS / (time.perf_counter() - began)


def spawn_by_two() -> float:
    """Two in flight, one epoll over their pidfds: the raw rate at concurrency 2."""
    live: dict[int, int] = {}
    began, started, done = time.perf_counter(), 0, 0
    with select.epoll() as poller:
        while done < COMMANDS:
            while len(live) < 2 and started < COMMANDS:
                pid = os.posix_spawn(TRUE, [TRUE], {})
                pidfd = os.pidfd_open(pid)
                poller.register(pidfd, select.EPOLLIN)
                live[pidfd] = pid
                started += 1
            for pidfd, _ in poller.poll(5):
                os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
                poller.unregister(pidfd)
                os.close(pidfd)
                del live[pidfd]
                done += 1
    return COMMANDS / (time.perf_counter() - began)


class Commands:
    name = "commands"
    what = "command jobs through the client, concurrency 2 / posix_spawn+wait, concurrency 2"
    unit = "/s"
    bound = Bound(ratio_at_least=0.33)
    raw: Callable[[], float] = staticmethod(spawn_by_two)

    def prepare(self, rig: Rig) -> None:
        self._socket = rig.daemon().socket
        asyncio.run(self._run(4))  # opens the slots

    def round(self) -> Sample:
        return Sample(type(self).raw(), asyncio.run(self._run(COMMANDS)))

    async def _run(self, count: int) -> float:
        """From the submit until the last one is on record with its exit."""
        async with jobkeep.connect(self._socket, autostart=False) as client:
            began = time.perf_counter()
            handles = await client.submit_many({"command": [TRUE], "cwd": "/"}, [{}] * count)
            await asyncio.to_thread(await_all, self._socket, [handle.id for handle in handles])
        return count / (time.perf_counter() - began)


class CommandsVsSequence(Commands):
    """The same against one program at a time."""

    name = "commands_vs_sequence"
    what = "command jobs through the client, concurrency 2 / posix_spawn+wait, one at a time"
    bound = INFORMATION
    raw = staticmethod(spawn_in_sequence)


class CommandsVsSpooler(Commands):
    """Both keep the output of each command, and how it ended; only ours on disk."""

    name = "commands_vs_tsp"
    what = "command jobs through the client, concurrency 2 / task-spooler and its client, two slots"
    bound = Bound(ratio_at_least=1)

    def prepare(self, rig: Rig) -> None:
        program = peer.debian_program("task-spooler", "tsp")
        super().prepare(rig)
        folder = rig.disk / "tsp"
        folder.mkdir()
        environment = {"PATH": os.defpath, "HOME": str(folder), "TMPDIR": str(folder)}
        environment["TS_SOCKET"] = str(rig.memory / "tsp")
        self._spooler = Spooler(str(program), environment)

    def round(self) -> Sample:
        return Sample(self._spooler.rate(), asyncio.run(self._run(COMMANDS)))


class Spooler:
    """`tsp` with two slots; its server starts with the first call, and is ended with all that is below us."""

    def __init__(self, program: str, environment: dict[str, str]) -> None:
        self._program = program
        self._environment = environment
        self._call("-S", "2")

    def rate(self) -> float:
        """Commands per second, from the first submit to the last end."""
        began = time.perf_counter()
        for _ in range(COMMANDS):
            self._call(TRUE)
        while {"queued", "running"} & set(self._call("-l").split()):
            time.sleep(0.002)
        elapsed = time.perf_counter() - began
        self._call("-C")
        return COMMANDS / elapsed

    def _call(self, *words: str) -> str:
        return subprocess.run(
            [self._program, *words], env=self._environment, stdout=subprocess.PIPE, check=True, text=True
        ).stdout


def await_all(socket: str, ids: list[str]) -> None:
    """Return once every job has ended; all have to have succeeded."""
    client = BareClient(socket)
    for start in range(0, len(ids), WAIT_FOR):
        chunk = ids[start : start + WAIT_FOR]
        reply = client.call("org.jobkeep.Jobs.Wait", WaitParameters(chunk, timeout_s=120.0), WaitReply)
        bad = [(job.id, job.state, job.outcome) for job in reply.jobs if job.state != "succeeded"]
        if bad or len(reply.jobs) != len(chunk):
            raise SystemExit(f"error: {len(chunk) - len(reply.jobs)} jobs did not end, {len(bad)} failed: {bad[:3]}")
    client.close()
