"""The board of the terminal with a real daemon, which is killed under it."""

from __future__ import annotations

import pytest

import jobkeep
from cli.screens import Pilot, drive, rows, screen, until
from jobkeep.cli.top.app import Top
from jobkeep.testing import PrivateDaemon


def test_the_board_follows_a_job_over_a_kill_of_the_daemon_to_its_end(
    daemon: PrivateDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row, length and output; a banner while nobody answers; then the job is there again, and a key kills it."""
    monkeypatch.setenv("JOBKEEP_SOCKET", str(daemon.socket))
    with jobkeep.connect_blocking(str(daemon.socket)) as jk:
        job = jk.run(["sh", "-c", "echo hello; sleep 1000"], name="long", lock="crm")

    async def script(top: Top, pilot: Pilot) -> None:
        await until(pilot, lambda: any("▶ running" in row and "long" in row for row in rows(top)))
        await pilot.press("2")
        await until(pilot, lambda: any(row.startswith("crm") and job.id[:8] in row for row in rows(top)))
        await pilot.press("4")
        await until(pilot, lambda: any(f"{job.id[:8]}.1" in row for row in rows(top)))
        await pilot.press("1", "enter")
        await until(pilot, lambda: "hello" in screen(top) and "run 1 has been running" in screen(top))
        daemon.kill()
        await until(pilot, lambda: "the daemon does not answer" in screen(top))
        daemon.start().close()
        await until(pilot, lambda: "the daemon does not answer" not in screen(top))
        await pilot.press("C")
        await until(pilot, lambda: "Kill job" in screen(top))
        await pilot.press("y")
        await until(pilot, lambda: "⊘ cancelled" in screen(top))
        await pilot.press("escape")
        await until(pilot, lambda: any("⊘ cancelled" in row for row in rows(top)))

    drive(script)
