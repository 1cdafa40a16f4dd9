"""Three signals, three verdicts: pure decisions over what is known of a run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobkeep.protocol.jobs import Progress
from jobkeepd.core.liveness import Limits, Look, ProcessState, Signs, judge, why_fence
from jobkeepd.core.wording import in_words, progress_in_words

LIMITS = Limits(late_after=30.0, stall_after=600.0)
TTL = 60.0
TIMES = st.floats(0, 1e6)
STATES: list[ProcessState | None] = ["running", "stopped", "frozen", None]


def function(**known: object) -> Signs:
    return Signs(Progress(), beats=True, **known)  # type: ignore[arg-type]


def test_a_run_that_beats_and_moves_is_well() -> None:
    """The age of its heartbeat is told, and nothing else."""
    signs = function(since=0.0, beat_at=95.0, ticked_at=95.0, moved_at=90.0)
    live = judge(signs, LIMITS, 100.0)
    assert (live.health, live.heartbeat_age, live.stuck_for, live.reason) == ("ok", 5.0, None, None)


@pytest.mark.parametrize(
    ("process", "words"),
    [
        ("running", "runs, but in code that lets none of its other threads run"),
        ("stopped", "is stopped"),
        ("frozen", "is frozen"),
        (None, "nobody can tell"),
    ],
)
def test_a_silent_function_is_late_for_what_the_kernel_says_of_it(process: ProcessState | None, words: str) -> None:
    """Stuck for as long as it has been silent."""
    live = judge(function(beat_at=100.0, moved_at=100.0, look=Look(process)), LIMITS, 140.0)
    assert (live.health, live.stuck_for) == ("late", 40.0)
    assert live.reason is not None
    assert live.reason.startswith("no heartbeat for 40 s: ")
    assert words in live.reason


def test_a_function_that_never_beat_is_late_from_its_start_on() -> None:
    """It may have been stopped before its first beat."""
    assert judge(function(since=100.0), LIMITS, 129.0).health == "ok"
    live = judge(function(since=100.0), LIMITS, 131.0)
    assert (live.health, live.heartbeat_age) == ("late", None)


def test_a_daemon_that_has_taken_a_run_over_counts_its_silence_from_then_on() -> None:
    """Before that nobody listened."""
    assert judge(function(since=1000.0, beat_at=10.0), LIMITS, 1020.0).health == "ok"


def test_a_blocked_loop_is_told_from_a_silent_process() -> None:
    """Its beats come, and count no more turns."""
    signs = function(beat_at=139.0, ticks=7, ticked_at=100.0, moved_at=100.0)
    live = judge(signs, LIMITS, 140.0)
    assert (live.health, live.heartbeat_age, live.stuck_for) == ("late", 1.0, 40.0)
    assert live.reason == "its event loop has been blocked for 40 s: its process lives, and beats"


def test_beats_with_the_same_count_of_turns_do_not_look_like_turns() -> None:
    """And a plain function, which has no loop, is never blocked."""
    signs = function()
    for now, ticks in ((10.0, 1), (15.0, 2), (20.0, 2), (25.0, 2)):
        signs.beat(ticks, now)
    assert (signs.beat_at, signs.blocked_for(25.0)) == (25.0, 10.0)
    plain = function()
    plain.beat(None, 10.0)
    assert plain.blocked_for(1000.0) is None


def test_a_run_that_does_not_move_is_stalled_although_it_beats() -> None:
    """Stalled weighs more than late; its reason tells both."""
    assert judge(function(beat_at=700.0, moved_at=100.0), LIMITS, 699.9).health == "ok"
    assert judge(function(beat_at=700.0, moved_at=100.0), LIMITS, 700.0).reason == "no progress for 10 min"
    live = judge(function(beat_at=100.0, moved_at=100.0, look=Look("stopped")), LIMITS, 800.0)
    assert live.health == "stalled"
    assert live.reason is not None
    assert live.reason.startswith("no progress for 11 min; no heartbeat for 11 min: its process is stopped")


def test_only_something_new_is_progress() -> None:
    """A report that repeats itself is a sign of life, and moves nothing; a checkpoint counts once."""
    signs = function()
    signs.tell(Progress(3, 10), 10.0)
    signs.tell(Progress(3, 10), 20.0)
    assert (signs.beat_at, signs.moved_at, signs.unsaved) == (20.0, 10.0, True)
    signs.reach(1, Progress(3, 10), 30.0)
    signs.reach(1, Progress(3, 10), 40.0)
    assert (signs.beat_at, signs.moved_at, signs.unsaved) == (40.0, 30.0, False)


def test_a_command_is_never_late_and_its_output_is_its_progress() -> None:
    """Its life is its process."""
    signs = Signs(Progress(), since=0.0)
    assert judge(signs, Limits(30.0), 1e6).health == "ok"
    signs.see(Look("running", 100), 500.0)
    signs.see(Look("running", 100), 900.0)
    assert judge(signs, LIMITS, 1099.0).health == "ok"
    assert judge(signs, LIMITS, 1100.0).health == "stalled"


def test_the_output_of_a_function_is_no_progress() -> None:
    """It has better ways to show some."""
    signs = function(beat_at=700.0)
    signs.see(Look("running", 100), 500.0)
    assert signs.moved_at == 0.0


@given(beat=TIMES, since=TIMES, now=TIMES, process=st.sampled_from(STATES))
def test_only_a_silent_process_that_the_kernel_has_stopped_is_fenced(
    beat: float, since: float, now: float, process: ProcessState | None
) -> None:
    """Never one that runs, however long it is silent, nor one that nobody can see."""
    silence = now - max(beat, since)
    why = why_fence(function(beat_at=beat, since=since, look=Look(process)), TTL, now)
    assert (why is not None) == (silence >= TTL and process in ("stopped", "frozen"))
    assert why is None or (in_words(silence) in why and f"its process is {process}" in why)
    assert not why_fence(Signs(Progress(), since=since, look=Look(process)), TTL, now)  # a command says nothing


@given(
    since=TIMES,
    moved=TIMES,
    beat=st.none() | TIMES,
    ticked=st.none() | TIMES,
    now=TIMES,
    stall=st.none() | st.floats(1, 1e5),
    process=st.sampled_from(STATES),
)
def test_health_and_its_reason_go_together(
    since: float,
    moved: float,
    beat: float | None,
    ticked: float | None,
    now: float,
    stall: float | None,
    process: ProcessState | None,
) -> None:
    """A reason for everything that is not ok, and stalled exactly when nothing has moved for the limit."""
    signs = function(since=since, moved_at=moved, beat_at=beat, ticked_at=ticked, look=Look(process))
    live = judge(signs, Limits(30.0, stall), now)
    assert (live.reason is None) == (live.stuck_for is None) == (live.health == "ok")
    assert (live.health == "stalled") == (stall is not None and now - max(since, moved) >= stall)


def test_progress_is_said_with_its_total_where_there_is_one() -> None:
    """And not at all before there is any."""
    said = [progress_in_words(progress) for progress in (Progress(228, 313), Progress(228), Progress(), Progress(0, 5))]
    assert said == ["228/313", "228", None, "0/5"]
