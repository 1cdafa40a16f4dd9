"""ps and cleanup."""

from __future__ import annotations

import json
from typing import Any

from cli.conftest import Jobkeep
from cli.fake_daemon import FakeDaemon
from jobkeep.cli.render.processes import losses, rows
from jobkeep.cli.render.style import Style

ORPHAN: dict[str, Any] = {
    "pid": 4711, "command": "driver --port\x1b[31m 9", "family": "driver", "run": "k3x9a0b1c2d3e4f5.2",
    "verdict": "orphan", "evidence": ["cookie"], "action": "would_kill", "reason": "run k3x9a0b1c2d3e4f5.2 has ended",
    "uid": 1000, "state": "S", "cpu_s": 75.0, "rss_bytes": 3 << 20, "age_s": 7200.0,
}  # fmt: skip
MINE = {**ORPHAN, "pid": 4712, "verdict": "owned", "action": "protected", "evidence": ["slot", "cookie"]}
CLEANED: dict[str, Any] = {
    "killed_count": 1, "protected_count": 1, "active_sessions": 0, "survivors": [], "dry_run": False,
    "processes": [{**ORPHAN, "action": "killed"}, MINE],
}  # fmt: skip


def test_ps_shows_whose_each_process_is(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """With its evidence, its use of the host, and no control characters."""
    daemon.answers["List"] = {"processes": [ORPHAN, MINE]}
    head, orphan, _ = jobkeep("ps").out.splitlines()
    assert head.split()[:4] == ["PID", "RUN", "FAMILY", "VERDICT"]
    for part in ("4711", "k3x9a0b1.2", "orphan", "cookie", "would kill", "3.0 MiB", "2 h", "driver --port\\x1b[31m 9"):
        assert part in orphan
    assert daemon.called("List") == [{"orphans": False, "all": False}]


def test_an_emergency_says_how_all_queues_go_on() -> None:
    """It has paused each of them, also those that nobody thinks of."""
    report = {
        "dry_run": False, "daemon": [7], "processes": [], "killed_count": 0, "runs": 0, "sessions": 0, "locks": 0,
        "survivors": [], "unrecorded": "", "queues": 3,
    }  # fmt: skip
    said = losses(report)

    assert said[-2:] == [
        "3 queues are paused (jobkeep queue ls); all go on with",
        "  jobkeep queue ls -q | xargs -n 1 jobkeep queue resume",
    ]


def test_in_80_columns_it_is_seen_what_would_be_killed_and_why() -> None:
    """Use of the host goes first, then how it is known; of a command its name stays, and the ends of its paths."""
    command = "/usr/lib/somewhere/deep/driver /srv/crm/releases/42/crawl.py --port 9"
    doomed = {**ORPHAN, "command": command, "evidence": ["slot", "cookie", "descent"]}
    wide = Style(tty=True, colour=False, width=80, whole_ids=False, now=None)
    head, row = rows([doomed], wide)

    assert head.split() == ["PID", "RUN", "ACTION", "REASON", "COMMAND"]
    assert max(map(len, (head, row))) <= 80
    assert all(part in row for part in ("4711", "k3x9a0b1.2", "would kill", "has ended", "driver "))
    assert "…/crawl.py" in rows([{**doomed, "reason": ""}], wide)[1]
    assert command in rows([doomed], Style(tty=True, colour=False, width=None, whole_ids=True, now=None))[1]


def test_ps_in_json_and_quietly(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """One object per line; pids alone."""
    daemon.answers["List"] = {"processes": [ORPHAN, MINE]}
    assert jobkeep("ps", "--json", "--all").rows == [ORPHAN, MINE]
    assert jobkeep("ps", "-q", "--orphans").out.split() == ["4711", "4712"]
    assert [call["orphans"] for call in daemon.called("List")] == [False, True]


def test_no_orphans_is_said_so(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """On stderr: there is nothing to print."""
    daemon.answers["List"] = {"processes": []}
    assert jobkeep("ps", "--orphans").err == "jobkeep: there are no orphans\n"


def test_cleanup_shows_what_it_ended(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """And counts the rest."""
    daemon.answers["Cleanup"] = CLEANED
    done = jobkeep("cleanup", "--reason", "a leak")
    assert daemon.called("Cleanup") == [{"dry_run": False, "reason": "a leak"}]
    assert "4711" in done.out
    assert "4712" not in done.out
    assert (done.code, done.err) == (0, "jobkeep: 1 killed, 1 protected, 0 active sessions\n")
    assert json.loads(jobkeep("cleanup", "--json").out) == CLEANED


def test_a_dry_run_says_that_nobody_was_signalled(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """What it would end is shown as such."""
    daemon.answers["Cleanup"] = {**CLEANED, "killed_count": 0, "dry_run": True, "processes": [ORPHAN, MINE]}
    done = jobkeep("cleanup", "--dry-run")
    assert "would kill" in done.out
    assert done.err.startswith("jobkeep: 1 would be killed, 1 protected")
    assert done.err.endswith("(only looked: nobody was signalled)\n")


def test_who_lives_on_is_told_and_is_no_success(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """With the reason."""
    survivor = {"pid": 4711, "command": "driver", "reason": "it is in uninterruptible sleep"}
    daemon.answers["Cleanup"] = {**CLEANED, "killed_count": 0, "survivors": [survivor]}
    done = jobkeep("cleanup")
    assert done.code == 1
    assert "process 4711 lives on: it is in uninterruptible sleep" in done.err
