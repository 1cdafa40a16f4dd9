"""What a bridge decides, and how soon: against a stand-in for the cluster, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")

from msgspec import Raw

from dask_bridge.stand_in import LAB, Scheduler, Task, install, place
from dask_bridge.stand_in_daemon import Daemon
from dask_bridge.virtual import now, virtually
from jobkeep.dask_bridge.messages import Ended, Fence, Go, Lives, Stop
from jobkeep.dask_bridge.settings import Cluster
from jobkeep.worker.ending import Ending

ONE, TWO = "tcp://one:1", "tcp://two:2"
RESULT = Raw(b"42")
MOMENTS = pytest.mark.parametrize("after", [0.0, 0.1, 1.9, 2.0, 37.3])  # seconds of the run
LATEST = LAB.lost_after * 1.1 + 2.0  # a slow clock, and the time in which a task without a lease ends itself


class Stage:
    """A run whose task has begun on a worker, some seconds ago."""

    def __init__(self, scheduler: Scheduler, daemon: Daemon, carrying: asyncio.Future[Ending], task: Task) -> None:
        self.scheduler = scheduler
        self.daemon = daemon
        self.carrying = carrying
        self.task = task

    async def lives(self, for_s: float) -> None:
        """It gives signs of life, as a task does."""
        until = now() + for_s
        while now() < until:
            self.task.say(Lives(place(ONE)))
            await asyncio.sleep(min(2.0, until - now()))


def play(
    patch: pytest.MonkeyPatch, story: Callable[[Stage], Awaitable[None]], *workers: str, after: float = 0.0
) -> None:
    async def staged() -> None:
        scheduler, daemon = Scheduler(*workers or (ONE,)), Daemon()
        install(patch, {LAB.address: scheduler})
        carrying = asyncio.ensure_future(daemon.carry())
        task = await scheduler.taken(ONE)
        await task.hears(Go)
        stage = Stage(scheduler, daemon, carrying, task)
        await stage.lives(after)
        await story(stage)

    virtually(staged)


@MOMENTS
def test_a_run_is_lost_within_two_seconds_of_its_workers_death_though_nobody_has_room_for_its_task(
    after: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dask starts the task again where there is room, which tells of the death: with none, it tells nothing."""

    async def story(stage: Stage) -> None:
        died = now()
        stage.scheduler.kill(ONE)
        assert (await stage.carrying).reason == f"lost: the Dask worker {ONE} died"
        assert now() - died < 2.0

    play(monkeypatch, story, after=after)


@MOMENTS
def test_a_task_that_dask_starts_again_is_not_let_go_and_its_run_is_lost_within_two_seconds(
    after: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told that another start was let go."""

    async def story(stage: Stage) -> None:
        died = now()
        stage.scheduler.kill(ONE)
        Task(stage.scheduler, stage.task.name, TWO, "second")
        assert (await stage.carrying).reason == f"lost: the Dask worker {ONE} died"
        assert now() - died < 2.0
        assert {said.start for _, said in stage.task.heard() if isinstance(said, Go)} == {"first"}

    play(monkeypatch, story, ONE, TWO, after=after)


def test_a_start_that_dask_makes_once_its_run_is_lost_is_told_that_it_may_not_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else it would wait for an answer, and keep others from the worker."""

    async def story(stage: Stage) -> None:
        stage.scheduler.kill(ONE)
        await stage.carrying
        late = Task(stage.scheduler, stage.task.name, TWO, "second")
        assert isinstance(late.may(), Fence)

    play(monkeypatch, story, ONE, TWO)


def test_a_worker_of_which_only_the_scheduler_says_that_it_is_gone_may_go_on_until_its_lease_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its host does not answer: the network may be cut, and the function go on there."""

    async def story(stage: Stage) -> None:
        cut = now()
        stage.scheduler.hosts_answer = False
        stage.scheduler.kill(ONE)
        assert (await stage.carrying).reason == f"lost: the Dask worker {ONE} died"
        assert LATEST - 2.0 <= now() - cut <= LATEST + 2.0

    play(monkeypatch, story, after=7.0)


def test_a_worker_that_stands_still_loses_its_run_when_its_lease_is_over_and_not_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the slower of the two clocks; it is told that it has no right to go on, and started anew."""

    async def story(stage: Stage) -> None:
        frozen = now()
        ending = await stage.carrying
        assert ending.reason == f"lost: the Dask worker {ONE} has given no sign of life for 60 s"
        assert LATEST - 2.0 <= now() - frozen <= LATEST + 2.0 + 2.0
        assert stage.scheduler.restarted == [ONE]

    play(monkeypatch, story, after=7.0)


@MOMENTS
def test_a_task_is_told_to_stop_at_once_and_ends_the_run_as_soon_as_it_has(
    after: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled within a second, where the function listens."""

    async def story(stage: Stage) -> None:
        asked = now()
        stage.daemon.run.ask_to_stop("cancelled", asked)
        assert await stage.task.hears(Stop) - asked < 0.1
        stage.task.end(Ended(start="first", outcome="cancelled", reason="cancelled"))
        ending = await stage.carrying
        assert (ending.outcome, ending.reason) == ("cancelled", "cancelled")
        assert now() - asked < 1.0
        assert not stage.scheduler.restarted

    play(monkeypatch, story, after=after)


@pytest.mark.parametrize("reason", ["cancelled", "drain"])
def test_a_task_that_waits_for_a_worker_is_withdrawn_at_once_and_never_begins(
    reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a worker of the cluster nobody listens; people are told what it waits for."""

    async def story() -> None:
        scheduler, daemon = Scheduler(), Daemon()
        install(monkeypatch, {LAB.address: scheduler})
        carrying = asyncio.ensure_future(daemon.carry())
        await asyncio.sleep(10.0)
        assert daemon.notes() == ["waits for a worker of the cluster"]
        asked = now()
        daemon.run.ask_to_stop(reason, asked)
        assert (await carrying).reason == reason
        assert now() - asked < 1.0
        assert not scheduler.datasets
        assert isinstance((await scheduler.taken(ONE)).may(), Fence)

    virtually(story)


def test_the_next_bridge_finds_the_task_and_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """And has the result that came meanwhile."""

    async def story(stage: Stage) -> None:
        stage.carrying.cancel()  # as a bridge that is killed: it says nothing any more
        await asyncio.wait([stage.carrying])
        stage.task.end(Ended(start="first", result=RESULT))
        assert (await Daemon(run="j/2", number=2).carry()) == Ending("succeeded", RESULT)
        assert len(stage.scheduler.submitted) == 1
        assert not stage.scheduler.datasets  # and no trace is left there

    play(monkeypatch, story)


def test_the_next_bridge_of_a_run_that_is_older_than_the_log_finds_the_task_and_where_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A scheduler keeps a thousand messages, which are half an hour of signs of life."""

    async def story(stage: Stage) -> None:
        stage.carrying.cancel()
        await asyncio.wait([stage.carrying])
        carrying = asyncio.ensure_future(Daemon(run="j/2", number=2).carry())
        await stage.lives(10.0)
        assert not carrying.done()
        assert len(stage.scheduler.submitted) == 1
        assert not [said for _, said in stage.task.heard() if isinstance(said, Fence)]
        stage.scheduler.kill(ONE)
        died = now()
        assert (await carrying).reason == f"lost: the Dask worker {ONE} died"
        assert now() - died < 2.0

    play(monkeypatch, story, after=3000.0)


def test_the_next_bridge_leaves_a_task_alone_that_was_asked_to_stop_for_a_drain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It stops when it can go on from there, which may be never."""

    async def story(stage: Stage) -> None:
        stage.daemon.run.ask_to_stop("drain", now())
        await stage.task.hears(Stop)
        stage.carrying.cancel()
        await asyncio.wait([stage.carrying])
        carrying = asyncio.ensure_future(Daemon(run="j/2", number=2).carry())
        await stage.lives(10.0)
        stage.task.end(Ended(start="first", outcome="interrupted", reason="drain"))
        assert await carrying == Ending("interrupted", reason="drain")
        assert len(stage.scheduler.submitted) == 1

    play(monkeypatch, story)


def test_a_task_is_told_again_and_again_that_it_may_go_on_and_what_was_heard_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From that it knows how long its lease is; of a task that says nothing nothing is renewed."""

    async def story(stage: Stage) -> None:
        await asyncio.sleep(20.0)
        heard = [said.heard for at, said in stage.task.heard() if isinstance(said, Go) and at > now() - 15.0]
        assert len(heard) >= 6
        assert set(heard) == {1 + 5}  # its beginning, and its signs of life

    play(monkeypatch, story, after=10.0)


def test_a_scheduler_that_is_away_decides_nothing_and_its_task_is_found_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """People are told; the run is neither lost nor cancelled."""

    async def story(stage: Stage) -> None:
        stage.scheduler.leave()
        await asyncio.sleep(LAB.lost_after / 2)
        assert stage.daemon.notes() == ["the scheduler of dask:lab is away"]
        assert not stage.carrying.done()
        stage.scheduler.come_back()
        await stage.lives(10.0)
        stage.task.end(Ended(start="first", result=RESULT))
        assert await stage.carrying == Ending("succeeded", RESULT)

    play(monkeypatch, story)


@pytest.mark.parametrize("anew", [False, True])
def test_a_scheduler_that_stays_away_or_is_started_anew_loses_its_runs_when_their_leases_are_over(
    anew: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before: the task may go on as long."""

    async def story(stage: Stage) -> None:
        left = now()
        stage.scheduler.leave()
        if anew:
            stage.scheduler.come_back(knows_nothing=True)
        reason = (await stage.carrying).reason or ""
        assert reason.startswith("lost: the scheduler of dask:lab at tcp://lab:8786 ")
        assert ("knows nothing of the task" in reason) == anew
        assert LATEST - 2.0 <= now() - left <= LATEST + 2.0

    play(monkeypatch, story, after=7.0)


def test_two_clusters_at_once_have_nothing_to_do_with_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of one is nothing to the other's run."""

    async def story() -> None:
        lab, annex = Scheduler(ONE), Scheduler(TWO)
        install(monkeypatch, {"tcp://lab:8786": lab, "tcp://annex:8786": annex})
        here = asyncio.ensure_future(Daemon().carry())
        there = asyncio.ensure_future(Daemon(job="k", run="k/1").carry(Cluster(name="annex", address="tcp://annex:8786")))
        task, other = await lab.taken(ONE), await annex.taken(TWO)
        await task.hears(Go)
        await other.hears(Go)
        annex.kill(TWO)
        assert (await there).reason == f"lost: the Dask worker {TWO} died"
        task.end(Ended(start="first", result=RESULT))
        assert await here == Ending("succeeded", RESULT)

    virtually(story)
