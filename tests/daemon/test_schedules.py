"""Schedules of a real daemon: each time once, though it is killed while it makes up for what was missed."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing

import pytest

import jobkeep
from jobkeep.testing import PrivateDaemon

from .conftest import Cli

MISSED = 90  # minutes


def sleep_through(daemon: PrivateDaemon, name: str) -> float:
    """As if it had come each minute, and no daemon had run for so long: what it has settled by then."""
    with closing(sqlite3.connect(daemon.home / "state/jobs.sqlite", isolation_level=None)) as database:
        (data,) = database.execute("SELECT data FROM schedule WHERE name = ?", (name,)).fetchone()
        schedule = json.loads(data)
        schedule["terms"]["cron"] = "* * * * *"
        schedule["cursor"] = time.time() // 60 * 60 - MISSED * 60
        database.execute("UPDATE schedule SET data = ? WHERE name = ?", (json.dumps(schedule), name))
    return float(schedule["cursor"])


def test_missed_times_are_fired_once_each_though_the_daemon_is_killed_meanwhile(
    daemon: PrivateDaemon, cli: Cli
) -> None:
    """A job for each time and no other, in order; and the schedule is as it was."""
    with jobkeep.connect_blocking(str(daemon.socket)) as jk:
        made = jk.add_schedule("minutely", "0 0 1 1 *", ["true"], missed="run_all", queue="default")
        assert len(made.next) == 3
        jk.wait([jk.trigger_schedule("minutely").id], timeout="120s")
    daemon.kill()
    began = sleep_through(daemon, "minutely")
    for least in (1, 30, 60):
        with daemon.start() as jk:
            deadline = time.monotonic() + 60
            while sum(event.kind == "schedule_fired" for event in jk.events()) < least:
                assert time.monotonic() < deadline, daemon.log[-2000:]
        daemon.kill()
    with daemon.start() as jk:
        deadline = time.monotonic() + 60
        while len(fired := [event for event in jk.events() if event.kind == "schedule_fired"]) < MISSED:
            assert time.monotonic() < deadline
        times = [event.data["nominal_at"] for event in fired]
        assert times == [began + 60 * (index + 1) for index in range(len(times))]
        jobs = {event.job for event in fired}
        assert len(jobs) == len(times)
        made_by = {job.id for job in jk.jobs(label={"schedule": "minutely"}) if job.name == "minutely"}
        assert len(made_by) in (len(jobs) + 1, len(jobs) + 2)  # the one that was triggered; and of the minute after
    shown = cli("schedule", "show", "minutely")
    assert "run_all" in shown.stdout
    assert cli("schedule", "rm", "minutely", "-q").stdout == "minutely\n"
    assert cli("schedule", "show", "minutely").returncode == 3


def test_one_of_the_configuration_is_kept_paused_and_cannot_be_removed() -> None:
    """Its jobs run as what they are said to be; the next daemon finds it as it was left."""
    given = {"CRON": "0 0 1 1 *", "COMMAND": '["sh", "-c", "test -n \\"$PATH\\""]', "LABELS": '{client = "acme"}'}
    private = PrivateDaemon(**{f"JOBKEEP_SCHEDULES_YEARLY_{key}": value for key, value in given.items()})
    with private as jk:
        (schedule,) = jk.schedules()
        assert (schedule.name, schedule.configured, len(schedule.next)) == ("yearly", True, 3)
        job = jk.trigger_schedule("yearly").id
        (info,) = jk.wait([job], timeout="120s")
        assert (info.state, info.labels) == ("succeeded", {"schedule": "yearly", "client": "acme"})
        with pytest.raises(jobkeep.Conflict, match="configuration"):
            jk.remove_schedule("yearly")
        jk.pause_schedule("yearly", reason="holidays")
        private.kill()
        with private.start() as jk_again:
            (schedule,) = jk_again.schedules()
            assert schedule.paused is not None
            assert schedule.paused.reason == "holidays"
