"""Schedules on the command line: listed, added with the options of run, paused, triggered, removed."""

from __future__ import annotations

from typing import Any

import pytest

from cli.conftest import Jobkeep
from cli.fake_daemon import FakeDaemon, Fault

NEXT = ["2026-03-01T13:00:00Z", "2026-03-02T13:00:00Z", "2026-03-03T13:00:00Z"]


def schedule(**fields: Any) -> dict[str, Any]:
    """As the daemon tells it."""
    return {
        "name": "nightly", "cron": "0 2 * * *", "timezone": "UTC", "missed": "skip", "on_conflict": None,
        "configured": False, "paused": None, "next": NEXT, "last": None, "spec": {"command": ["./backup.sh"]}, **fields,
    }  # fmt: skip


@pytest.mark.parametrize("line", [("schedule", "ls"), ("schedule",)])
def test_schedules_are_listed_with_their_next_times(
    jobkeep: Jobkeep, daemon: FakeDaemon, line: tuple[str, ...]
) -> None:
    """All three; a paused one says so instead."""
    paused = {"uid": 1000, "pid": 1, "at": "2026-03-01T11:48:00Z", "reason": None}
    daemon.answers["List"] = {"schedules": [schedule(), schedule(name="p", paused=paused, next=[], configured=True)]}
    rows = jobkeep(*line).out.splitlines()
    assert rows[0].split() == ["SCHEDULE", "CRON", "TIMEZONE", "NEXT", "LAST", "FROM", "COMMAND"]
    assert ", ".join(NEXT) in rows[1]
    assert "people" in rows[1]
    assert {"paused", "configuration"} <= set(rows[2].split())
    assert jobkeep("schedule", "-q").out == "nightly\np\n"
    assert jobkeep("schedule", "ls", "--json").rows[0] == schedule()


@pytest.mark.parametrize(
    "words",
    [
        ["--missed", "skip", "--key", "k", "--timezone", "UTC", "nightly", "0 2 * * *", "--", "./backup.sh", "-x"],
        ["nightly", "0 2 * * *", "--missed", "skip", "--key", "k", "--timezone", "UTC", "./backup.sh", "-x"],
        ["nightly", "0 2 * * *", "--key=k", "--missed=skip", "--timezone=UTC", "--", "./backup.sh", "-x"],
    ],
)
def test_a_schedule_is_added_with_the_options_of_run(
    jobkeep: Jobkeep, daemon: FakeDaemon, words: list[str]
) -> None:
    """Wherever they stand before the command."""
    seen: list[dict[str, Any]] = []
    daemon.answers["Add"] = lambda asked: seen.append(asked) or {"schedule": schedule()}
    done = jobkeep("schedule", "add", *words)
    assert (done.code, done.out.splitlines()[0]) == (0, "nightly")
    (asked,) = seen
    assert (asked["name"], asked["cron"], asked["missed"], asked["timezone"]) == ("nightly", "0 2 * * *", "skip", "UTC")
    assert (asked["spec"]["command"], asked["spec"]["key"]) == (["./backup.sh", "-x"], "k")


@pytest.mark.parametrize("words", [[], ["nightly"], ["nightly", "0 2 * * *"], ["-n", "0 2 * * *", "x"]])
def test_what_is_missing_is_told(jobkeep: Jobkeep, daemon: FakeDaemon, words: list[str]) -> None:
    """With how to write it; nothing is asked."""
    done = jobkeep("schedule", "add", *words)
    assert done.code == 2
    assert "hint" in done.err


def test_one_that_is_not_there_is_exit_code_3_and_a_taken_name_5(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """As with other things that have names."""

    def unknown(asked: dict[str, Any]) -> dict[str, Any]:
        raise Fault("UnknownSchedule", message="there is no schedule x", schedule="x")

    def taken(asked: dict[str, Any]) -> dict[str, Any]:
        reason = "there is one of that name"
        raise Fault("ScheduleConflict", message=reason, schedule="x", reason=reason)

    daemon.answers.update({"Pause": unknown, "Trigger": unknown, "Add": taken})
    assert jobkeep("schedule", "pause", "x").code == jobkeep("schedule", "trigger", "x").code == 3
    done = jobkeep("schedule", "add", "x", "* * * * *", "true")
    assert (done.code, "--replace changes it" in done.err) == (5, True)


def test_one_that_is_removed_is_not_shown_again(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """One line, as for a job; programs get what it was."""
    daemon.answers["Remove"] = {"schedule": schedule()}

    assert jobkeep("schedule", "rm", "nightly").out == "nightly  removed\n"
    assert jobkeep("schedule", "rm", "nightly", "--json").json == schedule()
