"""A submit whose answer never came: asked again by its request id, it is one job, wherever it was cut off."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import anyio
import pytest

import jobkeep
from jobkeep.blocking.channel import BlockingChannel
from jobkeep.blocking.client import BlockingClient
from jobkeep.client.channel import Channel
from jobkeep.client.client import Client
from jobkeep.testing import PrivateDaemon

from .cutting import Cut, Cutter, Direction
from .judges import slay_all

SOON = 0.5  # seconds after which a client takes a reply for lost
LATE = 60.0
UNREACHABLE = 4  # the command line's exit code
ITEMS = [{"arguments": {"text": "x" * 250_000}}] * 9  # three messages


class Way:
    """A real daemon, and a peer in front of it."""

    def __init__(self, daemon: PrivateDaemon) -> None:
        self.daemon = daemon
        self.cutter = Cutter(daemon.home / "cut", daemon.socket)
        self._names = 0

    def name(self) -> str:
        """A label for one request, of always the same length."""
        self._names += 1
        return f"n{self._names:08}"

    def jobs(self, name: str) -> list[str]:
        """The jobs of that request, oldest first, as the daemon has them."""
        with jobkeep.connect_blocking(str(self.daemon.socket)) as jk:
            return [job.id for job in jk.jobs(label={"request": name})][::-1]


@pytest.fixture(scope="module")
def way() -> Iterator[Way]:
    daemon = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT="1")
    with daemon as jk:
        jk.run(["sleep", "600"])  # the others wait behind it
        way = Way(daemon)
        yield way
        way.cutter.close()
        jk.stop_daemon()
        daemon.wait()
    slay_all(daemon.home)


Submit = Callable[[str, str, float], list[str]]  # socket, name, silence


def blocking(path: str, name: str, silence_s: float) -> list[str]:
    with BlockingClient(BlockingChannel(path, False, silence_s=silence_s)) as jk:
        return [jk.run(["true"], label={"request": name}, env={}).id]


def blocking_many(path: str, name: str, silence_s: float) -> list[str]:
    with BlockingClient(BlockingChannel(path, False, silence_s=silence_s)) as jk:
        template = {"function": "m:f", "label": {"request": name}}
        return [job.id for job in jk.submit_many(template, ITEMS)]


def awaiting(path: str, name: str, silence_s: float) -> list[str]:
    async def submit() -> list[str]:
        async with Client(Channel(path, False, silence_s=silence_s)) as jk:
            return [(await jk.run(["true"], label={"request": name})).id]

    return anyio.run(submit)


def awaiting_many(path: str, name: str, silence_s: float) -> list[str]:
    async def submit() -> list[str]:
        async with Client(Channel(path, False, silence_s=silence_s)) as jk:
            template = {"function": "m:f", "label": {"request": name}}
            return [job.id for job in await jk.submit_many(template, ITEMS)]

    return anyio.run(submit, backend="trio")


def command_line(path: str, name: str, _silence_s: float) -> list[str]:
    ran = cli(path, name, "--label", f"request={name}", "--", "true")
    if ran.returncode == UNREACHABLE:
        raise jobkeep.DaemonUnreachable(path, ran.stderr)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


def cli(path: str, request: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "JOBKEEP_SOCKET": path, "JOBKEEP_AUTOSTART": "0"}
    command = [sys.executable, "-m", "jobkeep.cli", "run", "-d", "--request-id", request, *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


CLIENTS = [blocking, awaiting, blocking_many, awaiting_many, command_line]
every_client = pytest.mark.parametrize("submit", CLIENTS, ids=lambda submit: submit.__name__)


def submit_cut(way: Way, submit: Submit, cut: Cut | None, silence_s: float = LATE) -> dict[Direction, int]:
    """The ids that come out are the jobs there are; how many bytes have passed."""
    name = way.name()
    way.cutter.arm(cut)
    ids = submit(way.cutter.path, name, silence_s)
    assert way.cutter.made, cut
    passed = way.cutter.passed
    assert ids == way.jobs(name), cut
    return passed


@every_client
def test_a_connection_that_is_dropped_within_a_submit_makes_no_second_job(way: Way, submit: Submit) -> None:
    """In the midst of what was asked, after it, in the midst of the answer."""
    whole = submit_cut(way, submit, None)
    for direction, size in whole.items():
        for after in (0, size // 2, size - 1):
            submit_cut(way, submit, Cut(direction, after))


@pytest.mark.parametrize("submit", [blocking, awaiting, blocking_many, awaiting_many])
def test_an_answer_that_does_not_come_in_time_makes_no_second_job(way: Way, submit: Submit) -> None:
    """The daemon has the job; the client takes it for lost and asks again."""
    submit_cut(way, submit, Cut("answered", 0, hangs=True), SOON)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_caller_who_gave_up_waiting_finds_out_by_the_request_id(way: Way, backend: str) -> None:
    """The call was cancelled while the daemon had the job already."""
    name = way.name()

    async def lose_patience(scope: anyio.CancelScope) -> None:
        while not way.cutter.made:
            await anyio.sleep(0.01)
        scope.cancel()

    async def submit() -> list[str]:
        async with Client(Channel(way.cutter.path, False)) as jk:
            way.cutter.arm(Cut("answered", 0, hangs=True))
            with anyio.CancelScope() as patience:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(lose_patience, patience)
                    await jk.run(["true"], label={"request": name}, request_id=name)
            assert patience.cancelled_caught
        async with Client(Channel(str(way.daemon.socket), False)) as jk:
            return [(await jk.run(["true"], label={"request": name}, request_id=name)).id]

    assert anyio.run(submit, backend=backend) == way.jobs(name)
    assert way.cutter.made


def test_a_request_id_that_was_used_for_another_submit_is_a_conflict(way: Way) -> None:
    """In whatever way they differ; it says so and makes no job. From another shell the same submit is the same."""
    path, name = str(way.daemon.socket), way.name()
    with jobkeep.connect_blocking(path) as jk:
        first = jk.run(["true"], label={"request": name}, request_id=f"{name}/1")
        assert jk.run(["true"], label={"request": name}, request_id=f"{name}/1").id == first.id
        others: list[Callable[[], object]] = [
            lambda: jk.run(["false"], label={"request": name}, request_id=f"{name}/1"),
            lambda: jk.run(["true"], label={"request": name}, request_id=f"{name}/1", key="k", on_conflict="return"),
            lambda: jk.call("m:f", label={"request": name}, request_id=f"{name}/1"),
            lambda: jk.submit_many({"command": ["true"], "label": {"request": name}}, [{}, {}], request_id=name),
        ]
        for other in others:
            with pytest.raises(jobkeep.RequestMismatch, match=f"request id {name}/1 was used for something else"):
                other()
    ran = cli(path, f"{name}/1", "--label", f"request={name}", "--", "echo", "other")
    assert (ran.returncode, ran.stdout) == (5, "")
    assert "was used for something else" in ran.stderr
    assert "hint: use another --request-id for another job" in ran.stderr
    assert way.jobs(name) == [first.id]


@pytest.mark.long
@every_client
def test_a_connection_that_is_dropped_anywhere_makes_no_second_job(way: Way, submit: Submit) -> None:
    """At every byte of one submit and of each answer, at two hundred of a bulk, at fifty of the command line."""
    whole = submit_cut(way, submit, None)
    most = 50 if submit is command_line else 2000 if whole["asked"] < 2000 else 200
    for direction, size in whole.items():
        for number in range(min(size, most)):
            submit_cut(way, submit, Cut(direction, size * number // min(size, most)))
