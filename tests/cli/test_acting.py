"""wait, cancel, resume, restart."""

from __future__ import annotations

from typing import Any

import pytest

from cli.conftest import Jobkeep
from cli.fake_daemon import FakeDaemon, Fault, Hangup, ended, job

SAVED = {"seq": 3, "at": "2026-03-01T11:50:00Z"}


def by_id(answers: dict[str, Any]) -> Any:
    """An answer per id; a Fault is raised."""

    def answer(parameters: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] | Fault = answers[parameters["id"]]
        if isinstance(found, Fault):
            raise found
        return found

    return answer


@pytest.mark.parametrize(
    ("words", "method", "sent"),
    [
        (["cancel", "a"], "Cancel", {"id": "a"}),
        (["cancel", "--force", "a", "--reason", "late"], "Cancel", {"id": "a", "reason": "late", "force": True}),
        (["resume", "a", "--failed-items"], "Resume", {"id": "a", "failed_items": True}),
        (["restart", "a", "--from-start"], "Restart", {"id": "a", "from_start": True}),
    ],
)
def test_a_verb_is_passed_on(
    jobkeep: Jobkeep, daemon: FakeDaemon, words: list[str], method: str, sent: dict[str, Any]
) -> None:
    """With its option and the reason."""
    daemon.answers[method] = {"id": "a" * 16, "state": "queued"}

    assert jobkeep(*words).out == "aaaaaaaa  · queued\n"
    assert daemon.called(method) == [sent]


@pytest.mark.parametrize(
    ("words", "facts", "where"),
    [
        (["resume"], {"checkpoint": SAVED, "progress": {"done": 228, "total": 313}}, "goes on with item 229 of 313"),
        (["restart"], {"checkpoint": SAVED, "progress": {"done": 228, "total": None}}, "goes on with item 229"),
        (["resume"], {"checkpoint": SAVED}, "goes on from its checkpoint"),
        (["resume"], {"steps": 2}, "goes on behind step 2"),
        (["resume"], {}, "from the start"),
        (["resume", "--failed-items"], {"progress": {"failed_items": 11}}, "with the 11 items that failed"),
    ],
)
def test_resume_and_restart_say_where_the_job_goes_on(
    jobkeep: Jobkeep, daemon: FakeDaemon, words: list[str], facts: dict[str, Any], where: str
) -> None:
    """For people; programs have the job itself."""
    daemon.answers.update(
        Resume={"id": "a1", "state": "queued"}, Restart={"id": "a1", "state": "queued"}, Get={"job": job("a1", **facts)}
    )
    assert jobkeep(*words, "a1").out == f"a1  · queued, {where}\n"
    assert jobkeep(*words, "a1", "--json").json == {"id": "a1", "state": "queued"}


def test_a_removed_job_has_no_state_any_more(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """It says so, for each; and a refusal as for any verb."""
    refusal = Fault("Refused", message="cannot remove job b: the job is running; cancel it first", id="b")
    daemon.answers["Remove"] = by_id({"a": {"id": "a" * 12}, "b": refusal})
    done = jobkeep("rm", "a", "b", "--reason", "old")
    assert (done.code, done.out) == (5, "aaaaaaaa  removed\n")
    assert "cancel it first" in done.err
    assert daemon.called("Remove")[0] == {"id": "a", "reason": "old"}


def test_each_job_is_tried_and_the_worst_exit_code_wins(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """One line each, on stdout or stderr."""
    daemon.answers["Cancel"] = by_id(
        {
            "a": {"id": "a1", "state": "cancelling"},
            "b": Fault("Refused", message="job b has ended", id="b", action="cancel", reason="ended", state="failed"),
            "c": Fault("NotFound", message="no job c", id="c"),
            "d": {"id": "d1", "state": "cancelled"},
        }
    )
    done = jobkeep("cancel", "a", "b", "c", "X", "d")

    assert done.code == 5
    assert done.out == "a1  … cancelling\nd1  ⊘ cancelled\n"
    assert [line for line in done.err.splitlines() if line.startswith("jobkeep")] == [
        "jobkeep: job b has ended",
        "jobkeep: no job c",
        "jobkeep: no job has the id 'X'",
    ]
    assert "hint: jobkeep show b says what is possible now" in done.err


def test_verbs_have_json_and_quiet_forms(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """The wire's answer, or the id."""
    daemon.answers["Cancel"] = lambda sent: {"id": sent["id"] + "1", "state": "cancelling"}

    assert jobkeep("cancel", "a", "b", "--json").rows == [
        {"id": "a1", "state": "cancelling"},
        {"id": "b1", "state": "cancelling"},
    ]
    assert jobkeep("cancel", "a", "b", "-q").out == "a1\nb1\n"


@pytest.mark.parametrize(("verb", "method"), [("resume", "Resume"), ("restart", "Restart")])
def test_what_is_not_idempotent_is_asked_once(jobkeep: Jobkeep, daemon: FakeDaemon, verb: str, method: str) -> None:
    """Without an answer it is unknown whether it took effect, and the message says how to find out."""

    def hang_up(_: object) -> None:
        raise Hangup

    daemon.answers[method] = hang_up
    done = jobkeep(verb, "a", "b")

    assert done.code == 4
    assert "whether it took effect is unknown; jobkeep show a tells" in done.err
    assert daemon.called(method) == [{"id": "a"}]


def test_a_cancel_without_an_answer_is_sent_again(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Twice does no more than once."""
    breaks = iter([True, False])

    def answer(_: object) -> dict[str, Any]:
        if next(breaks):
            raise Hangup
        return {"id": "a1", "state": "cancelling"}

    daemon.answers["Cancel"] = answer

    assert jobkeep("cancel", "a").out == "a1  … cancelling\n"


@pytest.mark.parametrize(
    ("jobs", "code"), [([ended()], 0), ([ended(), ended("failed", exit_code=1)], 1), ([ended("cancelled")], 1)]
)
def test_wait_tells_whether_all_succeeded(
    jobkeep: Jobkeep, daemon: FakeDaemon, jobs: list[dict[str, Any]], code: int
) -> None:
    """Exit code 0 or 1, a sentence per job, rows with --json."""
    daemon.answers["Wait"] = {"jobs": jobs, "timed_out": False}
    done = jobkeep("wait", "a", "b", "--any")

    assert done.code == code
    assert len(done.out.splitlines()) == len(jobs)
    assert jobkeep("wait", "a", "--json").rows == jobs
    assert daemon.called("Wait")[0] == {"ids": ["a", "b"], "any": True, "timeout_s": 10.0}


def test_wait_is_over_in_time(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Exit code 124, and all jobs as they are by then, each once; with --quiet only those that have ended."""
    done_one, live = ended() | {"id": "a123"}, job("b123", "running")
    daemon.answers |= {"Wait": {"jobs": [done_one], "timed_out": True}, "Get": {"job": live}}
    done = jobkeep("wait", "a", "b", "b1", "--timeout", "0")

    assert done.code == 124
    shown = [line.split()[:3] for line in done.out.splitlines()]
    assert shown == [["a123", "✓", "succeeded"], ["b123", "▶", "running"]]
    assert "1 of 2 jobs have not ended" in done.err
    assert daemon.called("Wait") == [{"ids": ["a", "b", "b1"], "any": False, "timeout_s": 0.0}]
    assert daemon.called("Get") == [{"id": "b"}, {"id": "b1"}]
    told = jobkeep("wait", "a", "b", "--json", "--timeout", "0")
    assert (told.code, told.rows) == (124, [done_one, live])
    assert jobkeep("wait", "a", "b", "--quiet", "--timeout", "0").out == "a123\n"


def test_wait_asks_in_turns(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """A turn that brings nothing is followed by another one."""
    replies = iter([{"jobs": [], "timed_out": True}, {"jobs": [ended()], "timed_out": False}])
    daemon.answers["Wait"] = lambda _: next(replies)

    assert jobkeep("wait", "a").code == 0
    assert len(daemon.called("Wait")) == 2


def test_a_restart_of_a_running_job_is_no_running_job(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Its run is being ended; the wire's own word is for programs."""
    daemon.answers["Restart"] = {"id": "a1", "state": "running"}

    assert jobkeep("restart", "a").out == "a1  ↻ restarting\n"
    assert jobkeep("restart", "a", "--json").json["state"] == "running"


@pytest.mark.parametrize(("allowed", "hint"), [(True, "jobkeep resume a1 --failed-items"), (False, "jobkeep show a1")])
def test_a_refused_resume_knows_of_failed_items(
    jobkeep: Jobkeep, daemon: FakeDaemon, allowed: bool, hint: str
) -> None:
    """They can be run again although the job has succeeded."""

    def refuse(_: object) -> None:
        raise Fault("Refused", message="has succeeded", id="a1", action="resume", reason="", state="succeeded")

    job = ended(job__id="a1", job__actions={"resume_failed_items": {"allowed": allowed, "reason": None}})
    daemon.answers.update(Resume=refuse, Get={"job": job})
    done = jobkeep("resume", "a")

    assert done.code == 5
    assert f"hint: {hint}" in done.err
