"""What an open of a session does next."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jobkeep.protocol.jobs import JobSpec
from jobkeepd.core.model import Identity, Job, Moment, Run
from jobkeepd.core.sessions import (
    TRIES,
    Probe,
    Seen,
    Step,
    Terms,
    age_of,
    decide_open,
    process_of,
    state_of,
)

TERMS = Terms(start_timeout=30.0, end_timeout=20.0, max_age=0.0)
READY = Seen(process="alive", age=100.0, was_ready=True)
FRESH = Seen(process="alive", age=1.0, starts=1)

seconds = st.floats(0, 100)
anything = st.builds(
    Seen,
    process=st.sampled_from(["none", "starting", "alive", "ending"]),
    age=seconds,
    waited=seconds,
    was_ready=st.booleans(),
    complaint=st.none() | st.sampled_from(["", "no answer"]),
    failures=st.integers(0, 3),
    changed=st.booleans(),
    starts=st.integers(0, 2),
    last=st.sampled_from(["", "exit code 3"]),
)
terms = st.builds(Terms, st.floats(0.1, 60), st.floats(0.1, 60), st.sampled_from([0.0, 50.0]))


def do(seen: Seen, terms: Terms = TERMS) -> str:
    return decide_open(seen, terms).do


@given(anything, terms)
def test_only_what_is_alive_and_well_is_handed_out(seen: Seen, terms: Terms) -> None:
    """And only after it was asked."""
    if do(seen, terms) == "hand_out":
        assert (seen.process, seen.complaint) == ("alive", "")


@given(anything, terms)
def test_a_process_is_started_only_where_nothing_is_left_of_another_and_once(seen: Seen, terms: Terms) -> None:
    """Never a second one beside it, and never again for the same opener."""
    if do(seen, terms) == "start":
        assert (seen.process, seen.starts) == ("none", 0)


@given(anything, terms)
def test_whatever_is_ended_or_refused_is_so_for_a_reason(seen: Seen, terms: Terms) -> None:
    """Which the caller and the journal are told."""
    step = decide_open(seen, terms)
    assert bool(step.reason) == (step.do in ("end", "fail"))


@given(anything, terms)
def test_no_wait_is_without_end(seen: Seen, terms: Terms) -> None:
    """With time alone each of them turns into something else, as soon as the check has been tried often enough."""
    later = replace(seen, age=1000.0, waited=1000.0, failures=TRIES, complaint=seen.complaint)
    assert do(later, terms) != "wait"


def opened(answers: list[tuple[str, str]], seen: Seen) -> tuple[list[str], Step]:
    """An opener's way: (what is there after each step, what a check says); the last one holds for ever."""
    steps: list[str] = []
    for number in range(1000):
        process, complaint = answers[min(number, len(answers) - 1)]
        if steps and steps[-1] == "end":
            process = "none"
        seen = replace(seen, process=process, age=seen.age + 1, waited=seen.waited + 1, complaint=None)
        step = decide_open(seen, TERMS)
        if step.do == "check":
            failures = seen.failures + 1 if complaint else 0
            seen = replace(seen, complaint=complaint, failures=failures, was_ready=seen.was_ready or not complaint)
            step = decide_open(seen, TERMS)
        steps.append(step.do)
        if step.do == "start":
            seen = replace(seen, starts=seen.starts + 1, age=0.0, waited=0.0, failures=0, was_ready=False, last="")
        elif step.do == "end":
            seen = replace(seen, last=step.reason, waited=0.0)
        elif step.do in ("hand_out", "fail"):
            return steps, step
    raise AssertionError("it never came to an end")


stories = st.lists(
    st.tuples(st.sampled_from(["none", "starting", "alive", "ending"]), st.sampled_from(["", "no answer"])),
    min_size=1,
    max_size=40,
)


@given(stories, st.booleans(), st.booleans())
def test_whatever_happens_an_open_comes_to_an_end_with_one_start_at_most(
    story: list[tuple[str, str]], was_ready: bool, changed: bool
) -> None:
    """It is handed out, or the opener is told why not."""
    steps, last = opened(story, Seen(process="none", was_ready=was_ready, changed=changed))
    assert steps.count("start") <= 1
    assert last.do == "hand_out" or last.reason


def test_a_healthy_one_is_handed_out_as_it_is() -> None:
    """Nothing is started, nothing ended."""
    assert opened([("alive", "")], READY) == (["hand_out"], Step("hand_out"))


def test_a_dead_one_is_replaced_without_the_opener_noticing() -> None:
    """What is left of it first; then another one, which is waited for."""
    story = [("ending", ""), ("none", ""), ("starting", ""), ("alive", "not yet"), ("alive", "")]
    assert opened(story, READY)[0] == ["wait", "start", "wait", "wait", "hand_out"]


def test_one_that_fails_its_check_is_asked_again_and_then_replaced() -> None:
    """A single answer that gets lost is no death."""
    assert do(replace(READY, complaint="no answer", failures=1)) == "wait"
    step = decide_open(replace(READY, complaint="no answer", failures=TRIES), TERMS)
    assert step == Step("end", "it is not healthy: no answer")
    assert opened([("alive", "x"), ("alive", "x"), ("none", ""), ("alive", "")], READY)[0] == [
        "wait", "end", "start", "hand_out",
    ]  # fmt: skip


def test_one_that_never_becomes_ready_is_ended_and_refused() -> None:
    """After start_timeout, with what the check said last."""
    assert do(replace(FRESH, complaint="no answer", age=29.0, failures=9)) == "wait"
    steps, step = opened([("none", ""), ("alive", "no answer")], Seen(process="none"))
    assert steps[0] == "start"
    assert steps[-2:] == ["end", "fail"]
    assert step.reason == "it did not become ready within 30 s: no answer"


def test_one_that_ends_at_once_is_refused_with_how_it_ended() -> None:
    """And not started again and again."""
    seen = Seen(process="none", starts=1, last="it ended before it was ready: exit code 3")
    assert decide_open(seen, TERMS) == Step("fail", "it ended before it was ready: exit code 3")


def test_what_does_not_end_is_told_and_nothing_started_beside_it() -> None:
    """A process in uninterruptible sleep."""
    assert do(Seen(process="ending", waited=19.0)) == "wait"
    assert decide_open(Seen(process="ending", waited=20.0), TERMS).do == "fail"


@pytest.mark.parametrize("stale", [{"changed": True}, {"age": 50.0}])
def test_one_that_is_too_old_or_of_another_configuration_is_replaced(stale: dict[str, Any]) -> None:
    """At an open, when nobody uses it; one that was started for this very open is taken as it is."""
    aged = Terms(30.0, 20.0, max_age=50.0)
    assert do(replace(READY, **{"age": 1.0, **stale}), aged) == "end"
    assert do(replace(READY, **{"age": 1.0, **stale, "starts": 1}), aged) == "check"


def job(state: Any = "running", stop: str | None = None, run_state: Any = "running") -> Job:
    run = Run(
        number=1, fence=1, state=run_state, seat="s", epoch=1, cookie="c", claimed_at=1.0,
        began=Moment("b", 10.0), identity=Identity("b", 7, 70),
    )  # fmt: skip
    spec = JobSpec(command=["x"], key="session:a", queue="sessions")
    return Job(seq=1, id="j", spec=spec, environment=None, owner=0, state=state, created_at=1.0, run=run, stop=stop)


@pytest.mark.parametrize(
    ("found", "leader_alive", "process"),
    [
        (None, None, "none"),
        (job("queued", run_state="starting"), None, "starting"),
        (replace(job("queued"), run=None), None, "starting"),
        (job(), True, "alive"),
        (job(), None, "alive"),
        (job(), False, "ending"),
        (job("cancelling", "cancelled"), True, "ending"),
        (job(stop="restart"), True, "ending"),
    ],
)
def test_the_process_is_what_job_and_kernel_say(found: Job | None, leader_alive: bool | None, process: str) -> None:
    """With its leader dead it is on its way out, however much of it is left."""
    assert process_of(found, leader_alive) == process


def test_age_counts_from_the_start_in_the_clock_of_the_same_boot() -> None:
    """Another boot's clock says nothing."""
    assert age_of(job(), Moment("b", 25.0)) == 15.0
    assert age_of(job(), Moment("other", 25.0)) == age_of(None, Moment("b", 25.0)) == 0.0


def test_states_are_what_people_expect() -> None:
    """In use only while it lives."""
    usual = {"in_use": True, "was_ready": True, "ended_by_itself": True}
    assert state_of("alive", **usual) == "in_use"
    assert state_of("alive", **usual | {"in_use": False}) == "ready"
    assert state_of("alive", **usual | {"was_ready": False}) == "starting"
    assert state_of("ending", **usual) == state_of("none", **usual) == "dead"
    assert state_of("none", **usual | {"ended_by_itself": False}) == "closed"


def test_a_probe_reads_like_what_it_does() -> None:
    """In errors and in the log."""
    assert Probe(tcp="127.0.0.1:9").words == "tcp 127.0.0.1:9"
    assert Probe(command=("test", "-e", "x")).words == "command test -e x"
