"""The host is suspended for a night: CLOCK_MONOTONIC stands still, the wall clock and the host's uptime go on."""

from __future__ import annotations

import anyio
import pytest
from msgspec.structs import replace

from fakes.runner import FakeClock
from supervisor.conftest import ME, Stage
from supervisor.test_cleanup import DAEMON, SETTINGS, Yard, actions
from supervisor.test_recovery import function

pytestmark = pytest.mark.anyio
NIGHT = 8 * 3600.0


def sleep_over(stage: Stage) -> None:
    """The host's, not ours."""
    clock = stage.workshop.clock
    assert isinstance(clock, FakeClock)
    clock.jump(NIGHT)


async def test_what_slept_with_the_host_is_neither_late_nor_over(stage: Stage) -> None:
    """Leases, heartbeats, stalls, timeouts and waits count the time in which their owners could do something."""
    locks = stage.supervisor.locks
    lease = await locks.acquire("crm", "lease-a", 60.0, 0.0, ME)
    run = await function(stage, stall_after_s=600.0, timeout_s=3600.0)
    (held_up,) = await stage.submit(lock="crm", queue_timeout_s=600.0)
    await anyio.sleep(5)
    sleep_over(stage)
    await anyio.sleep(5)
    (row,) = await stage.supervisor.recovery.recover_once(older_than=1800.0)
    assert (row.job.id, row.finding.verdict, row.live and row.live.health) == (run, "alive", "ok")
    assert (await stage.store.get(held_up)).state == "queued"
    await locks.renew("crm", lease.token, 0.0, ME)


async def test_what_fell_due_meanwhile_is_done_at_once(stage: Stage) -> None:
    """A date is a date: retries, delays and schedules go by the calendar, and are looked at every ten seconds."""
    (job,) = await stage.submit(delay_s=NIGHT)
    await anyio.sleep(5)
    assert (await stage.store.get(job)).state == "scheduled"
    sleep_over(stage)
    await anyio.sleep(11)
    assert (await stage.store.get(job)).state in ("running", "succeeded")


async def test_nobody_is_an_orphan_for_longer_because_of_it(stage: Stage) -> None:
    """Whose parent ended as the lid was closed gets its time when it is opened again."""
    yard = Yard(stage, replace(SETTINGS, orphaned_for=10.0))
    yard.host.start(150, DAEMON, "shell")
    browser = yard.host.start(200, 150, "driver")
    await anyio.sleep(60)
    await yard.cleanup.clean_once()
    yard.host.sights[200] = replace(browser, parent=1)
    del yard.host.sights[150]
    yard.host.slept += NIGHT
    await anyio.sleep(1)
    assert actions(await yard.cleanup.clean_once())[200] == "left"
    await anyio.sleep(11)
    assert actions(await yard.cleanup.clean_once())[200] == "killed"
