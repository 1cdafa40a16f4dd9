"""The daemon itself, and what it says of its interfaces."""

from __future__ import annotations

from typing import Any

import pytest

from jobkeep.protocol.jobs import JobSpec
from jobkeep.protocol.registry import INTERFACES
from jobkeepd.core.model import Entry
from jobkeepd.errors import BackupRefused
from jobkeepd.store.base import Rows
from jobkeepd.supervisor.drain import Drained
from rpc.conftest import Client, Served

pytestmark = pytest.mark.anyio

A = "org.jobkeep.Admin."


async def test_status_counts_jobs_by_state_and_queue(served: Served, client: Client) -> None:
    """States and queues without jobs are there, too."""
    await served.daemon.submitted("aaa")
    await served.daemon.submitted("bbb")
    await served.daemon.started("bbb")

    said = await client.call(A + "Status")

    assert said["jobs"]["queued"] == said["jobs"]["running"] == 1
    assert said["jobs"]["failed"] == 0
    assert said["queues"] == {
        "default": {"limit": 2, "running": 1, "queued": 1},
        "slow": {"limit": 1, "running": 0, "queued": 0},
    }
    assert (said["epoch"], said["protocol"], said["pid"]) == (1, 1, 42)


async def test_stop_is_answered_before_it_happens(served: Served, client: Client) -> None:
    """With the process that is going to end."""
    assert await client.call(A + "Stop") == {"pid": 42, "within_s": 2.5}
    assert served.daemon.host.stopped


async def test_a_drain_is_told_run_by_run(served: Served, client: Client) -> None:
    """What was interrupted, what has ended in another way, and what runs on."""
    job = await served.daemon.submitted("aaa", JobSpec(function="m:f"))
    command = await served.daemon.submitted("bbb")
    served.daemon.drains.runs = [
        Drained(job, 2, "interrupt", "interrupted"),
        Drained(command, 1, "wait", "failed"),
        Drained(command, 3, "leave", None),
    ]

    said = await client.call(A + "Drain", commands="leave", timeout_s=3)

    assert served.daemon.drains.asked[0][1:] == ("leave", 3.0)
    assert (said["draining"], said["drained"]) == (True, True)
    assert said["interrupted"] == [
        {"id": "aaa", "name": "f", "kind": "function", "run": 2, "outcome": "interrupted", "waited_for": True}
    ]
    assert [(run["id"], run["outcome"]) for run in said["ended"]] == [("bbb", "failed")]
    assert [(run["run"], run["waited_for"]) for run in said["running"]] == [(3, False)]


async def test_a_job_that_a_drain_holds_says_so(served: Served, client: Client) -> None:
    """Until the drain is called off; the status of the daemon tells it, too."""
    await served.daemon.submitted("aaa")
    assert (await client.call("org.jobkeep.Jobs.Get", id="aaa"))["job"]["held"] is None
    await client.call(A + "Drain")
    assert (await client.call("org.jobkeep.Jobs.Get", id="aaa"))["job"]["held"] == "the daemon is draining"
    said = await client.call(A + "Status")
    assert (said["draining"], said["draining_since"]) == (True, "2023-11-14T22:13:20Z")
    assert await client.call(A + "Undrain") == {"drained": True}
    assert await client.call(A + "Undrain") == {"drained": False}
    assert (await client.call("org.jobkeep.Jobs.Get", id="aaa"))["job"]["held"] is None
    assert (await client.call(A + "Status"))["draining"] is False


async def test_sql_is_bounded(served: Served, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """By rows and by time; what the store refuses is a BadQuery."""
    asked: list[Any] = []

    async def sql(*arguments: Any) -> Rows:
        asked.append(arguments)
        return Rows(["n"], [[1]], True)

    assert (await client.error(A + "Sql", query="SELECT 1"))[0] == "BadQuery"  # the store in memory knows none
    monkeypatch.setattr(served.daemon.store, "sql", sql)
    assert await client.call(A + "Sql", query="SELECT 1") == {"columns": ["n"], "rows": [[1]], "truncated": True}
    assert asked == [("SELECT 1", 10_000, 5.0)]


async def test_the_service_names_its_interfaces(client: Client) -> None:
    """And describes each of them; another one is not found."""
    said = await client.call("org.varlink.service.GetInfo")

    assert said["interfaces"] == list(INTERFACES)
    for name in said["interfaces"]:
        text = (await client.call("org.varlink.service.GetInterfaceDescription", interface=name))["description"]
        assert f"interface {name}\n" in text
    assert await client.error("org.varlink.service.GetInterfaceDescription", interface="org.example.No") == (
        "InterfaceNotFound",
        {"interface": "org.example.No"},
    )


async def test_metrics_are_what_was_counted_and_what_is(served: Served, client: Client) -> None:
    """With the labels by name; a queue without jobs has no age."""
    await served.daemon.submitted("aaa")
    served.daemon.metrics.notice(
        [Entry(seq=1, at=1.0, kind="submitted", job="aaa")], served.daemon.store.cached
    )
    families = {family["name"]: family for family in (await client.call(A + "Metrics"))["families"]}

    assert families["jobkeep_jobs_submitted"]["samples"] == [
        {"suffix": "_total", "labels": {"queue": "default"}, "value": 1.0}
    ]
    assert families["jobkeep_jobs"]["samples"] == [
        {"suffix": "", "labels": {"queue": "default", "state": "queued"}, "value": 1.0}
    ]
    assert [each["labels"] for each in families["jobkeep_queue_next_age_seconds"]["samples"]] == [{"queue": "default"}]
    assert families["jobkeep_commit_duration_seconds"]["samples"][-1]["suffix"] == "_sum"


async def test_a_backup_is_made_by_the_daemon(served: Served, client: Client) -> None:
    """Where it is told to, with what it holds; what is in its way is said of the parameter."""
    said = await client.call(A + "Backup", file="/b/jobs", force=True)

    assert (said["file"], said["bytes"], said["jobs"], said["schema"]) == ("/b/jobs", 4096, 3, 7)
    assert [(str(to), force) for to, _, force in served.daemon.backups.asked] == [("/b/jobs", True)]
    served.daemon.backups.refuses = BackupRefused("/b/jobs is there already")
    client.ask(A + "Backup", file="/b/jobs")
    reply = await client.reply()
    assert (reply["error"], reply["parameters"]["field"]) == ("org.jobkeep.Jobs.Invalid", "file")
    client.ask(A + "Backup", file="relative")
    assert (await client.reply())["error"] == "org.varlink.service.InvalidParameter"


async def test_a_check_tells_what_it_has_found(served: Served, client: Client) -> None:
    """Nothing, of a database that is well."""
    assert (await client.call(A + "Check"))["problems"] == []
    served.daemon.backups.problems = ["row 3 is missing"]
    assert (await client.call(A + "Check"))["problems"] == ["row 3 is missing"]


async def test_a_reload_tells_each_key(served: Served, client: Client) -> None:
    """As the daemon has it."""
    said = await client.call(A + "Reload")
    assert said == {"changed": [{"key": "jobs.grace", "before": 1.0, "after": 2.0}], "restart": [], "problems": []}
