"""What a start makes of open runs: all at once, bounded, and never stopped by one of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeepd.core.model import Exit, Usage
from jobkeepd.errors import StorageFull
from jobkeepd.runner.base import FoundSlot
from jobkeepd.runner.environment import worker_run
from jobkeepd.store.changes import EndRun, RequestStop, SaveCheckpoint
from jobkeepd.supervisor.drain import Report

from .conftest import ME, Stage
from .left_behind import FakeExecution, FakeSlot, Scene

pytestmark = pytest.mark.anyio


@pytest.fixture
def scene(stage: Stage, tmp_path: Path) -> Scene:
    stage.supervisor.dispatcher.hold_all()  # nothing is started before recovery is over
    return Scene(stage, tmp_path)


def exited(status: int) -> Exit:
    return Exit(status, 5.0, Usage(0.1, 0.2, 4096))


async def test_what_ended_is_recorded_as_the_shim_saw_it(scene: Scene) -> None:
    """Raw status, time of the end and usage, of signals and codes alike; the record goes when that is durable."""
    jobs = {status: await scene.left(f"j{status}") for status in (0, 7 << 8, 9, 6 | 128)}
    for status, job in jobs.items():
        scene.found(job, exit=exited(status))
    await scene.recover()
    for status, job in jobs.items():
        ended = await scene.store.get(job.id)
        assert ended.run is not None
        assert (ended.run.status, ended.run.ended_at, ended.run.usage) == (status, 5.0, Usage(0.1, 0.2, 4096))
        assert ended.state == ("succeeded" if status == 0 else "failed")
    assert set(scene.slots.forgotten) == {job.ref.id for job in jobs.values()}


async def test_two_hundred_ends_are_recorded_together(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow disk delays all of them once, not each in turn."""
    jobs = [await scene.left(f"j{number}") for number in range(200)]
    for number, job in enumerate(jobs):
        scene.found(job, exit=exited(number << 8))
    honest = scene.store.apply

    async def slow(change: Any) -> Any:
        await anyio.sleep(0.3)
        return await honest(change)

    monkeypatch.setattr(scene.store, "apply", slow)
    began = anyio.current_time()
    await scene.recover()
    assert anyio.current_time() - began < 1.0
    assert {job.state for job in await scene.store.get_all([job.id for job in jobs])} == {"succeeded", "failed"}


async def test_one_bad_run_stops_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told in the log and left as it is, with its slot; the others are recorded."""
    bad, worse, good = [await scene.left(id) for id in ("bad", "worse", "good")]
    slot = FakeSlot("seat-bad")
    scene.found(bad, slot=slot, exit=exited(0))
    scene.found(worse, exit=Exit(0, 5.0, "no usage at all"))  # type: ignore[arg-type]
    scene.found(good, exit=exited(0))
    honest = scene.store.apply

    async def picky(change: Any) -> Any:
        if isinstance(change, EndRun) and change.run.job in ("bad", "worse"):
            raise ZeroDivisionError
        return await honest(change)

    monkeypatch.setattr(scene.store, "apply", picky)
    await scene.recover()
    await anyio.sleep(10)
    assert [(await scene.store.get(id)).state for id in ("bad", "worse", "good")] == ["running", "running", "succeeded"]
    assert (slot.retired, set(scene.slots.forgotten)) == (False, {good.ref.id})
    assert scene.stage.supervisor.dispatcher.unsettled == {"bad", "worse"}


async def test_what_lives_is_adopted_and_ends_in_its_time(scene: Scene) -> None:
    """Also a run of which nobody knew yet that it had begun."""
    jobs = [await scene.left("running"), await scene.left("starting", running=False)]
    for job in jobs:
        scene.found(job, slot=FakeSlot(f"seat-{job.id}"), execution=FakeExecution())
    await scene.recover()
    assert set(scene.stage.supervisor.dispatcher.tasks) == {"running", "starting"}
    assert [(await scene.stage.until(job.id, *ENDED_STATES)).state for job in jobs] == ["succeeded", "succeeded"]
    assert (await scene.stage.kinds("starting"))[:3] == ["submitted", "recovered", "started"]


async def test_who_has_a_seat_and_who_is_next_is_not_told_apart_by_the_wall_clock(scene: Scene) -> None:
    """It was set back by a day between two claims: the first one still has the seat, and its place in the queue."""
    first = await scene.left("first", seat="seat", claimed_at=90_000.0)
    await anyio.sleep(1)
    await scene.left("second", running=False, seat="seat", claimed_at=3_600.0)
    scene.found(first, slot=FakeSlot("seat"), execution=FakeExecution())
    scene.found(await scene.store.get("second"), slot=FakeSlot("seat"), execution=FakeExecution())
    await scene.recover()
    turns = {id: task.turn for id, task in scene.stage.supervisor.dispatcher.tasks.items()}
    assert turns["first"] is None
    assert turns["second"] is not None


async def test_a_silent_slot_keeps_nobody_waiting(scene: Scene) -> None:
    """A start that it may have been sent is neither started again nor called lost until it answers."""
    held, lost, ran = [await scene.left(id, running=False, lock=None) for id in ("unread", "died", "began")]
    for job in (held, lost, ran):
        assert job.run is not None
        scene.found(job, slot=FakeSlot(job.run.seat), run=None, silent=True)
    began = anyio.current_time()
    await scene.recover()
    assert anyio.current_time() - began < 1
    scene.stage.supervisor.dispatcher.release()
    await anyio.sleep(3600)
    assert scene.stage.runner.started == []
    assert scene.stage.supervisor.dispatcher.unsettled == {"unread", "died", "began"}
    idle = FakeSlot("seat-unread")
    scene.slots.answers = {
        "seat-unread": FoundSlot("seat-unread", idle, None, None, None),  # type: ignore[arg-type]
        "seat-died": FoundSlot("seat-died", None, None, None, None),
        "seat-began": FoundSlot("seat-began", FakeSlot("seat-began"), ran.ref.id, FakeExecution(), None),  # type: ignore[arg-type]
    }
    scene.slots.answer.set()
    began = anyio.current_time()
    ended = await scene.stage.supervisor.wait(["unread", "died", "began"], any=False, timeout=60)
    assert anyio.current_time() - began < 5  # nobody had to come by and look
    assert {job.id: job.run.number if job.run else 0 for job in ended} == {"unread": 2, "died": 2, "began": 1}
    assert {(job.state, job.attempts) for job in ended} == {("succeeded", 0)}
    assert (idle.retired, scene.stage.supervisor.dispatcher.unsettled) == (True, set())


async def test_a_function_that_is_found_during_a_drain_is_drained_like_the_others(scene: Scene) -> None:
    """Its slot was silent when the drain began: it is asked to end as soon as it is known, and waited for."""
    job = await scene.left("found", command=None, function="m:f")
    assert job.run is not None
    seat = job.run.seat
    scene.found(job, slot=FakeSlot(seat), run=None, silent=True)
    scene.slots.answers[seat] = FoundSlot(seat, FakeSlot(seat), worker_run(seat), FakeExecution(), None)  # type: ignore[arg-type]
    scene.stage.runner.duration = 1e6
    await scene.recover()
    stage = scene.stage
    reports: list[Report] = []

    async def drain() -> None:
        reports.append(await stage.supervisor.drain.drain(ME, "wait", 3600))

    async with anyio.create_task_group() as tasks:
        (other,) = await stage.submit(command=None, function="m:f")
        stage.supervisor.dispatcher.release()
        await stage.until(other, "running")
        stage.runner.deaf_to.add("ask")
        tasks.start_soon(drain)
        await anyio.sleep(10)
        scene.slots.answer.set()
        await anyio.sleep(10)
        assert stage.runner.reasons == {other: ["drain"], "found": ["drain"]}
        assert reports == []
        for seat_in_use in stage.runner.seats:
            seat_in_use.finish()
    (report,) = reports
    assert report.over
    assert {run.job.id: run.fate for run in report.runs} == {other: "interrupt", "found": "interrupt"}


async def test_a_cancellation_of_a_run_that_nobody_is_sure_of_comes_true(scene: Scene) -> None:
    """Once its slot has answered: a run that began is stopped, one that did not never begins."""
    jobs = [await scene.left(id, running=False) for id in ("began", "unread")]
    for job in jobs:
        assert job.run is not None
        scene.found(job, slot=FakeSlot(job.run.seat), run=None, silent=True)
    scene.stage.runner.duration = 1e6
    await scene.recover()
    for job in jobs:
        await scene.stage.supervisor.cancel(job.id, ME, force=False, reason=None)
    scene.slots.answers = {
        "seat-began": FoundSlot("seat-began", FakeSlot("seat-began"), jobs[0].ref.id, FakeExecution(), None),  # type: ignore[arg-type]
        "seat-unread": FoundSlot("seat-unread", FakeSlot("seat-unread"), None, None, None),  # type: ignore[arg-type]
    }
    scene.slots.answer.set()
    for job in jobs:
        assert (await scene.stage.until(job.id, *ENDED_STATES)).state == "cancelled"


async def test_a_full_disk_does_not_keep_a_daemon_from_starting(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be recorded now is recorded later, checkpoint first; until then nothing of it is thrown away."""
    (job,) = [await scene.left("full", command=None, function="m:f")]
    scene.spooled(job, checkpoint=3, outcome="failed")
    honest, room = scene.store.apply, anyio.Event()

    async def full(change: Any) -> Any:
        if isinstance(change, SaveCheckpoint) and not room.is_set():
            raise StorageFull("no space left")
        if isinstance(change, EndRun):
            await room.wait()
        return await honest(change)

    monkeypatch.setattr(scene.store, "apply", full)
    began = anyio.current_time()
    await scene.recover()
    assert anyio.current_time() - began == pytest.approx(2.0)
    assert len(os.listdir(scene.spool)) == 2
    room.set()
    ended = await scene.stage.until("full", "failed")
    assert (ended.checkpoint_seq, ended.progress.done) == (3, 7)
    assert os.listdir(scene.spool) == []


async def test_the_files_of_a_run_whose_shim_is_dead_stay_where_it_writes(scene: Scene) -> None:
    """Also while there is nothing in them yet; those of a seat that nobody uses go."""
    job = await scene.left("orphan")
    assert job.run is not None
    scene.found(job, slot=None, execution=FakeExecution())
    seats = Path(scene.outputs.begin(job.run.seat, job.ref)[0]).parent
    for seat in (job.run.seat, "unused"):
        (seats / f"{seat}.stdout").touch()
    scene.stage.runner.duration = 1e6
    await scene.recover()
    assert [name for name in os.listdir(seats) if name.endswith(".stdout")] == [f"{job.run.seat}.stdout"]


async def test_a_stop_on_record_is_carried_out_on_adoption(scene: Scene) -> None:
    """What the last daemon had promised."""
    job = await scene.left("stopping")
    await scene.store.apply(RequestStop(job=job.id, stop="cancelled", by=ME, at=4.0))
    scene.found(job, slot=FakeSlot("seat-stopping"), execution=FakeExecution())
    scene.stage.runner.duration = 1e6
    await scene.recover()
    assert (await scene.stage.until("stopping", *ENDED_STATES)).state == "cancelled"


async def test_what_no_run_needs_is_ended(scene: Scene) -> None:
    """Its tree, its slot and its records; a slot that has to be waited for holds up nobody."""
    idle, busy = FakeSlot("idle"), FakeSlot("busy")
    execution = FakeExecution()
    for slot, found in ((idle, None), (busy, execution)):
        scene.slots.found.append(FoundSlot(slot.name, slot, f"over-{slot.name}", found, None))  # type: ignore[arg-type]
    await scene.recover()
    await anyio.sleep(1)
    assert (idle.retired, busy.retired, execution.ended) == (True, True, True)
    assert sorted(scene.slots.forgotten) == ["over-busy", "over-idle"]


async def test_a_run_whose_leader_has_ended_is_not_over_before_its_children_are(scene: Scene) -> None:
    """They have their grace, as they would have had if no daemon had died; till then its lock is held."""
    job = await scene.left("ended", lock="crm")
    execution = FakeExecution()
    scene.found(job, exit=exited(0), slot=FakeSlot(job.run.seat), execution=execution)  # type: ignore[union-attr]
    await scene.recover()
    await anyio.sleep(30)
    assert (await scene.store.get("ended")).state == "running"
    assert [lock.name for lock in await scene.store.locks()] == ["crm"]
    assert not execution.ended
    execution.gone.set()
    assert (await scene.stage.until("ended", "succeeded")).outcome == "succeeded"
    assert await scene.store.locks() == []


async def test_what_an_unclean_function_has_left_behind_is_ended_before_its_result_is_recorded(scene: Scene) -> None:
    """Its worker says in the spool that there is something, and lives with it."""
    job = await scene.left("unclean", command=None, function="m:f", lock="crm")
    execution = FakeExecution()
    scene.found(job, run=f"worker-{job.run.seat}", slot=FakeSlot(job.run.seat), execution=execution)  # type: ignore[union-attr]
    scene.spooled(job, outcome="succeeded", clean=False)
    order: list[str] = []
    apply = scene.store.apply

    async def noting(change: Any) -> Any:
        if isinstance(change, EndRun):
            order.append(f"recorded, worker {'ended' if execution.ended else 'alive'}")
        return await apply(change)

    scene.store.apply = noting  # type: ignore[method-assign]
    await scene.recover()
    await scene.stage.until("unclean", "succeeded")
    assert order == ["recorded, worker ended"]
