"""The interface org.jobkeep.Schedules on the wire."""

from __future__ import annotations

import os
from typing import Any

import pytest

from rpc.conftest import Client, Served

pytestmark = pytest.mark.anyio

SCHEDULES = "org.jobkeep.Schedules"
SPEC = {"command": ["./backup.sh"], "cwd": "/srv", "key": "backup"}


async def added(client: Client, **more: Any) -> dict[str, Any]:
    given = {"name": "nightly", "cron": "30 2 * * *", "timezone": "Europe/Berlin", "spec": SPEC, **more}
    schedule = (await client.call(f"{SCHEDULES}.Add", **given))["schedule"]
    assert isinstance(schedule, dict)
    return schedule


async def test_a_shorthand_is_kept_in_fields(served: Served, client: Client) -> None:
    """So that every version knows what it means."""
    assert (await added(client, cron="@daily"))["cron"] == "0 0 * * *"


async def test_a_schedule_is_shown_with_its_next_three_times(served: Served, client: Client) -> None:
    """In UTC; what was left out is as documented."""
    schedule = await added(client)
    assert schedule["next"] == ["2023-11-15T01:30:00Z", "2023-11-16T01:30:00Z", "2023-11-17T01:30:00Z"]
    assert (schedule["missed"], schedule["paused"], schedule["last"], schedule["configured"]) == (
        "run_once", None, None, False,
    )  # fmt: skip
    assert schedule["spec"] == SPEC
    assert (await client.call(f"{SCHEDULES}.List"))["schedules"] == [schedule]
    assert (await client.call(f"{SCHEDULES}.Show", name="nightly"))["schedule"] == schedule
    paused = (await client.call(f"{SCHEDULES}.Pause", name="nightly", reason="new disk"))["schedule"]
    assert (paused["next"], paused["paused"]["uid"], paused["paused"]["reason"]) == ([], os.getuid(), "new disk")
    resumed = (await client.call(f"{SCHEDULES}.Resume", name="nightly"))["schedule"]
    assert resumed["paused"] is None


async def test_a_trigger_submits_its_job_once_per_request(served: Served, client: Client) -> None:
    """With the schedule's name and label; its times are not touched."""
    schedule = await added(client)
    first = await client.call(f"{SCHEDULES}.Trigger", name="nightly", request_id="r1")
    again = await client.call(f"{SCHEDULES}.Trigger", name="nightly", request_id="r1")
    assert (first["created"], again["created"], first["id"]) == (True, False, again["id"])
    job = (await client.call("org.jobkeep.Jobs.Get", id=first["id"]))["job"]
    assert (job["name"], job["labels"]) == ("nightly", {"schedule": "nightly"})
    assert (await client.call(f"{SCHEDULES}.Show", name="nightly"))["schedule"] == schedule
    assert (await client.call(f"{SCHEDULES}.Remove", name="nightly"))["schedule"]["name"] == "nightly"
    assert (await client.call("org.jobkeep.Jobs.Get", id=first["id"]))["job"]["state"] == "queued"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"cron": "61 * * * *"}, "cron"), ({"timezone": "Mars/Here"}, "timezone"), ({"timezone": "../etc"}, "timezone"),
        ({"spec": {"command": []}}, None),
        ({"spec": {"command": ["x"]}, "on_conflict": "cancel_running"}, "on_conflict"),
        ({"spec": {"command": ["x"], "queue": "nowhere"}}, "queue"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named_and_nothing_added(
    served: Served, client: Client, wrong: dict[str, Any], field: str | None
) -> None:
    """As for a submit."""
    _, said = await client.error(f"{SCHEDULES}.Add", **{"name": "s", "cron": "* * * * *", "spec": SPEC, **wrong})
    assert field is None or field in (said.get("field"), *said)
    assert (await client.call(f"{SCHEDULES}.List"))["schedules"] == []


async def test_a_name_that_is_taken_or_is_not_there_is_told(served: Served, client: Client) -> None:
    """By errors of its own."""
    await added(client)
    name, said = await client.error(f"{SCHEDULES}.Add", name="nightly", cron="* * * * *", spec=SPEC)
    assert (name, said["schedule"]) == ("ScheduleConflict", "nightly")
    assert (await added(client, replace=True, cron="* * * * *"))["cron"] == "* * * * *"
    name, said = await client.error(f"{SCHEDULES}.Pause", name="weekly")
    assert (name, said["schedule"]) == ("UnknownSchedule", "weekly")
