"""Jobs as an earlier daemon has left them, and the start of the next one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
from msgspec import Raw, json, structs

from fakes.runner import BOOT, FakeSeat
from jobkeep.protocol.jobs import JobSpec
from jobkeep.protocol.worker import CheckpointParameters, FinishParameters
from jobkeepd.core.admission import Need
from jobkeepd.core.model import Identity, Job
from jobkeepd.runner.base import FoundSlot
from jobkeepd.runner.output import Outputs
from jobkeepd.runner.spool import Spool
from jobkeepd.store.changes import ClaimRun, MarkRunning, NewJob, SubmitJobs
from jobkeepd.supervisor.startup import Startup
from jobkeepd.supervisor.workshop import Workshop

from .conftest import ME, Stage


class FakeExecution:
    """Something that runs under a slot, until it is ended or the test says so."""

    proven = True
    left: Mapping[str, Any] = {}
    leader = Identity(BOOT, 4711, 7, 9)

    def __init__(self) -> None:
        self.ended = False
        self.gone = anyio.Event()

    async def end(self) -> None:
        self.ended = True
        self.gone.set()

    async def drained(self) -> None:
        await self.gone.wait()


class FakeSlot:
    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.retired = False

    async def retire(self) -> None:
        self.retired = True


class FakeSlots:
    """What a runtime directory holds; silent slots answer when `answer` is set."""

    def __init__(self) -> None:
        self.found: list[FoundSlot] = []
        self.answers: dict[str, FoundSlot] = {}
        self.answer = anyio.Event()
        self.forgotten: list[str] = []

    async def find(self) -> list[FoundSlot]:
        return self.found

    async def look_again(self, found: FoundSlot, run: str) -> FoundSlot:
        await self.answer.wait()
        return self.answers[found.name]

    def forget(self, run: str) -> None:
        self.forgotten.append(run)


class Scene:
    """Jobs as an earlier daemon has left them, and the daemon that comes after it."""

    def __init__(self, stage: Stage, home: Path) -> None:
        self.stage = stage
        self.store = stage.store
        self.slots = FakeSlots()
        self.spool = home / "spool"
        self.spool.mkdir()
        self.outputs = Outputs(str(home / "logs"))
        self.outputs.prepare()
        self._home = home

    async def left(
        self, id: str, *, running: bool = True, seat: str | None = None, claimed_at: float = 2.0, **spec: Any
    ) -> Job:
        """A job with a run that is open."""
        wanted = JobSpec(**({"command": ["true"]} | spec))
        await self.store.apply(SubmitJobs(jobs=(NewJob(id, wanted, None),), by=ME, at=1.0, on_conflict="reject"))
        workshop: Workshop = self.stage.supervisor._workshop
        claim = ClaimRun(
            job=id, seat=seat or f"seat-{id}", epoch=1, cookie="c", at=claimed_at, now=workshop.moment(), ttl_s=60.0
        )
        job = await self.store.apply(claim)
        assert job is not None
        if running:
            await self.store.apply(MarkRunning(run=job.ref, at=3.0))
        return await self.store.get(id)

    def found(self, job: Job, **more: Any) -> FoundSlot:
        """What is found of its run."""
        assert job.run is not None
        known: dict[str, Any] = {"name": job.run.seat, "slot": None, "run": job.ref.id, "execution": None, "exit": None}
        self.slots.found.append(FoundSlot(**(known | more)))
        return self.slots.found[-1]

    async def recover(self) -> None:
        supervisor = self.stage.supervisor
        startup = Startup(
            structs.replace(supervisor._workshop, spool=Spool(str(self.spool))), supervisor.dispatcher, self.slots,
            self.outputs, self, supervisor._group, True,
        )  # fmt: skip
        await startup.recover_once()

    def adopt(self, need: Need, slot: Any, execution: Any) -> FakeSeat:
        seat = FakeSeat(self.stage.runner, slot.name, need)
        self.stage.runner.seats.append(seat)
        return seat

    def spooled(
        self, job: Job, checkpoint: int | None = None, outcome: str | None = None, *, clean: bool = True
    ) -> None:
        run = {"run": job.ref.id, "fence": job.ref.fence}
        if checkpoint is not None:
            left = CheckpointParameters(**run, seq=checkpoint, cursor=Raw(b"7"), done=7)
            (self.spool / f"{job.ref.id}.checkpoint").write_bytes(json.encode(left))
        if outcome is not None:
            finish = FinishParameters(**run, outcome=outcome, clean=clean)
            (self.spool / f"{job.ref.id}.finish").write_bytes(json.encode(finish))
