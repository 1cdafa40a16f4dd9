"""Sessions and the rest of the daemon: drain, configuration, keys, restarts, clean-up."""

from __future__ import annotations

import anyio
import pytest
import structlog.testing

from jobkeepd.errors import SessionFailed
from supervisor.conftest import ME, Stage
from supervisor.session_scene import ALICE, Scene

pytestmark = pytest.mark.anyio


@pytest.fixture
def scene(stage: Stage) -> Scene:
    return Scene(stage)


async def test_one_that_is_too_old_is_replaced_when_nobody_uses_it(stage: Stage) -> None:
    """However healthy it is."""
    scene = Scene(stage, max_age=100.0)
    _, first = await scene.sessions.open("browser", "lease-a", 3600.0, 0.0, ALICE)
    await anyio.sleep(200)
    assert await scene.state() == "in_use"
    await scene.give_back()
    assert (await scene.open("lease-b")).id != first.id


async def test_after_a_restart_of_the_daemon_the_same_process_is_handed_out(scene: Scene) -> None:
    """Another daemon knows nothing of it but what is in the store; one with another command replaces it."""
    job = await scene.open()
    await scene.give_back()
    again = Scene(scene.stage)
    again.probes.ready_after = 0.0
    assert await again.state() == "ready"
    assert (await again.open("lease-b")).id == job.id
    await again.give_back()
    changed = Scene(scene.stage, command=("driver", "--port=10"))
    changed.probes.ready_after = 0.0
    changed.probes.sick.clear()
    assert (await changed.open("lease-c")).spec.command == ["driver", "--port=10"]


async def test_one_that_runs_without_being_configured_is_seen_and_can_be_closed(scene: Scene) -> None:
    """Its table was removed from the configuration."""
    job = await scene.open()
    await scene.give_back()
    scene.sessions._configured = {}
    (view,) = await scene.sessions.views()
    assert (view.name, view.state, view.settings) == ("browser", "ready", None)
    assert await scene.sessions.close("browser", ME, force=False, reason=None) == job.id
    assert await scene.sessions.views() == []


async def test_a_drain_leaves_sessions_and_nothing_new_is_started(scene: Scene) -> None:
    """A session has no end of its own: nobody waits for it. One that runs can still be opened."""
    job = await scene.open()
    await scene.give_back()
    report = await scene.stage.supervisor.drain.drain(ME, "wait", 60.0)
    assert (report.over, [run.fate for run in report.runs]) == (True, ["leave"])
    assert (await scene.open("lease-b")).id == job.id
    await scene.give_back()
    scene.die(job)
    await scene.stage.until(job.id, "succeeded", "failed")
    with pytest.raises(SessionFailed, match="draining"):
        await scene.open("lease-c")
    scene.stage.supervisor.drain.call_off(ME)
    await scene.stage.supervisor.queues.control("sessions", "pause", ME, limit=None, reason=None)
    with pytest.raises(SessionFailed, match="the queue sessions is paused"):
        await scene.open("lease-d")


async def test_one_that_is_queued_while_nothing_is_started_is_told_at_once(scene: Scene) -> None:
    """Its start is not waited for in vain; it comes when it may, and serves whoever opens it then."""
    await scene.stage.supervisor.queues.control("sessions", "pause", ME, limit=None, reason=None)
    (job,) = await scene.stage.submit(key="session:browser", queue="sessions", command=["driver"])
    before = anyio.current_time()
    with pytest.raises(SessionFailed, match="it waits for its start: the queue sessions is paused") as told:
        await scene.open()
    assert (told.value.job, anyio.current_time() - before < 1.0) == (job, True)


async def test_nobody_else_has_a_job_in_the_queue_of_the_sessions(scene: Scene) -> None:
    """It may be paused like any other, and takes no jobs."""
    queues = scene.stage.supervisor.queues
    assert "sessions" in [queue.name for queue in queues.all()]
    assert "sessions" not in queues.names


async def test_a_job_of_somebody_else_with_its_key_is_named(scene: Scene) -> None:
    """It is not ours to end."""
    (other,) = await scene.stage.submit(key="session:browser")
    with pytest.raises(SessionFailed) as told:
        await scene.open()
    assert told.value.job == other
    assert not any(job.startswith("session") for job in scene.starts)
    assert (await scene.sessions.view("browser")).job is None


async def test_its_job_may_be_restarted_like_any_other(scene: Scene) -> None:
    """The new run is not taken for ready before it has been checked."""
    job = await scene.open()
    await scene.give_back()
    await scene.stage.supervisor.restart(job.id, ME, from_start=False, reason=None)
    before = anyio.current_time()
    again = await scene.open("lease-b")
    assert (again.id, again.run.number if again.run else 0) == (job.id, 2)
    assert anyio.current_time() - before >= 2.0


async def test_the_heartbeat_log_leaves_sessions_out(scene: Scene) -> None:
    """They are not on their way to anything, and would fill it for days."""
    await scene.open()
    (job,) = await scene.stage.submit()
    await scene.stage.until(job, "running")
    with structlog.testing.capture_logs() as lines:
        scene.stage.supervisor.heartbeats.log_once()
    assert [line["job"] for line in lines] == [job]


async def test_clean_up_is_told_whose_processes_are_in_use(scene: Scene) -> None:
    """Only while somebody has the session."""
    assert await scene.sessions.in_use() == {}
    job = await scene.open()
    roots = {root.pid: what for root, what in (await scene.sessions.in_use()).items()}
    assert roots == {scene.stage.runner.leaders[job.id]: "session browser, in use"}
    await scene.give_back()
    assert await scene.sessions.in_use() == {}
