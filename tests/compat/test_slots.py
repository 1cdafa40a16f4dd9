"""Slots and spawners of an earlier release under today's daemon, and today's under an earlier daemon."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest

from crash.judges import slay_all
from jobkeepd.core.model import Exit, Usage
from jobkeepd.runner import execution, versions
from jobkeepd.runner.base import FoundSlot
from jobkeepd.runner.launcher import Launcher
from jobkeepd.spawner import record
from spawner.wire import Peer, start_spawner

from .phrases import order
from .transcript import Names, covers
from .versions import VERSIONS

Phrases = dict[str, Any]
BOOT = "00000000-0000-4000-8000-000000000000"
SEATS = {f"@SEAT{number}@": f"s{number:08x}" for number in range(1, 10)}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def runtime() -> Iterator[Path]:
    """Short, since socket paths are limited; nothing of it is left."""
    path = Path(tempfile.mkdtemp(prefix="jk"))
    for folder in ("slots", "runs"):
        (path / folder).mkdir()
    yield path
    slay_all(path)
    shutil.rmtree(path)


@pytest.fixture(params=VERSIONS, ids=lambda version: version.name)
def release(request: pytest.FixtureRequest, runtime: Path) -> dict[str, Phrases]:
    """Phrases and records of an earlier release, as if they were of this runtime directory."""
    names = Names(runtime, "python")
    names.known |= {"@BOOT1@": BOOT, **SEATS}
    filled = names.fill_in(json.loads((request.param / "slots.json").read_bytes()))
    assert isinstance(filled, dict)
    return filled


class Old:
    """A slot and a spawner that say what they said then. `heard` are the orders they got."""

    def __init__(self, runtime: Path, phrases: Phrases) -> None:
        self._runtime = runtime
        self._phrases = phrases
        self.heard: list[Phrases] = []

    @asynccontextmanager
    async def slot(self, state: str, answers: dict[str, list[str]]) -> AsyncIterator[None]:
        """It greets in that state, and answers some orders with phrases, by their names."""
        hello = f"slot says: hello, {state}"
        path = record.slot_socket(str(self._runtime), self._phrases[hello]["slot"])
        async with self._serving(path, hello, answers), self.spawner():
            yield

    @asynccontextmanager
    async def spawner(self) -> AsyncIterator[None]:
        path = record.spawner_socket(str(self._runtime))
        async with self._serving(path, "spawner says: hello", {}):
            yield

    @asynccontextmanager
    async def _serving(self, path: str, hello: str, answers: dict[str, list[str]]) -> AsyncIterator[None]:
        async def serve(stream: anyio.abc.SocketStream) -> None:
            async with stream:
                await stream.send(line(self._phrases[hello]))
                rest = b""
                async for data in stream:
                    *lines, rest = (rest + data).split(b"\n")
                    for order in map(json.loads, lines):
                        self.heard.append(order)
                        if order == {"op": "retire"} and hello.startswith("spawner"):
                            return
                        for phrase in answers.get(order["op"]) or answers.get(f"{order['op']} {order.get('run')}", ()):
                            await stream.send(line(self._phrases[phrase]))

        async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            yield
            tasks.cancel_scope.cancel()


def line(phrase: Phrases) -> bytes:
    return json.dumps(phrase).encode() + b"\n"


async def found(launcher: Launcher) -> FoundSlot:
    (one,) = [each for each in await launcher.find() if each.slot is not None]
    return one


@pytest.mark.anyio
async def test_a_run_in_a_slot_of_an_earlier_release_is_followed_and_ended(
    runtime: Path, release: dict[str, Phrases]
) -> None:
    """The orders have all that the slot reads; what it says of the end is understood."""
    phrases = release["phrases"]
    (runtime / "runs" / "runs.run").write_text(release["records"]["runs"].splitlines()[0] + "\n")
    exit = {**phrases["slot says: exit"], "run": "runs"}
    phrases |= {"exit": exit, "drained": {**phrases["slot says: drained"], "run": "runs"}}
    old = Old(runtime, phrases)
    answers = {"end": ["exit", "drained"]}
    async with old.slot("running", answers), Launcher(runtime) as launcher:
        one = await found(launcher)
        assert one.execution is not None
        assert (one.run, one.name) == ("runs", phrases["slot says: hello, running"]["slot"])
        leader = phrases["slot says: hello, running"]["leader"]
        assert [BOOT, one.execution.leader.pid, one.execution.leader.start_ticks] == leader[:3]
        await one.execution.signal(signal.SIGCONT)
        await one.execution.end()
        with anyio.fail_after(60):
            ended = await one.execution.exited()
            await one.execution.drained()
        assert ended == Exit(exit["status"], exit["ended_at"], Usage(*exit["usage"]), "shim")
    names = Names(runtime, "python")
    for op in ("signal", "end"):
        (said,) = [order for order in old.heard if order["op"] == op]
        assert covers(said, phrases[f"slot is told: {op}"], names) is None


@pytest.mark.anyio
async def test_what_a_run_left_in_a_slot_of_an_earlier_release_is_waited_for(
    runtime: Path, release: dict[str, Phrases]
) -> None:
    """Its leader's end is on record, the proof that nothing is left is still to come."""
    phrases = release["phrases"]
    leader, exit, _ = release["records"]["drains"].splitlines()
    (runtime / "runs" / "drains.run").write_text(f"{leader}\n{exit}\n")
    phrases["drained"] = {**phrases["slot says: drained"], "run": "drains"}
    old = Old(runtime, phrases)
    async with old.slot("draining", {"end": ["drained"]}), Launcher(runtime) as launcher:
        one = await found(launcher)
        assert one.exit is not None
        assert one.exit.status == 4 << 8
        assert one.execution is not None
        await one.execution.end()
        with anyio.fail_after(60):
            await one.execution.drained()


@pytest.mark.anyio
async def test_an_idle_slot_of_an_earlier_release_can_be_retired(runtime: Path, release: dict[str, Phrases]) -> None:
    """With the order that it knows."""
    old = Old(runtime, release["phrases"])
    async with old.slot("idle", {}), Launcher(runtime) as launcher:
        one = await found(launcher)
        assert (one.run, one.execution) == (None, None)
        assert one.slot is not None
        await one.slot.retire()
        with anyio.fail_after(60):
            while release["phrases"]["slot is told: retire"] not in old.heard:
                await anyio.sleep(0.01)


@pytest.mark.anyio
async def test_a_slot_of_the_same_protocol_is_given_runs(runtime: Path, release: dict[str, Phrases]) -> None:
    """Whatever the release; what it says of a start, of a quick run, and of one that fails, is understood."""
    phrases = release["phrases"]
    if phrases["slot says: hello, idle"]["protocol"] not in versions.SLOTS:
        pytest.skip("nothing is started there any more")

    quick, failed = ["slot says: started", "slot says: exit and drained"], ["slot says: failed"]
    old = Old(runtime, phrases)
    async with old.slot("idle", {"start quick": quick, "start failed": failed}), Launcher(runtime) as launcher:
        one = await found(launcher)
        assert one.slot is not None
        with anyio.fail_after(60):
            execution = await one.slot.start(order(runtime, "quick", "true"))
            exit = await execution.exited()
            await execution.drained()
            assert exit is not None
            assert (exit.status, execution.silent) == (0, True)
            with pytest.raises(Exception, match="command not found: frobnicate"):
                await one.slot.start(order(runtime, "failed", "frobnicate"))
    said = next(order for order in old.heard if order["op"] == "start")
    assert covers(said, phrases["slot is told: start"], Names(runtime, "python")) is None


def test_the_records_of_an_earlier_release_are_read(runtime: Path, release: dict[str, Phrases]) -> None:
    """Who the leader was, how it ended, why it never began, and that nothing of it is left."""
    for run, text in release["records"].items():
        (runtime / "runs" / f"{run}.run").write_text(text)
    home = str(runtime)
    exits = {run: execution.exit_on_record(home, run) for run in release["records"]}
    statuses = {run: exit.status for run, exit in exits.items() if exit is not None}
    assert statuses == {"quick": 0, "leaves": 3 << 8, "runs": 9, "drains": 4 << 8, "orphaned": 15}
    leaders = {run for run in release["records"] if execution.leader_on_record(home, run) is not None}
    assert leaders == statuses.keys()
    failure = execution.failure_on_record(home, "failed")
    assert failure is not None
    assert (str(failure), failure.stage, failure.errno) == ("command not found: frobnicate", "exec", 2)
    assert all(record.is_drained(home, run) for run in release["records"])


def test_orders_of_an_earlier_daemon_are_carried_out_and_answered(runtime: Path, release: dict[str, Phrases]) -> None:
    """Today's spawner and slots say all that they said then."""
    phrases = release["phrases"]
    names = Names(runtime, "python")

    def expect(peer: Peer, *said: str, run: str = "") -> None:
        for phrase in said:
            told = peer.next()
            recorded = dict(phrases[phrase])
            if recorded.get("run"):
                recorded["run"] = run
            if recorded.get("leader"):
                recorded["leader"] = [None] * 4
            assert covers(told, recorded, names) is None, f"{phrase}: {told}"

    slot = phrases["spawner is told: open"]["slot"]
    for phrase in phrases.values():
        if "slot" in phrase:
            phrase["slot"] = slot
        if "protocol" in phrase:
            phrase["protocol"] = record.PROTOCOL
    process = start_spawner(runtime)
    with ExitStack() as stack:
        stack.callback(process.wait)
        stack.callback(process.kill)

        def dial(path: str) -> Peer:
            return stack.enter_context(closing(Peer(path)))

        spawner = dial(record.spawner_socket(str(runtime)))
        expect(spawner, "spawner says: hello")
        spawner.send(**phrases["spawner is told: open"])
        expect(spawner, "spawner says: pid")
        peer = dial(record.slot_socket(str(runtime), slot))
        expect(peer, "slot says: hello, idle")
        start = phrases["slot is told: start"]
        peer.send(**start)
        expect(peer, "slot says: started", "slot says: exit and drained", run="quick")
        peer.send(**start | {"run": "failed", "argv": ["frobnicate"]})
        expect(peer, "slot says: failed", run="failed")
        peer.send(**start | {"run": "leaves", "argv": ["sh", "-c", "sleep 600 & exit 3"], "grace": 0.2})
        expect(peer, "slot says: started", "slot says: exit", "slot says: drained", run="leaves")
        peer.send(**start | {"run": "runs", "argv": ["sleep", "600"]})
        expect(peer, "slot says: started", run="runs")
        peer = dial(record.slot_socket(str(runtime), slot))
        expect(peer, "slot says: hello, running", run="runs")
        peer.send(**phrases["slot is told: signal"])
        peer.send(**phrases["slot is told: end"])
        expect(peer, "slot says: exit and drained", run="runs")
        spawner.send(**phrases["spawner is told: open"] | {"slot": "../no name"})
        expect(spawner, "spawner says: error")
        peer.send(**phrases["slot is told: retire"])
        assert peer.next() is None
        for op, answer in (("gone", {"state": "unknown"}), ("signal", {"known": False}), ("end", {"known": False})):
            order = phrases[f"spawner is told: {op}"]
            spawner.send(**order)
            assert spawner.next() == {"id": order["id"], **answer}
