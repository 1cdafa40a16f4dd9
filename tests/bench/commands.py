"""Commands submitted through the client, started, recorded and logged, against posix_spawn of the same program."""

from __future__ import annotations

import asyncio
import os
import select
import time
from collections.abc import Callable

import jobkeep
from bench.measure import INFORMATION, Bound, Sample
from bench.rig import Rig
from bench.wire import BareClient
from jobkeep.protocol.jobs import WaitParameters, WaitReply

TRUE = "/bin/true"
COMMANDS = 200  # per round and side
SUBMITTERS = 16
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
    bound = Bound(ratio_at_least=0.25)
    raw: Callable[[], float] = staticmethod(spawn_by_two)

    def prepare(self, rig: Rig) -> None:
        self._socket = rig.daemon().socket
        asyncio.run(self._run(4))  # opens the slots

    def round(self) -> Sample:
        return Sample(type(self).raw(), asyncio.run(self._run(COMMANDS)))

    async def _run(self, count: int) -> float:
        """All of them at once from many submitters; the clock stops when the last one is on record."""
        numbers = iter(range(count))
        ids: list[str] = []
        async with jobkeep.connect(self._socket, autostart=False) as client:

            async def submitter() -> None:
                for _ in numbers:
                    ids.append((await client.run([TRUE], cwd="/")).id)

            began = time.perf_counter()
            await asyncio.gather(*(submitter() for _ in range(SUBMITTERS)))
            await asyncio.to_thread(await_all, self._socket, ids)
        return count / (time.perf_counter() - began)


class CommandsVsSequence(Commands):
    """The same against one program at a time."""

    name = "commands_vs_sequence"
    what = "command jobs through the client, concurrency 2 / posix_spawn+wait, one at a time"
    bound = INFORMATION
    raw = staticmethod(spawn_in_sequence)


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
