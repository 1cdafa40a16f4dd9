"""SIGKILL at each system call on the way from a submit to the end of its run, for every process that takes part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from .injection import Point, Strace
from .scene import Scene, until
from .traced import need_strace
from .verdict import contradictions, untruths
from .victims import MISSING, VICTIMS, Victim, at, the_gate

TRIES = 3
# Of the long form: where a shim and the daemon record what happens, and where runs follow each other without a pause.
SHORT = ("shim", "gate thread of a shim", "spawner", "daemon", "database thread with six commands")


@pytest.fixture
def scene() -> Iterator[Scene]:
    need_strace()
    with Scene() as scene:
        yield scene


def attempt(scene: Scene, victim: Victim, point: Point | None = None) -> Strace:
    """Fails when anything is wrong afterwards. Whether the kill took place is for the caller to see."""
    scene.prepare(victim.work)
    with victim.aim(scene, victim.work, point) as (strace, ended):
        jobs = scene.see_end(ended)
    if strace.has_killed:
        until(lambda: strace.process_has_ended)
    scene.revive()
    problems = scene.leftovers(jobs)
    for job in jobs:
        if victim.work.missing:
            problems += untruths(job, scene.log, slot_killed=strace.has_killed)
        else:
            problems += contradictions(job, scene.log, leader_killed=victim.is_leader and strace.has_killed)
    assert not problems, f"{victim.name}, killed at {point}: {problems}"
    return strace


def path_of(scene: Scene, victim: Victim) -> Counter[str]:
    """How often each call is made at least, in three passes of which the first warms caches."""
    passes = [Counter(attempt(scene, victim).calls) for _ in range(3)]
    return passes[1] & passes[2]


def walk(scene: Scene, victim: Victim, points: Sequence[Point]) -> str:
    """Kill at each of the points; in words how many there were. Hardly any may be out of reach."""
    missed = [point for point in points if not any(attempt(scene, victim, point).has_killed for _ in range(TRIES))]
    words = in_words(victim, len(points) - len(missed), missed)
    assert len(missed) <= 1 + len(points) // 10, words
    return words


def short_walk(scene: Scene, victim: Victim, calls: Counter[str]) -> str:
    """Kill at one call of each kind: the last one in half of the kinds, the one in the middle in the other half."""
    kinds = sorted(calls)
    points = [Point(call, calls[call] if index % 2 else (calls[call] + 1) // 2) for index, call in enumerate(kinds)]
    missed = [point for point in points if not kill_near(scene, victim, point)]
    words = in_words(victim, len(points) - len(missed), missed)
    assert len(missed) <= len(points) // 3, words
    return words


def kill_near(scene: Scene, victim: Victim, point: Point) -> bool:
    """Whether a kill took place at that call, or at an earlier one of its kind where that one was not made.

    How often some calls are made, such as futex() and a cleaner's unlink(), is not the same in each pass.
    """
    for _ in range(TRIES):
        strace = attempt(scene, victim, point)
        if strace.has_killed:
            return True
        point = Point(point.call, max(1, min(point.number - 1, strace.calls.count(point.call))))
    return False


def in_words(victim: Victim, killed: int, missed: Sequence[Point]) -> str:
    words = f"{victim.name}: killed at {killed} of {killed + len(missed)} system calls"
    return f"{words}; not come to {', '.join(map(str, missed))}" if missed else words


@pytest.mark.parametrize("victim", [each for each in VICTIMS if each.name in SHORT], ids=lambda victim: victim.name)
def test_a_kill_at_one_system_call_of_each_kind(
    scene: Scene, victim: Victim, capsys: pytest.CaptureFixture[str]
) -> None:
    """The short form of the next one."""
    words = short_walk(scene, victim, path_of(scene, victim))
    with capsys.disabled():
        print(f"\n{words}")


def test_no_exit_code_is_told_of_a_command_that_exec_has_refused(scene: Scene) -> None:
    """Its child has ended with 127 by itself, and the slot is killed where it would collect it, and then say why."""
    victim = Victim("gate thread for a command that is missing", MISSING, at(the_gate))
    points = [Point(call, 1) for call in ("wait4", "waitid")]  # the C library's choice: the latter since glibc 2.39
    assert any(attempt(scene, victim, point).has_killed for _ in range(TRIES) for point in points)
    newest = next(iter(scene.client.jobs(limit=1)))
    (*_, run) = scene.client.job(newest.id).info().runs
    assert (run.outcome, run.exit_code) == ("failed", None)
    assert "cannot be executed" in (run.reason or "")


@pytest.mark.long
@pytest.mark.parametrize("victim", VICTIMS, ids=lambda victim: victim.name)
def test_a_kill_at_any_system_call(scene: Scene, victim: Victim, capsys: pytest.CaptureFixture[str]) -> None:
    """One start at most, and a true end: the daemon tells of each run what its start log shows, and nothing is left."""
    calls = path_of(scene, victim)
    words = walk(scene, victim, [Point(call, number) for call in calls for number in range(1, calls[call] + 1)])
    with capsys.disabled():
        print(f"\n{words}")
