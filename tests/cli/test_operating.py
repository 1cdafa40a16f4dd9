"""daemon check-config, check, backup: what people and scripts are told."""

from __future__ import annotations

import pytest

from cli.conftest import Jobkeep
from cli.fake_daemon import FakeDaemon


def test_a_configuration_is_a_table_of_keys(jobkeep: Jobkeep, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with its value and where that is from; -q leaves the defaults out."""
    report = {"ok": True, "file": "/etc/c.toml", "problems": [], "values": [
        {"key": "jobs.grace", "value": 7.0, "from": "environment", "where": "JOBKEEP_JOBS_GRACE"},
        {"key": "jobs.on_lost", "value": "resume\x1b", "from": "file", "where": None},
        {"key": "queues.default.limit", "value": 4, "from": "default", "where": None},
    ]}  # fmt: skip
    monkeypatch.setattr("jobkeep.cli.commands.daemon_check_config.jobkeepd", lambda *_: report)

    done = jobkeep("daemon", "check-config")
    assert done.err == "jobkeep: file is /etc/c.toml\n"
    assert done.out == (
        "  KEY                   VALUE       FROM\n"
        "  jobs.grace            7.0         $JOBKEEP_JOBS_GRACE\n"
        "  jobs.on_lost          resume\\x1b  file\n"
        "  queues.default.limit  4           default\n"
    )
    assert len(jobkeep("daemon", "check-config", "-q").out.splitlines()) == 3
    assert jobkeep("daemon", "check-config", "--json").json == report


def test_a_backup_goes_where_the_caller_says(
    jobkeep: Jobkeep, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """Relative to the caller's folder, not to the daemon's."""
    monkeypatch.chdir(folder)
    daemon.answers["Backup"] = reply = {"file": "/b", "bytes": 3 << 20, "jobs": 7, "schema": 7, "database_epoch": "e",
                                        "at": "2026-03-01T11:40:00Z", "seconds": 0.25}  # fmt: skip

    assert jobkeep("daemon", "backup", "b").out == "/b: 7 jobs, 3.0 MiB, checked; in 0.2 s\n"
    assert jobkeep("daemon", "backup", "/b", "--force", "--json").json == reply
    assert daemon.called("Backup") == [{"file": f"{folder}/b", "force": False}, {"file": "/b", "force": True}]


def test_a_damaged_database_is_a_failure(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Exit code 1, and what is wrong."""
    daemon.answers["Check"] = {"problems": ["row 3 is missing\x1b"], "bytes": 3 << 20, "seconds": 0.25}
    done = jobkeep("daemon", "check")
    assert (done.code, done.out) == (1, "row 3 is missing\\x1b\n")
    daemon.answers["Check"] = {"problems": [], "bytes": 3 << 20, "seconds": 0.25}
    done = jobkeep("daemon", "check")
    assert (done.code, done.out) == (0, "the database is well: 3.0 MiB, read in 0.2 s\n")


def test_a_reload_tells_what_has_changed_and_what_cannot(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Mistakes are exit code 2, each on a line of its own."""
    daemon.answers["Reload"] = {
        "changed": [{"key": "queues.io.limit", "before": None, "after": 3}],
        "restart": [{"key": "daemon.socket", "before": "/a", "after": "/b\x1b"}], "problems": [],
    }  # fmt: skip
    done = jobkeep("daemon", "reload")
    assert (done.code, done.out) == (
        0,
        "queues.io.limit: nothing -> 3\n"
        "daemon.socket: /a -> /b\\x1b: needs a restart (jobkeep daemon stop, then start)\n",
    )
    daemon.answers["Reload"] = {"changed": [], "restart": [], "problems": []}
    assert jobkeep("daemon", "reload").out == "nothing has changed\n"
    daemon.answers["Reload"] = {"changed": [], "restart": [], "problems": ["[x]: bad", "[y]: bad"]}
    done = jobkeep("daemon", "reload")
    assert (done.code, done.err) == (2, "jobkeep: [x]: bad\njobkeep: [y]: bad\njobkeep: the old configuration stays\n")
