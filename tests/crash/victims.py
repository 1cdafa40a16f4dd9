"""Who is killed on the way of a job from its submit to its end, and how strace gets hold of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager

from msgspec import Struct

from jobkeep.protocol.jobs import Job

from .injection import Point, Strace
from .judges import children_of, parent_of
from .scene import Scene, Work, other_threads, until

Aimed = tuple[Strace, Future[list[Job]]]
Aim = Callable[[Scene, Work, Point | None], AbstractContextManager[Aimed]]


class Victim(Struct, frozen=True):
    """A thread, whose whole process dies with it, at work for a job."""

    name: str
    work: Work
    aim: Aim  # attaches to the thread and submits the job
    is_leader: bool = False  # of a run: it cannot end well then


def at(find: Callable[[Scene], int]) -> Aim:
    """A thread that is there before the job is submitted."""

    @contextmanager
    def aim(scene: Scene, work: Work, kill: Point | None) -> Iterator[Aimed]:
        with Strace(find(scene), scene.trace, kill=kill) as strace:
            yield strace, scene.submit(work)

    return aim


def at_child(parent: Callable[[Scene], int], first: str) -> Aim:
    """A process that is forked for the job. It is stopped at its first call, of which its parent makes none."""

    @contextmanager
    def aim(scene: Scene, work: Work, kill: Point | None) -> Iterator[Aimed]:
        with Strace(parent(scene), scene.trace, follow=True, stop=first) as trap:
            ended = scene.submit(work)
            until(lambda: trap.stopped is not None)
            child = trap.stopped
        assert child is not None
        with Strace(child, scene.trace, kill=kill) as strace:
            os.kill(child, signal.SIGCONT)
            yield strace, ended

    return aim


def the_spawner(scene: Scene) -> int:
    until(lambda: scene.spawner is not None)
    assert scene.spawner is not None
    return scene.spawner


def the_shim(scene: Scene) -> int:
    (pid,) = scene.shims
    return pid


def the_warden(scene: Scene) -> int:
    return parent_of(the_shim(scene))


def the_zygote(scene: Scene) -> int:
    """The process under the spawner that has no session of its own, as slots have."""
    spawner = the_spawner(scene)
    found = [pid for pid in children_of(spawner) if os.getsid(pid) == spawner]
    if not found:  # it was killed, and there is another one when the next slot is made
        scene.prepare(COMMAND)
        scene.prepare(COLD_COMMAND)
        return the_zygote(scene)
    return found[0]


def the_gate(scene: Scene) -> int:
    """The thread of the shim that calls posix_spawn."""
    (tid,) = other_threads(the_shim(scene))
    return tid


def the_worker(scene: Scene) -> int:
    (pid,) = scene.workers
    return pid


COMMAND, COLD_COMMAND, COMMANDS = Work(), Work(cold=True), Work(jobs=6)
LASTING, MISSING = Work(lasting=True), Work(missing=True)
FUNCTION, COLD_FUNCTION, FUNCTIONS = Work(function=True), Work(function=True, cold=True), Work(function=True, jobs=6)

NEWBORN = at_child(the_zygote, "getppid")
LEADER = at_child(the_shim, "rt_sigaction")
DAEMON = at(lambda scene: scene.daemon)
DATABASE = at(lambda scene: scene.database)

VICTIMS = [
    Victim("shim", COMMAND, at(the_shim)),
    Victim("gate thread of a shim", COMMAND, at(the_gate)),
    Victim("leader before its exec", COMMAND, LEADER, is_leader=True),
    Victim("shim of a command that is missing", MISSING, at(the_shim)),
    Victim("gate thread for a command that is missing", MISSING, at(the_gate)),
    Victim("shim of a run that lasts", LASTING, at(the_shim)),
    Victim("warden of a run that lasts", LASTING, at(the_warden)),
    Victim("zygote", COLD_COMMAND, at(the_zygote)),
    Victim("newborn between zygote and slot", COLD_COMMAND, at_child(the_zygote, "set_robust_list")),
    Victim("newborn warden", COLD_COMMAND, at_child(the_zygote, "setsid")),
    Victim("newborn shim", COLD_COMMAND, NEWBORN),
    Victim("newborn shim of a worker", COLD_FUNCTION, NEWBORN),
    Victim("worker", FUNCTION, at(the_worker), is_leader=True),
    Victim("spawner", COLD_COMMAND, at(the_spawner)),
    Victim("spawner for a worker", COLD_FUNCTION, at(the_spawner)),
    Victim("daemon", COMMAND, DAEMON),
    Victim("daemon, cold", COLD_COMMAND, DAEMON),
    Victim("daemon with six commands", COMMANDS, DAEMON),
    Victim("daemon with a function", FUNCTION, DAEMON),
    Victim("daemon with a function, cold", COLD_FUNCTION, DAEMON),
    Victim("daemon with six functions", FUNCTIONS, DAEMON),
    Victim("database thread", COMMAND, DATABASE),
    Victim("database thread with six commands", COMMANDS, DATABASE),
    Victim("database thread with a function", FUNCTION, DATABASE),
    Victim("database thread with six functions", FUNCTIONS, DATABASE),
]
