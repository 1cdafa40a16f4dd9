"""Why a job does not run or move, in sentences."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from jobkeep.protocol.jobs import JobSpec, Progress
from jobkeepd.core.explain import Facts, Parents, explain
from jobkeepd.core.lease import ClientHolder, Lock, RunHolder
from jobkeepd.core.lifecycle import STATES
from jobkeepd.core.model import Identity, Job, Peer, Run, Usage
from jobkeepd.core.queueing import Control, Deed

NOW = 1000.0


def job(state: Any = "queued", **facts: Any) -> Job:
    spec = JobSpec(**{"command": ["true"], **facts.pop("spec", {})})
    return Job(seq=1, id="j1", spec=spec, environment=None, owner=0, state=state, created_at=0.0, **facts)


def run(state: Any = "running", **facts: Any) -> Run:
    return Run(number=3, fence=1, state=state, seat="s1", epoch=1, cookie="c", claimed_at=NOW - 90, **facts)


def said(job: Job, **facts: Any) -> list[str]:
    return [reason.text for reason in explain(job, Facts(now=NOW, **{"limit": 2, **facts}))]


def test_a_full_queue_says_how_full_and_who_goes_first() -> None:
    """Limit and place in line."""
    assert said(job(), running=2, ahead=5) == [
        "queue default runs 2 of at most 2 jobs",
        "5 queued jobs go first, by priority, age and turns",
    ]


def test_a_reason_names_what_it_is_about() -> None:
    """A program need not read it out of the sentence."""
    lock = Lock(name="crm", token=4, holder=RunHolder("j9", 2), acquired_at=NOW - 720)
    paused = Control(name="default", paused=Deed(Peer(7, 7, 1), NOW - 5))
    told = [
        *explain(job(), Facts(now=NOW, limit=2, running=2)),
        *explain(job(run=run("starting")), Facts(now=NOW, limit=2, running=2)),
        *explain(job(), Facts(now=NOW, limit=2, control=paused)),
        *explain(job(spec={"lock": "crm"}, blocked="lock"), Facts(now=NOW, limit=2, lock=lock)),
        *explain(job(spec={"key": "k"}, blocked="key"), Facts(now=NOW, limit=2, rival=job("running"))),
        *explain(job(blocked="after"), Facts(now=NOW, limit=2, parents=Parents(1, (job("running"),)))),
        *explain(job("succeeded"), Facts(now=NOW)),
    ]
    assert [(reason.kind, reason.name) for reason in told] == [
        ("limit", "default"), ("limit", "default"), ("paused", "default"), ("lock", "crm"), ("key", "j1"),
        ("after", "j1"), ("outcome", None),
    ]  # fmt: skip


def test_a_job_that_is_claimed_ahead_is_among_the_next() -> None:
    """While its queue is full that is what it waits for; else it is about to start, and nothing keeps it."""
    claimed = job(run=run("starting"))
    assert said(claimed, running=2, ahead=5) == [
        "it is among the next of queue default, which runs 2 of at most 2 jobs",
    ]
    assert said(claimed, running=1) == ["its start on seat s1 is on the way"]


def test_a_fenced_run_says_so_and_what_is_waited_for() -> None:
    """It may be stopped for days."""
    told = said(job("running", run=run(fenced="no heartbeat for 1 min: its process is stopped")))
    assert told[1].startswith("it is fenced (no heartbeat for 1 min: its process is stopped): what it writes is")


def test_a_failed_job_of_steps_says_behind_which_it_would_go_on() -> None:
    """Their results are stored."""
    told = said(job("failed", run=run("ended", steps=2), reason="exit code 1"))
    assert told[1] == "resume goes on behind step 2: their results are stored"


def test_a_job_that_nothing_keeps_is_about_to_start() -> None:
    """There is always an answer."""
    assert said(job()) == ["nothing keeps it: it is about to start"]


@pytest.mark.parametrize(
    ("holder", "who"),
    [(RunHolder("j9", 2), "run 2 of job j9"), (ClientHolder("l", 7, Identity("b", 42, 1)), "process 42 of user 7")],
)
def test_a_lock_says_who_has_it_and_since_when(holder: Any, who: str) -> None:
    """The limit of the queue is not what keeps it."""
    lock = Lock(name="crm", token=4, holder=holder, acquired_at=NOW - 720)
    waiting = job(spec={"lock": "crm"}, blocked="lock")
    assert said(waiting, lock=lock, running=2) == [f"it waits for lock crm, held by {who} for 12 min"]


def test_a_key_says_which_job_has_it() -> None:
    """By id and state."""
    waiting = job(spec={"key": "k"}, blocked="key", key_slot=1)
    rival = job("running", spec={"key": "k"})
    assert said(waiting, rival=rival) == ["it waits for job j1, which has the same key k and is running"]


def test_a_drain_and_a_queue_that_is_gone_are_named() -> None:
    """What the administrator did."""
    assert said(job(), draining_since=NOW - 65, limit=None) == [
        "the daemon has been draining for 1 min: it starts nothing",
        "queue default is not configured any more: its jobs run one by one",
    ]


def test_a_retry_says_when_and_why() -> None:
    """Which attempt it will be."""
    retry = job("scheduled", spec={"retries": 3}, attempts=1, due_at=NOW + 12.5, reason="exit code 3")
    assert said(retry) == ["attempt 1 of 4 failed (exit code 3); the next is due in 12 s"]


def test_a_running_job_says_how_long_how_far_and_how_alive() -> None:
    """And what is wrong with it."""
    running = job("running", run=run(started_at=NOW - 3700), progress=Progress(228, 313))
    assert said(running, heartbeat_age=3.2, health="stalled", health_reason="no progress for 15 min") == [
        "run 3 has been running for 1 h 1 min on seat s1, 228/313 done; its last sign of life was 3 s ago",
        "it is stalled: no progress for 15 min",
    ]


def test_an_ended_job_says_why_and_where_resume_goes_on() -> None:
    """Position and failed items."""
    failed = job(
        "failed",
        reason="worker ended by signal 9 (SIGKILL)",
        checkpoint_seq=4,
        progress=Progress(228, 313, failed_items=11),
    )
    assert said(failed) == [
        "it has ended as failed: worker ended by signal 9 (SIGKILL)",
        "resume goes on after item 228 of 313",
        "resume --failed-items takes the 11 items that failed",
    ]


def test_a_kill_by_somebody_else_is_explained_by_what_is_known_of_it() -> None:
    """What the kernel does when a host is out of memory, and how much the run had used."""
    killed = job("failed", reason="ended by signal 9 (SIGKILL), which jobkeep did not send")
    general = "the kernel ends processes so when the host is out of memory, and its log tells: journalctl -k"
    assert said(killed)[1] == general
    used = replace(killed, run=run(usage=Usage(1.0, 0.5, 3 << 19)))
    assert said(used)[1] == f"{general}; its largest process had used 1.5 GiB"


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_an_explanation(state: Any) -> None:
    """Never an empty answer."""
    assert said(job(state, run=run() if state in ("running", "cancelling") else None))
