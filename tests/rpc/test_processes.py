"""Processes and clean-up on the wire."""

from __future__ import annotations

import os

import pytest

from jobkeepd.runner.base import Ended
from rpc.conftest import Client, Served
from rpc.fake_cleanup import sight

pytestmark = pytest.mark.anyio


async def test_ps_lists_what_is_ours_with_its_evidence(served: Served, client: Client) -> None:
    """Others only if they are asked for."""
    processes = (await client.call("org.jobkeep.Processes.List"))["processes"]
    assert [(each["pid"], each["verdict"], each["run"]) for each in processes] == [
        (20, "orphan", "a.1"),
        (21, "owned", "a.2"),
    ]
    assert processes[1] == {
        "pid": 21, "command": "sh", "family": None, "run": "a.2", "verdict": "owned", "evidence": ["slot", "cookie"],
        "action": "protected", "reason": "its run is under way", "uid": 1000, "state": "S", "cpu_s": 1.5,
        "rss_bytes": 1 << 20, "age_s": 10.0,
    }  # fmt: skip
    every = (await client.call("org.jobkeep.Processes.List", all=True))["processes"]
    orphans = (await client.call("org.jobkeep.Processes.List", orphans=True))["processes"]
    assert ([each["pid"] for each in every], [each["pid"] for each in orphans]) == ([20, 21, 22], [20])


async def test_a_clean_up_says_what_it_did_and_for_whom(served: Served, client: Client) -> None:
    """Counts, each process, and who lives on; a dry run says what it would do."""
    served.daemon.cleanup.survivors = [Ended(sight(9, "stuck"), None, (15, 9), gone=False, why="it is in D")]
    reply = await client.call("org.jobkeep.Processes.Cleanup", reason="a leak")
    counts = (reply["killed_count"], reply["protected_count"], reply["active_sessions"], reply["dry_run"])
    assert counts == (1, 1, 2, False)
    assert [each["action"] for each in reply["processes"]] == ["killed", "protected"]
    assert reply["survivors"] == [{"pid": 9, "command": "stuck", "reason": "it is in D"}]
    dry = await client.call("org.jobkeep.Processes.Cleanup", dry_run=True)
    assert (dry["killed_count"], dry["processes"][0]["action"]) == (0, "would_kill")
    (_, by, reason), (dry_run, _, _) = served.daemon.cleanup.asked
    assert (by is not None and by.uid, reason, dry_run) == (os.getuid(), "a leak", True)
