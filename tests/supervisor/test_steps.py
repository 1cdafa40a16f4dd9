"""Results of steps on the daemon's side: from the spool into the store, and with the next run's order."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import Raw, json

from jobkeep.protocol.worker import SaveStepParameters
from jobkeepd.core.ending import Finished, RunEnd, WorkerDied
from jobkeepd.core.model import Exit
from jobkeepd.errors import StorageFull
from jobkeepd.runner.base import Launch
from jobkeepd.store.changes import SaveStep

from .conftest import ME, Stage

pytestmark = pytest.mark.anyio
NAMES = [f"step{number}" for number in range(12)]  # in order as text they are not


def dying(spool: Path, launches: list[Launch]) -> Callable[..., RunEnd]:
    """A worker that is cut off and killed behind its twelfth step, and gets to its end when it is run again."""

    def end(launch: Launch, *_: object) -> RunEnd:
        launches.append(launch)
        if len(launches) > 1:
            return Finished("succeeded", 1.0)
        run, fence = launch.job.ref.id, launch.job.ref.fence
        for ordinal, name in enumerate(NAMES):
            step = SaveStepParameters(run=run, fence=fence, ordinal=ordinal, name=name, result=Raw(b"%d" % ordinal))
            (spool / f"{run}.step{ordinal}").write_bytes(json.encode(step))
        return WorkerDied(Exit(9, 1.0))

    return end


async def test_steps_of_a_dead_worker_are_taken_from_the_spool_in_order(stage: Stage, tmp_path: Path) -> None:
    """The next run is told their names; a first run is told none, and costs no look into the store."""
    launches: list[Launch] = []
    stage.runner.end = dying(tmp_path, launches)  # type: ignore[method-assign]
    (job,) = await stage.submit(command=None, function="m:f")
    await stage.until(job, "failed")
    assert await stage.store.steps(job) == NAMES
    assert [bytes(await stage.store.step_result(job, n) or b"") for n in range(12)] == [b"%d" % n for n in range(12)]
    assert os.listdir(tmp_path) == []
    await stage.supervisor.resume(job, ME, failed_items=False, reason=None)
    await stage.until(job, "succeeded")
    assert [list(launch.steps) for launch in launches] == [[], NAMES]


async def test_without_room_the_end_of_the_run_waits_for_its_steps(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were acknowledged: what is in the spool stays there until it is in the store."""
    honest, room = stage.store.apply, anyio.Event()

    async def full(change: Any) -> Any:
        if isinstance(change, SaveStep) and change.ordinal == 5 and not room.is_set():
            raise StorageFull("no space left")
        return await honest(change)

    monkeypatch.setattr(stage.store, "apply", full)
    stage.runner.end = dying(tmp_path, [])  # type: ignore[method-assign]
    (job,) = await stage.submit(command=None, function="m:f")
    await anyio.sleep(60)
    assert (await stage.store.get(job)).state == "running"
    assert len(os.listdir(tmp_path)) == 12
    room.set()
    await stage.until(job, "failed")
    assert await stage.store.steps(job) == NAMES
    assert os.listdir(tmp_path) == []


async def test_what_is_no_report_in_the_spool_is_left_alone(stage: Stage, tmp_path: Path) -> None:
    """What cannot be read is put aside under another name, and never thrown away."""
    launches: list[Launch] = []
    honest = dying(tmp_path, launches)

    def end(launch: Launch, *_: object) -> RunEnd:
        found = honest(launch)
        run = launch.job.ref.id
        (tmp_path / f"{run}.step11").write_bytes(b"{")
        (tmp_path / f"{run}.notes").write_bytes(b"mine")
        return found

    stage.runner.end = end  # type: ignore[method-assign]
    (job,) = await stage.submit(command=None, function="m:f")
    await stage.until(job, "failed")
    assert await stage.store.steps(job) == NAMES[:11]
    assert sorted(os.listdir(tmp_path)) == [f"{job}.1.notes", f"{job}.1.step11.bad"]
