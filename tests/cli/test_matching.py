"""cancel, resume, restart and rm for all jobs that match."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from cli.conftest import Jobkeep
from cli.fake_daemon import FakeDaemon, Fault

PAGES: dict[int | None, dict[str, Any]] = {
    None: {"ids": ["c" * 12, "b" * 12], "states": {"cancelled": 2}, "refused": [], "next": 7},
    7: {"ids": ["a" * 12], "states": {"cancelling": 1}, "refused": []},
}


def pages(parameters: dict[str, Any]) -> dict[str, Any]:
    return PAGES[parameters.get("before")]


@pytest.fixture
def paged(daemon: FakeDaemon) -> FakeDaemon:
    for method in ("Cancel", "Resume", "Restart", "Remove"):
        daemon.answers[f"{method}Matching"] = pages
    return daemon


@pytest.mark.parametrize(
    ("words", "method", "sent"),
    [
        (["cancel", "--queue", "q", "--reason", "x"], "Cancel", {"queue": "q", "reason": "x"}),
        (["cancel", "--force", "--all"], "Cancel", {"force": True, "all": True}),
        (["resume", "--failed-items", "--state", "failed,cancelled"], "Resume",
         {"failed_items": True, "state": ["failed", "cancelled"]}),
        (["restart", "--label", "a=b", "--from-start"], "Restart", {"label": {"a": "b"}, "from_start": True}),
        (["rm", "--since", "2h", "--dry-run"], "Remove", {"since_s": 7200.0, "dry_run": True}),
    ],
)  # fmt: skip
def test_conditions_and_flags_are_passed_on(
    jobkeep: Jobkeep, paged: FakeDaemon, words: list[str], method: str, sent: dict[str, Any]
) -> None:
    """With every page; `as_of` is the same for all."""
    assert jobkeep(words[0], "--all-matching", *words[1:]).code == 0
    calls = paged.called(f"{method}Matching")
    assert [call.pop("before", None) for call in calls] == [None, 7]
    assert calls[0] == calls[1]
    assert calls[0].pop("as_of").endswith("Z")
    assert calls[0] == {"limit": 200, **sent}


def test_the_outcome_is_told_in_one_line(jobkeep: Jobkeep, paged: FakeDaemon) -> None:
    """As text, as JSON, or as ids; a dry run says that it is one."""
    assert jobkeep("cancel", "--all-matching", "--all").out == "3 jobs: 2 ⊘ cancelled, 1 … cancelling\n"
    assert jobkeep("rm", "--all-matching", "--all", "--dry-run").out.startswith("would rm 3 jobs: ")
    assert jobkeep("cancel", "--all-matching", "--all", "-q").out.split() == ["c" * 12, "b" * 12, "a" * 12]
    assert jobkeep("cancel", "--all-matching", "--all", "--json").json == {
        "count": 3, "states": {"cancelled": 2, "cancelling": 1}, "refused": [], "dry_run": False,
    }  # fmt: skip


def test_refusals_are_told_by_reason(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """On stderr, with an example each; exit code 5."""
    refused = [{"reason": "its key is taken", "count": 4, "id": "z" * 12}]
    daemon.answers["ResumeMatching"] = {"ids": [], "states": {}, "refused": refused}
    done = jobkeep("resume", "--all-matching", "--queue", "q")
    assert (done.code, done.out) == (5, "")
    assert done.err == "jobkeep: 4 jobs refused, such as zzzzzzzz: its key is taken\n"


def test_no_match_is_no_error(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """But it is said."""
    daemon.answers["CancelMatching"] = {"ids": [], "states": {}, "refused": []}
    done = jobkeep("cancel", "--all-matching", "--queue", "q")
    assert (done.code, done.out, done.err) == (0, "", "jobkeep: no jobs match\n")


def test_a_limit_bounds_all_pages_together(jobkeep: Jobkeep, paged: FakeDaemon) -> None:
    """The newest are taken."""
    jobkeep("cancel", "--all-matching", "--all", "--limit", "2")
    assert [call["limit"] for call in paged.called("CancelMatching")] == [2]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["cancel"], "no job is named"),
        (["cancel", "--all-matching"], "no condition is given"),
        (["rm", "--all-matching", "--limit", "5"], "no condition is given"),
        (["rm", "a", "--all-matching", "--all"], "either ids or --all-matching"),
        (["resume", "a", "--queue", "q"], "--queue needs --all-matching"),
        (["restart", "a", "--dry-run"], "--dry-run needs --all-matching"),
        (["cancel", "--all-matching", "--state", "odd"], "no state 'odd'"),
    ],
)
def test_what_is_not_clear_is_not_done(jobkeep: Jobkeep, paged: FakeDaemon, words: list[str], why: str) -> None:
    """Exit code 2, and nothing is sent."""
    done = jobkeep(*words)
    assert (done.code, why in done.err, "hint: " in done.err or why.startswith(("either", "--"))) == (2, True, True)
    assert paged.calls == []


def test_an_error_says_how_far_it_has_come(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """What was done is done, and the same command goes on."""

    def answer(parameters: dict[str, Any]) -> dict[str, Any]:
        if parameters.get("before"):
            raise Fault("org.jobkeep.Admin.StorageFull", message="no space left")
        return PAGES[None]

    daemon.answers["ResumeMatching"] = answer
    done = jobkeep("resume", "--all-matching", "--all")
    assert (done.code, done.out) == (4, "")
    assert "2 jobs done; the same command goes on with the rest" in done.err
    assert "no space left" in done.err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "goes_on"), [("y\n", True), ("yes\n", True), ("n\n", False), ("", False)])
def test_on_a_terminal_it_asks_first(
    jobkeep: Jobkeep, paged: FakeDaemon, monkeypatch: pytest.MonkeyPatch, typed: str, goes_on: bool
) -> None:
    """With how many they are, from a dry run; --yes does not ask."""
    stderr = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    monkeypatch.setattr(sys, "stderr", stderr)
    done = jobkeep("cancel", "--all-matching", "--queue", "q")
    calls = paged.called("CancelMatching")
    assert [call.get("dry_run") for call in calls] == [True, True, *([None, None] if goes_on else [])]
    assert "jobkeep cancel: 3 jobs: 2 ⊘ cancelled, 1 … cancelling. Go on? [y/N]" in stderr.getvalue()
    assert (done.code, "nothing was changed" in stderr.getvalue()) == ((0, False) if goes_on else (1, True))
    paged.calls.clear()
    jobkeep("cancel", "--all-matching", "--queue", "q", "--yes")
    assert [call.get("dry_run") for call in paged.called("CancelMatching")] == [None, None]
