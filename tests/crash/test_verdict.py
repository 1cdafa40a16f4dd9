"""The verdict of torture can fail: each violation that it is to find is planted once, into evidence without any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crash.honest import NOON, World, honest_world
from crash.torture.evidence import JobSeen, Started
from crash.torture.verdict import violations


@pytest.fixture
def world() -> World:
    return honest_world()


def test_honest_evidence_has_no_violation(world: World) -> None:
    """Kills, losses and second runs are no violations by themselves."""
    assert violations(world.seen) == []


def test_who_was_killed_before_it_wrote_its_pid_is_known_by_its_slot(world: World) -> None:
    """The file of its start is there, and empty."""
    world.seen.starts["victim", 1] = Started(0, NOON)
    world.seen.outputs["victim", 1, "stdout"] = world.seen.outputs["victim", 1, "stderr"] = b""
    assert violations(world.seen) == []


@pytest.mark.parametrize("others", [True, False])
def test_an_orphan_is_out_of_reach_of_a_spawner_that_died_later_only_if_it_could_be_several_slots(
    world: World, others: bool
) -> None:
    """It was spared while one of them had a leader, and its environment says nothing."""
    for note in world.seen.kills:
        if note.get("slot") == "slot-bare":
            note["spawner"] = 20
    world.kill("spawner", pid=20)
    world.seen.kills[-1]["struck_at"] += 100
    if others:
        world.kill("shim", pid=21, slot="of a worker", spawner=20)
    found = [each for each in violations(world.seen) if each.startswith("processes")]
    assert len(found) == (0 if others else 2)


def job_of(world: World, id: str) -> tuple[int, JobSeen]:
    return next((place, job) for place, job in enumerate(world.seen.jobs) if job.id == id)


def change_job(id: str, **changes: Any) -> Callable[[World], None]:
    def plant(world: World) -> None:
        place, job = job_of(world, id)
        world.seen.jobs[place] = job._replace(**changes)

    return plant


def change_run(id: str, number: int = 1, **changes: Any) -> Callable[[World], None]:
    """Also what the client was told, and the journal's outcome."""

    def plant(world: World) -> None:
        place, job = job_of(world, id)
        runs = tuple(run._replace(**changes) if run.number == number else run for run in job.runs)
        world.seen.jobs[place] = job._replace(runs=runs)

    return plant


def keep_child_of(id: str) -> Callable[[World], None]:
    def plant(world: World) -> None:
        world.seen.survivors[7] = f"sh -c sleep /tmp/home/left.{job_of(world, id)[1].label}"

    return plant


def keep_child_till_the_end(world: World) -> None:
    world.seen.left_behind[7] = f"sh -c sleep /tmp/home/left.{job_of(world, 'lost')[1].label}"


def fail_in_journal(world: World) -> None:
    place = next(place for place, event in enumerate(world.seen.events) if event.kind == "succeeded")
    world.seen.events[place] = world.seen.events[place]._replace(kind="failed")


def without(world: World, kind: str, job: str) -> None:
    """The journal without that event, numbered as if it had never been."""
    kept = [event for event in world.seen.events if (event.kind, event.job) != (kind, job)]
    world.seen.events = [event._replace(seq=number) for number, event in enumerate(kept, 1)]


def set_to(field: str, value: Any) -> Callable[[World], None]:
    return lambda world: setattr(world.seen, field, value)


def lose_job(world: World) -> None:
    del world.seen.jobs[job_of(world, "good")[0]]


def double_job(world: World) -> None:
    world.seen.jobs.append(job_of(world, "good")[1]._replace(id="again"))


def start_unknown(world: World) -> None:
    world.seen.starts["good", 2] = Started(7, NOON)


def start_denied(world: World) -> None:
    world.seen.starts["echo", 1] = Started(7, NOON)


def skip_item(world: World) -> None:
    world.seen.items["batch"] = [entry for entry in world.seen.items["batch"] if entry[1] != 5]


def repeat_items(world: World) -> None:
    world.seen.items["batch"] += [(2, item) for item in range(8)]


def cut_output(world: World) -> None:
    world.seen.outputs["good", 1, "stdout"] = world.seen.outputs["good", 1, "stdout"][:-1]


def mix_output(world: World) -> None:
    world.seen.outputs["deaf", 1, "stdout"] = world.seen.outputs["good", 1, "stdout"]


def give_output(world: World) -> None:
    world.seen.outputs["echo", 1, "stdout"] = world.seen.outputs["echo", 2, "stdout"]


def drop_output(world: World) -> None:
    del world.seen.outputs["good", 1, "stderr"]


def drop_event(kind: str, job: str) -> Callable[[World], None]:
    return lambda world: without(world, kind, job)


def gap(world: World) -> None:
    world.seen.events = [event for event in world.seen.events if event.seq != 4]


def spare(target: str) -> Callable[[World], None]:
    def plant(world: World) -> None:
        world.seen.kills = [note for note in world.seen.kills if note["target"] != target]

    return plant


def signal_whom(world: World) -> None:
    place = next(place for place, event in enumerate(world.seen.events) if event.kind == "signalled")
    world.seen.events[place] = world.seen.events[place]._replace(data={"evidence": ["record"]})


def tell_otherwise(world: World) -> None:
    (told,) = [note for note in world.seen.acks if note["note"] == "told" and note["id"] == "bad"]
    told.update(state="succeeded", exit_code=0)


def answer_otherwise(world: World) -> None:
    world.seen.asked_again[0] = (world.seen.asked_again[0][0], ["other"])


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (lose_job, "was acknowledged, and is lost"),
        (double_job, "is 2 jobs"),
        (change_job("good", label="0.9999.0"), "nobody has submitted"),
        (answer_otherwise, "when asked again"),
        (set_to("doubles", ["mark again.good.1.77 was left"]), "again.good.1.77"),
        (start_unknown, "has started, and nobody knows of it"),
        (start_denied, "it has started, whatever is on record"),
        (change_run("bad", exit_code=8), "an exit code that it has not ended with"),
        (change_run("self", exit_code=137, signal=None), "an exit code that it has not ended with"),
        (change_run("lost", exit_code=0), "an exit code that it has not ended with"),
        (change_run("echo", 2, exit_code=0), "an exit code that it has not ended with"),
        (change_run("refused", outcome="failed", exit_code=127), "an exit code that it has not ended with"),
        (change_run("bad", exit_code=None, signal=9), "nobody has sent it that signal"),
        (change_run("bad", exit_code=None), "it could be started"),
        (change_run("good", outcome="lost", exit_code=None), "its shim or the spawner lived"),
        (change_run("good", outcome="cancelled"), "nobody wanted it to stop"),
        (change_run("good", outcome="interrupted", exit_code=None), "nobody wanted it to start again"),
        (change_run("echo", 2, outcome="failed", reason="KeyError"), "it has not failed in this way"),
        (spare("worker"), "nobody has killed its worker"),
        (spare("command"), "nobody has sent it that signal"),
        (spare("shim"), "its shim or the spawner lived"),
        (spare("spawner"), "its shim or the spawner lived"),
        (cut_output, "stdout of run good.1 has"),
        (mix_output, "stdout of run deaf.1 has"),
        (give_output, "run echo.1 never began, and has written to stdout"),
        (drop_output, "stderr of run good.1 is gone"),
        (skip_item, "skipped the items [5]"),
        (repeat_items, "repeated 11 items in 2 runs, 7 at most"),
        (change_job("batch", tallies={"even": 1}, done=1, failed_items=0), "those of an uninterrupted pass"),
        (set_to("results", {}), "the result of job batch are None"),
        (change_job("batch", done=3), "has done 3 items"),
        (tell_otherwise, "had succeeded, and is failed"),
        (drop_event("cancel_requested", "deaf"), "the journal has 0"),
        (signal_whom, "nothing proves whom it was for"),
        (gap, "the journal goes on from 3 with 5"),
        (drop_event("started", "bad"), "the journal does not say so"),
        (drop_event("ended", "bad"), "no run has ended"),
        (drop_event("retry", "batch"), "had no consequence"),
        (drop_event("due", "batch"), "the job is scheduled"),
        (fail_in_journal, "the run's outcome was succeeded"),
        (change_job("good", state="running"), "the journal leads job good to succeeded"),
        (set_to("stuck", ["job x is cancelling"]), "job x is cancelling"),
        (set_to("unended", ["job x is running"]), "job x is running"),
        (keep_child_of("lost"), "process 7 belongs to nobody"),
        (keep_child_of("good"), "process 7 belongs to nobody"),
        (set_to("survivors", {7: "sleep 600"}), "process 7 belongs to nobody: sleep 600"),
        (set_to("left_behind", {7: "sleep 600"}), "process 7 has outlived the daemon"),
        (keep_child_till_the_end, "process 7 has outlived the daemon"),
        (set_to("leftovers", ["a file was left behind"]), "a file was left behind"),
        (set_to("integrity", ["the database: row 3 missing"]), "row 3 missing"),
        (set_to("wrong", ["the daemon ended by itself"]), "ended by itself"),
    ],
)
def test_a_planted_violation_is_found(world: World, plant: Callable[[World], None], found: str) -> None:
    """And named."""
    plant(world)
    assert any(found in each for each in violations(world.seen)), violations(world.seen)
