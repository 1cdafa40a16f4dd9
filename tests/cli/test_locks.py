"""Locks on the command line: listed, shown, reset; and what a job says of its lock."""

from __future__ import annotations

from typing import Any

import pytest

from cli.conftest import Jobkeep
from cli.fake_daemon import FakeDaemon, Fault


def lock(name: str = "crm", **fields: Any) -> dict[str, Any]:
    """As the daemon tells it."""
    holder = {"kind": "run", "job": "k3x9a0b1c2d3", "run": 2, "pid": None, "uid": None}
    return {
        "name": name, "token": 7, "holder": holder, "acquired_at": "2026-03-01T11:48:00Z", "age_s": 720.0,
        "expires_in_s": 41.0, "stale": False, "waiting": 0, **fields,
    }  # fmt: skip


CLIENT = {"kind": "client", "job": None, "run": None, "pid": 4711, "uid": 1000}
FREE = {"holder": None, "acquired_at": None, "age_s": None, "expires_in_s": None}


def held(**fields: Any) -> Fault:
    said = {"name": "crm", "since_s": 720.0, "kind": "run", "job": "k3x9a0b1c2d3", "pid": None, "uid": None}
    message = "the lock crm is held by job k3x9a0b1c2d3"
    return Fault("org.jobkeep.Locks.LockHeld", **{"message": message, **said, **fields})


@pytest.mark.parametrize("line", [("lock", "ls"), ("lock",), ("lock", "--no-trunc", "ls"), ("--no-trunc", "lock")])
def test_locks_are_listed_with_their_holders(jobkeep: Jobkeep, daemon: FakeDaemon, line: tuple[str, ...]) -> None:
    """Bare `lock` lists them, too; common options may stand anywhere."""
    daemon.answers["List"] = {"locks": [lock(waiting=2), lock("etl", holder=CLIENT, stale=True)]}
    done = jobkeep(*line)
    rows = [row.split() for row in done.out.splitlines()]

    assert done.code == 0
    assert rows[0] == ["NAME", "HOLDER", "HELD", "FOR", "WAITING", "TOKEN", "SINCE"]
    assert rows[1][:5] == ["crm", "job", rows[1][2], "(run", "2)"]
    assert rows[1][2].startswith("k3x9a0b1")
    assert rows[1][5:] == ["12", "min", "2", "7", "2026-03-01T11:48:00Z"]
    assert rows[2][:10] == ["etl", "process", "4711", "(uid", "1000)", "12", "min", "!", "stale", "7"]


def test_locks_are_listed_for_programs(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """One object per line, or names alone; nothing is an empty list."""
    daemon.answers["List"] = {"locks": [lock(), lock("etl")]}
    assert jobkeep("lock", "ls", "--json").rows == [lock(), lock("etl")]
    assert jobkeep("lock", "ls", "-q").out == "crm\netl\n"
    daemon.answers["List"] = {"locks": []}
    assert jobkeep("lock", "--json").out == ""
    done = jobkeep("lock")
    assert (done.out, done.err) == ("", "jobkeep: no lock is held\n")


def test_one_lock_is_shown(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """With its token, and how long its lease lasts; a lock that was never held is not found."""
    daemon.answers["Show"] = lambda asked: {"lock": lock(asked["name"], waiting=3, stale=True)}
    lines = jobkeep("lock", "show", "crm").out.splitlines()
    assert lines[:2] == ["crm", "held by job k3x9a0b1 (run 2) for 12 min, ! stale: longer than max_hold"]
    assert [line.split()[0] for line in lines[3:]] == ["token", "since", "lease", "waiting"]
    daemon.answers["Show"] = {"lock": lock(**FREE)}
    assert jobkeep("lock", "show", "crm").out.splitlines()[1] == "free"
    assert jobkeep("lock", "show", "crm", "--json").json == lock(**FREE)

    def unknown(_: object) -> None:
        raise Fault("org.jobkeep.Locks.UnknownLock", message="the lock crm was never held", name="crm")

    daemon.answers["Show"] = unknown
    done = jobkeep("lock", "show", "crm")
    assert (done.code, done.err) == (
        3, "jobkeep: the lock crm was never held\nhint: jobkeep lock ls lists the locks that are held\n"
    )  # fmt: skip


def test_a_lock_is_reset_by_force_alone_while_its_holder_lives(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Exit code 5 says who has it and since when; the job that was ended for it is named."""

    def reset(asked: dict[str, Any]) -> dict[str, Any]:
        if not asked["force"]:
            raise held(message="the lock crm is held by job k3x9a0b1c2d3, which is alive")
        return {"lock": lock(**FREE, token=8), "ended": "k3x9a0b1c2d3"}

    daemon.answers["Reset"] = reset
    done = jobkeep("lock", "reset", "crm")
    assert done.code == 5
    assert done.err.splitlines()[0] == (
        "jobkeep: the lock crm is held by job k3x9a0b1c2d3, which is alive; it has had it for 12 min"
    )
    assert "lock reset crm --force" in done.err
    done = jobkeep("lock", "reset", "crm", "--force", "--reason", "it hangs")
    assert (done.code, done.out, done.err) == (0, "crm  free\n", "jobkeep: job k3x9a0b1 was cancelled for it\n")
    assert daemon.called("Reset")[-1] == {"name": "crm", "force": True, "reason": "it hangs"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("lock", "lst"), "did you mean jobkeep lock ls?"),
        (("lock", "frobnicate"), "jobkeep lock ls|show|reset|run"),
        (("lock", "show"), "jobkeep lock show --help"),
        (("lock", "show", "a b"), "is not a name"),
    ],
)
def test_a_mistake_is_explained(jobkeep: Jobkeep, line: tuple[str, ...], said: str) -> None:
    """Exit code 2."""
    done = jobkeep(*line)
    assert (done.code, said in done.err) == (2, True)


@pytest.mark.parametrize("line", [("lock", "--help"), ("lock", "-h"), ("lock", "reset", "--help")])
def test_help_is_there_for_both_words(jobkeep: Jobkeep, line: tuple[str, ...]) -> None:
    """The first word's names its parts."""
    done = jobkeep(*line)
    assert (done.code, "reset" in done.out, "usage: jobkeep lock" in done.out) == (0, True, True)


def test_a_job_takes_its_lock_along_and_says_what_to_do_when_it_is_held(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Nothing is said unless it was asked for: a job waits for its lock. Words of the wire have underscores."""
    daemon.answers["Submit"] = {"id": "k", "state": "queued", "created": True}
    jobkeep("run", "-d", "--lock", "crm", "true")
    jobkeep("run", "-d", "--lock", "crm", "--on-conflict", "reject", "true")
    jobkeep("run", "-d", "--key", "k", "--on-conflict", "replace-queued", "true")
    jobkeep("call", "-d", "--key", "k", "--on-conflict", "cancel-running", "m:f")
    sent = daemon.called("Submit")
    assert [asked["spec"].get("lock") for asked in sent] == ["crm", "crm", None, None]
    assert [asked.get("on_conflict") for asked in sent] == [None, "reject", "replace_queued", "cancel_running"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--on-conflict", "return"), "--on-conflict needs --key or --lock"),
        (("--lock", "crm", "--on-conflict", "cancel-running"), "--on-conflict cancel-running needs --key"),
        (("--lock", "crm", "--on-conflict", "replace_queued"), "invalid choice"),
    ],
)
def test_a_policy_without_what_it_is_about_is_refused(jobkeep: Jobkeep, options: tuple[str, ...], said: str) -> None:
    """Before anything is sent."""
    done = jobkeep("run", "-d", *options, "true")
    assert (done.code, said in done.err) == (2, True)


def test_a_held_lock_is_exit_code_5_with_who_and_since_when(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """As a key that is taken."""

    def refuse(_: object) -> None:
        raise held()

    daemon.answers["Submit"] = refuse
    done = jobkeep("run", "-d", "--lock", "crm", "--on-conflict", "reject", "true")
    assert done.code == 5
    assert done.err.splitlines()[0] == "jobkeep: the lock crm is held by job k3x9a0b1c2d3; it has had it for 12 min"
    assert "hint: nothing was submitted; jobkeep lock show crm" in done.err

    def taken(_: object) -> None:
        message = "job k9 has the key x and is running"
        raise Fault("KeyConflict", message=message, key="x", id="k9", state="running", since_s=90.0)

    daemon.answers["Submit"] = taken
    done = jobkeep("run", "-d", "--key", "x", "true")
    assert done.err.splitlines()[0] == "jobkeep: job k9 has the key x and is running; it was submitted 2 min ago"
