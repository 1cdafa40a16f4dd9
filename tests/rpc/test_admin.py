"""The daemon itself, and what it says of its interfaces."""

from __future__ import annotations

from typing import Any

import pytest

from jobkeep.protocol.registry import INTERFACES
from jobkeepd.store.base import Rows
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
    assert await client.call(A + "Stop") == {"pid": 42}
    assert served.daemon.host.stopped


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
