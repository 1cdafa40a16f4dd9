"""Programs that follow a job and hold locks and sessions, while the daemon is killed, stopped and started again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

import jobkeep
from jobkeep.blocking.channel import BlockingChannel
from jobkeep.blocking.client import BlockingClient
from jobkeep.client.channel import Channel
from jobkeep.client.client import Client
from jobkeep.testing import PrivateDaemon

from .holders import PATIENCE_S, until

AWAY_S = 100.0  # a daemon may be away for so long on a machine that has much to do
COUNT = 'n=0; while [ ! -e gate ]; do n=$((n+1)); echo "line $n"; sleep 0.02; done; echo end'


class Follower:
    """What one program has seen so far of the job, in threads of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: list[str] = []
        self.events: list[int] = []
        self.result: Any = None
        self.held: list[jobkeep.Lease] = []
        self.failures: list[BaseException] = []
        self.leave = threading.Event()
        self.close: Callable[[], None] = lambda: None
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - shown by the test, whatever it is
                self.failures.append(error)

        self._threads.append(threading.Thread(target=guarded))
        self._threads[-1].start()

    def join(self) -> None:
        self.leave.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), self.name
        self.close()


def blocking(path: str, id: str) -> Follower:
    """One client, a thread for each thing that takes long."""
    follower = Follower("blocking")
    jk = BlockingClient(BlockingChannel(path, False, restart_s=AWAY_S))
    follower.close = jk.close

    def hold() -> None:
        with jk.lock("lock-blocking") as lease, jk.session("blocking") as session:
            follower.held += [lease, session]
            follower.leave.wait(PATIENCE_S)

    def result() -> None:
        follower.result = jk.job(id).result()

    follower.start(hold)
    follower.start(result)
    follower.start(lambda: follower.lines.extend(jk.job(id).logs(follow=True)))
    follower.start(lambda: follower.events.extend(event.seq for event in jk.job(id).events()))
    return follower


def awaiting(path: str, id: str, backend: str) -> Follower:
    """One client, a task for each."""
    follower = Follower(backend)

    async def main() -> None:
        async with Client(Channel(path, False, restart_s=AWAY_S)) as jk, anyio.create_task_group() as tasks:

            async def read_lines() -> None:
                async for line in jk.job(id).logs(follow=True):
                    follower.lines.append(line)

            async def read_events() -> None:
                async for event in jk.job(id).events():
                    follower.events.append(event.seq)

            async def hold() -> None:
                async with jk.lock(f"lock-{backend}") as lease, jk.session(backend) as session:
                    follower.held += [lease, session]
                    while not follower.leave.is_set():
                        await anyio.sleep(0.01)

            tasks.start_soon(read_lines)
            tasks.start_soon(read_events)
            tasks.start_soon(hold)
            follower.result = await jk.job(id).result()

    follower.start(lambda: anyio.run(main, backend=backend))
    return follower


@pytest.fixture
def daemon() -> Iterator[PrivateDaemon]:
    sessions = {f"JOBKEEP_SESSIONS_{name}_COMMAND": '["sleep", "1000"]' for name in ("BLOCKING", "ASYNCIO", "TRIO")}
    daemon = PrivateDaemon(None, **sessions)
    with daemon:
        yield daemon


def typed(daemon: PrivateDaemon, *words: str) -> subprocess.Popen[str]:
    """Once it talks to the daemon: one that never answered is not waited for."""
    command = [sys.executable, "-m", "jobkeep.cli", "--socket", str(daemon.socket), *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: any(link.startswith("socket:") for link in links_of(process.pid)))
    return process


def links_of(pid: int) -> list[str]:
    found = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # it was closed since
            found.append(os.readlink(fd))
    return found


def test_followers_and_holders_outlive_the_daemon_without_a_gap_and_without_a_repetition(
    daemon: PrivateDaemon
) -> None:
    """Killed, stopped, killed again: on asyncio, on trio, without await, and on the command line."""
    path = str(daemon.socket)
    with jobkeep.connect_blocking(path) as jk:
        job = jk.run(["sh", "-c", COUNT], cwd=str(daemon.home))
        id = job.id
        followers = [blocking(path, id), awaiting(path, id, "asyncio"), awaiting(path, id, "trio")]
        words = (("logs", "-f", id), ("watch", "--json", id), ("wait", id), ("events", "-f", "--json", "--after", "0"))
        logs, watch, wait, events = [typed(daemon, *line) for line in words]
        try:
            until(lambda: all(len(follower.held) == 2 for follower in followers))
            tokens = [[lease.token for lease in follower.held] for follower in followers]
            for end in (daemon.kill, daemon.stop, daemon.kill):
                end()
                seen = {follower.name: len(follower.lines) for follower in followers}
                daemon.start().close()
                until(lambda seen=seen: all(len(each.lines) > seen[each.name] for each in followers))  # type: ignore[misc]
            for follower in followers:
                assert [lease.lost for lease in follower.held] == [False, False], follower.name
            (daemon.home / "gate").touch()
            waited = wait.communicate(timeout=PATIENCE_S)
            assert wait.returncode == 0, waited
            said, _ = logs.communicate(timeout=PATIENCE_S)
            shown, _ = watch.communicate(timeout=PATIENCE_S)
        finally:
            for process in (logs, watch, wait, events):
                process.terminate()
        told, _ = events.communicate(timeout=PATIENCE_S)
        for follower in followers:
            follower.join()
            assert follower.failures == [], follower.name
        # What there is, by one that has seen no restart.
        lines, history = list(jk.job(id).logs()), [entry.seq for entry in jk.job(id).history()]
        assert lines == [*(f"line {n}" for n in range(1, len(lines))), "end"]
        for follower in followers:
            assert (follower.lines, follower.events, follower.result) == (lines, history, 0), follower.name
        assert tokens == [[lease.token for lease in follower.held] for follower in followers]
        assert said.splitlines() == lines
        assert json.loads(shown.splitlines()[-1])["state"] == "succeeded"
        seqs = [json.loads(row)["seq"] for row in told.splitlines()]
        assert seqs == list(range(1, len(seqs) + 1))
        assert jk.locks() == []
