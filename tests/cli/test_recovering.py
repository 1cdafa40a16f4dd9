"""recover and explain."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.conftest import Jobkeep
from cli.fake_daemon import FakeDaemon

ROW: dict[str, Any] = {
    "id": "k3x9a0b1c2d3e4f5", "name": "refresh", "run": 2, "state": "running", "health": "late",
    "progress": {"done": 3, "total": 10}, "labels": {"client": "acme"}, "created_at": "2026-03-01T11:57:00Z",
    "stuck_for_s": 2700.0, "verdict": "silent", "action": "fail", "reason": "no sign of life for 45 min",
}  # fmt: skip


def test_recover_shows_each_run_with_its_evidence(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Status, progress, labels, since when it is stuck, and what is done; the summary is not data."""
    daemon.answers["Recover"] = {"rows": [ROW], "check": True}
    done = jobkeep("recover", "--check", "--older-than", "30m", "--then", "fail")
    assert daemon.called("Recover") == [{"check": True, "older_than_s": 1800.0, "then": "fail"}]
    head, row = done.out.splitlines()
    assert head.split("  ")[0] == "ID"
    for part in ("k3x9a0b1", "running ! late", "3/10", "client=acme", "45 min", "silent", "fail"):
        assert part in row
    assert done.err == "jobkeep: 1 under way: 1 to fail (only checked: nothing was changed)\n"


def test_recover_in_json_is_a_list_of_rows_and_quietly_ids(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """The wire's own words; the ids are those it acted on."""
    daemon.answers["Recover"] = {"rows": [ROW, {**ROW, "id": "a1", "action": "leave"}], "check": False}
    assert json.loads(jobkeep("recover", "--json").out)[0] == ROW
    assert jobkeep("recover", "-q").out.split() == [ROW["id"]]
    assert daemon.called("Recover")[0] == {"check": False}


def test_recover_with_nothing_to_do_says_so(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """On stderr."""
    daemon.answers["Recover"] = {"rows": [], "check": False}
    done = jobkeep("recover")
    assert (done.code, done.out, done.err) == (0, "", "jobkeep: no run is under way\n")


def test_explain_gives_the_reasons_and_what_is_possible(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Also why something is not; control characters do not get through."""
    said = {
        "id": "k3x9a0b1c2d3e4f5", "state": "queued", "health": "ok",
        "reasons": [{"kind": "lock", "text": "it waits for lock crm\x1b[31m, held by run 2 of job a1 for 12 min"}],
        "actions": {
            "cancel": {"allowed": True, "reason": None},
            "resume_failed_items": {"allowed": False, "reason": "the job has no failed items"},
        },
    }  # fmt: skip
    daemon.answers["Explain"] = said
    assert jobkeep("explain", "k3x9").out.splitlines() == [
        "k3x9a0b1  · queued",
        "  - it waits for lock crm\\x1b[31m, held by run 2 of job a1 for 12 min",
        "next: jobkeep lock ls",
        "possible: jobkeep cancel k3x9a0b1",
        "not possible: resume --failed-items: the job has no failed items",
    ]
    assert json.loads(jobkeep("explain", "k3x9", "--json").out) == said


@pytest.mark.parametrize(
    ("kinds", "looks"),
    [
        (["running", "health"], ["jobkeep watch k3x9a0b1", "jobkeep logs k3x9a0b1"]),
        (["limit", "limit", "draining"], ["jobkeep ls --state running", "jobkeep daemon drain --off"]),
        (["outcome", "resume"], ["jobkeep show k3x9a0b1", "jobkeep logs k3x9a0b1"]),
        (["lock"], ["jobkeep lock ls"]),
        (["due"], ["jobkeep show k3x9a0b1"]),
        (["unheard-of"], []),
    ],
)
def test_explain_names_what_to_type_next(
    jobkeep: Jobkeep, daemon: FakeDaemon, kinds: list[str], looks: list[str]
) -> None:
    """Each once, by what keeps the job."""
    reasons = [{"kind": kind, "text": "because"} for kind in kinds]
    said = {"id": "k3x9a0b1c2d3e4f5", "state": "queued", "health": "ok", "reasons": reasons, "actions": {}}
    daemon.answers["Explain"] = said
    out = jobkeep("explain", "k3x9").out.splitlines()

    assert [line.removeprefix("next: ") for line in out if line.startswith("next: ")] == looks


@pytest.mark.parametrize(
    ("kind", "name", "look"),
    [
        ("limit", "bulk-1", "queue limit bulk-1 N"), ("paused", "bulk-1", "queue resume bulk-1"),
        ("lock", "crm", "lock show crm"), ("key", "a1b2", "explain a1b2"), ("after", "a1b2", "explain a1b2"),
    ],
)  # fmt: skip
def test_explain_names_the_command_for_what_it_is_about(
    jobkeep: Jobkeep, daemon: FakeDaemon, kind: str, name: str, look: str
) -> None:
    """Whoever is new does not know that a queue has a limit, or a lock a holder."""
    reasons = [{"kind": kind, "text": "because", "name": name}]
    said = {"id": "k3x9a0b1c2d3e4f5", "state": "queued", "health": "ok", "reasons": reasons, "actions": {}}
    daemon.answers["Explain"] = said

    assert [line for line in jobkeep("explain", "k3x9").out.splitlines() if "next" in line] == [f"next: jobkeep {look}"]


def test_of_a_job_that_has_succeeded_explain_says_how_to_run_it_again(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """No verb does."""
    reasons = [{"kind": "outcome", "text": "it has succeeded", "name": None}]
    said = {"id": "k3x9a0b1c2d3e4f5", "state": "succeeded", "health": "ok", "reasons": reasons, "actions": {}}
    daemon.answers["Explain"] = said

    again = "next: jobkeep show k3x9a0b1 --json | jq -c .spec | jobkeep run --from-file -    (the same again)"
    assert again in jobkeep("explain", "k3x9").out.splitlines()
