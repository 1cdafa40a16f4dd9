"""What daemon, spawner and slots say to each other, one example of each phrase, by its name."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import msgspec

from crash.judges import slay_all
from jobkeepd.errors import StartFailed
from jobkeepd.runner.base import LeaderOrder
from jobkeepd.runner.launcher import Launcher
from jobkeepd.runner.lines import Lines
from jobkeepd.spawner import record

Phrases = dict[str, Any]


class Ear:
    """Hears what daemons say and are told, and keeps the first example of each phrase."""

    def __init__(self) -> None:
        self.phrases: Phrases = {}

    @contextmanager
    def open(self) -> Iterator[None]:
        send, heed = Lines.send, Lines.buffer_updated

        def sending(lines: Lines, message: object) -> bool:
            said = msgspec.to_builtins(message)
            self.phrases.setdefault(f"{'spawner' if 'id' in said else 'slot'} is told: {said['op']}", said)
            return send(lines, message)

        def hearing(lines: Lines, count: int) -> None:
            for line in bytes(lines._buffer[:count]).splitlines():
                said = msgspec.json.decode(line)
                self.phrases.setdefault(name_of(said), said)
            heed(lines, count)

        Lines.send, Lines.buffer_updated = sending, hearing  # type: ignore[method-assign]
        try:
            yield
        finally:
            Lines.send, Lines.buffer_updated = send, heed  # type: ignore[method-assign]


def name_of(said: Phrases) -> str:
    """Of what a spawner or a slot says."""
    if "id" in said:
        return f"spawner says: {next(key for key in ('pid', 'error', 'known', 'state') if key in said)}"
    if said["op"] == "hello":
        return f"slot says: hello, {said['state']}" if "slot" in said else "spawner says: hello"
    both = " and drained" if said["op"] == "exit" and said.get("drained") else ""
    return f"slot says: {said['op']}{both}"


def order(runtime: Path, run: str, *argv: str, grace: float = 5.0) -> LeaderOrder:
    log = str(runtime / "log")
    return LeaderOrder(run, argv, {"OWN": "1"}, "/", 0o022, log, log, grace, base={"PATH": "/usr/bin:/bin"})


async def converse(runtime: Path) -> None:
    """Say and hear everything once, and leave run records of every sort."""
    async with Launcher(runtime) as first:
        slot = await first.open()
        await (await slot.start(order(runtime, "quick", "true"))).drained()
        with suppress(StartFailed):
            await slot.start(order(runtime, "failed", "frobnicate"))
        leaves = order(runtime, "leaves", "sh", "-c", "sleep 600 & exit 3", grace=0.2)
        await (await slot.start(leaves)).drained()
        await slot.start(order(runtime, "runs", "sleep", "600"))
        drains = await first.open()
        execution = await drains.start(
            order(runtime, "drains", "sh", "-c", "trap '' TERM; sleep 600 & exit 4", grace=60)
        )
        await execution.exited()
    async with Launcher(runtime) as second:
        found = {each.run: each for each in await second.find()}
        for run in ("runs", "drains"):
            execution = found[run].execution
            assert execution is not None
            if run == "runs":
                await execution.signal(signal.SIGCONT)
            await execution.end()
            await execution.drained()
        slot = await second.open()
        execution = await slot.start(order(runtime, "orphaned", "sleep", "600"))
        holder = record.lock_holder(record.slot_lock(str(runtime), slot.name))
        assert holder is not None
        signal.pidfd_send_signal(os.pidfd_open(holder), signal.SIGKILL)
        while slot.takes_runs:
            await anyio.sleep(0.01)
        await execution.signal(signal.SIGTERM)
        await execution.exited()
        await execution.end()
        await execution.drained()
        await found["runs"].slot.retire()  # type: ignore[union-attr]
        with anyio.move_on_after(10):
            await second._spawner.ask({"op": "open", "slot": "../no name"})


def recorded() -> tuple[Phrases, dict[str, str], Path]:
    """The phrases, the run records by the name of their run, and the folder that is named in them."""
    ear = Ear()
    runtime = Path(tempfile.mkdtemp(prefix="jk"))
    try:
        with ear.open():
            anyio.run(converse, runtime)
        records = {path.stem: path.read_text() for path in (runtime / "runs").iterdir()}
    finally:
        slay_all(runtime)
        shutil.rmtree(runtime)
    return ear.phrases, records, runtime
