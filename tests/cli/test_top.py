"""`jobkeep top` on textual's own test terminal, with a scripted daemon."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import pytest
from textual.widgets import Static

from cli.fake_daemon import FLUSH, FakeDaemon, Fault, Hangup, chunk, ended, job
from cli.screens import Pilot, drive, rows, screen, until
from cli.test_board import LOCK, PROCESS, STATUS
from cli.test_watching import event
from jobkeep.cli.top.app import Top
from jobkeep.cli.top.rows import Rows
from jobkeep.cli.top.screens import JobScreen, Question

REFUSED = {"allowed": False, "reason": "the job is running; only failed and cancelled jobs are resumed"}
ALLOWED = {"allowed": True, "reason": None}
RUNNING = job(
    "k3x9a0b1", name="nightly", actions={"cancel": ALLOWED, "resume": REFUSED, "restart": ALLOWED, "rm": REFUSED}
)
OTHER = job("m7aaaaaa", name="sync", actions={"cancel": ALLOWED})


class Scripted:
    """A daemon with jobs, whose events come when a test says so."""

    def __init__(self, daemon: FakeDaemon) -> None:
        self.daemon = daemon
        self.jobs = {RUNNING["id"]: RUNNING, OTHER["id"]: OTHER}
        self._events: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self.answer(daemon)

    def answer(self, daemon: FakeDaemon) -> None:
        self.daemon = daemon
        daemon.answers.update(
            Status=STATUS, List=self.list, Get=self.get, Events=lambda _: self.events(), Explain={"reasons": []},
            Logs=lambda _: iter([chunk(b"line\r\n")]), FailedItems={"items": []},
        )  # fmt: skip

    def list(self, asked: dict[str, Any]) -> dict[str, Any]:
        if "state" in asked:
            return {"jobs": [job for job in self.jobs.values() if job["state"] in asked["state"]]}
        return {"processes": [PROCESS]} if "orphans" in asked else {"locks": [LOCK], "sessions": []}

    def get(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["id"] not in self.jobs:
            raise Fault("NotFound", message=f"there is no job {asked['id']}")
        return {"job": self.jobs[asked["id"]]}

    def events(self) -> Iterator[dict[str, Any]]:
        yield FLUSH
        while (told := self._events.get()) is not None:
            yield told
            yield FLUSH
        raise Hangup

    def tell(self, id: str) -> None:
        self._events.put(event(id))

    def hang_up(self) -> None:
        self._events.put(None)


@pytest.fixture
def scripted(daemon: FakeDaemon) -> Iterator[Scripted]:
    told = Scripted(daemon)
    yield told
    told.hang_up()


def test_rows_change_with_events_and_the_chosen_one_stays(scripted: Scripted) -> None:
    """Without an event nothing is asked for; a job that comes above the cursor does not move it off its row."""

    async def script(top: Top, pilot: Pilot) -> None:
        await until(pilot, lambda: len(rows(top)) == 2)
        await pilot.press("down")
        assert top.query_one(Rows).chosen == "m7aaaaaa"

        scripted.jobs = {"new00000": job("new00000", name="fresh"), **scripted.jobs}
        scripted.tell("new00000")
        await until(pilot, lambda: len(rows(top)) == 3 and "fresh" in rows(top)[0])
        assert top.query_one(Rows).chosen == "m7aaaaaa"

        scripted.jobs = {**scripted.jobs, "m7aaaaaa": ended("failed", job__id="m7aaaaaa", job__name="sync")}
        scripted.tell("m7aaaaaa")
        await until(pilot, lambda: any("✗ failed" in row and "sync" in row for row in rows(top)))
        assert top.query_one(Rows).chosen == "m7aaaaaa"

    drive(script)


def test_nothing_is_asked_while_nothing_happens(scripted: Scripted) -> None:
    """Jobs that wait: two looks at the start, then one for each burst of events."""
    scripted.jobs = {"q": job("q", state="queued")}

    async def script(top: Top, pilot: Pilot) -> None:
        await until(pilot, lambda: len(scripted.daemon.called("Status")) == 2)
        began = time.monotonic()
        for _ in range(50):
            scripted.tell("q")
        await until(pilot, lambda: len(scripted.daemon.called("Status")) > 2)
        await pilot.pause(0.5)
        most = 5 + 10 * (time.monotonic() - began)  # on a starved host the burst comes as several
        assert len(scripted.daemon.called("Status")) <= most

    drive(script)


def test_a_key_that_is_not_allowed_says_why(scripted: Scripted) -> None:
    """With the daemon's own reason, and nothing is asked of it."""

    async def script(top: Top, pilot: Pilot) -> None:
        await until(pilot, lambda: rows(top))
        await pilot.press("r")
        await until(pilot, lambda: f"resume: {REFUSED['reason']}" in screen(top))
        assert scripted.daemon.called("Resume") == []

    drive(script)


def test_cancel_and_force_ask_first(scripted: Scripted) -> None:
    """Only `y` is yes; what came of it is told, a refusal with its hint."""
    scripted.daemon.answers["Cancel"] = {"id": "k3x9a0b1", "state": "cancelling"}

    async def script(top: Top, pilot: Pilot) -> None:
        await until(pilot, lambda: rows(top))
        for no in ("enter", "n"):
            await pilot.press("c")
            await until(pilot, lambda: isinstance(top.screen, Question))
            assert "Cancel job k3x9a0b1 (nightly)?" in screen(top)
            await pilot.press(no)
            await until(pilot, lambda: not isinstance(top.screen, Question))
        assert scripted.daemon.called("Cancel") == []

        await pilot.press("C")
        await until(pilot, lambda: isinstance(top.screen, Question))
        assert "Kill job k3x9a0b1 (nightly) at once" in screen(top)
        await pilot.press("y")
        await until(pilot, lambda: "k3x9a0b1: … cancelling" in screen(top))
        assert scripted.daemon.called("Cancel") == [{"id": "k3x9a0b1", "force": True}]

        def refuse(_: object) -> None:
            raise Fault("Refused", message="cannot restart job k3x9a0b1: it ends", id="k3x9a0b1")

        scripted.daemon.answers["Restart"] = refuse
        await pilot.press("s")
        await until(pilot, lambda: isinstance(top.screen, Question))
        await pilot.press("y")
        await until(pilot, lambda: "cannot restart job k3x9a0b1" in screen(top))
        assert "jobkeep show k3x9a0b1 says" in screen(top)

    drive(script)


def test_enter_shows_the_job_at_length(scripted: Scripted) -> None:
    """Reasons, facts, keys, output; the keys act on it; it may go meanwhile; escape leads back."""
    scripted.daemon.answers["Explain"] = {"reasons": [{"kind": "running", "text": "its run is under way"}]}

    async def script(top: Top, pilot: Pilot) -> None:
        await until(pilot, lambda: rows(top))
        await pilot.press("enter")
        await until(pilot, lambda: "its run is under way" in screen(top))
        assert isinstance(top.screen, JobScreen)
        assert "./backup.sh --all" in screen(top)
        assert str(top.screen.query_one("#printed", Static).render()) == "line"
        await pilot.press("C")
        await until(pilot, lambda: "Kill job k3x9a0b1" in screen(top))
        await pilot.press("n")
        scripted.jobs = {}
        scripted.tell("k3x9a0b1")
        await until(pilot, lambda: "there is no job k3x9a0b1" in screen(top))
        await pilot.press("escape")
        await until(pilot, lambda: "no jobs yet" in screen(top))

    drive(script)


def test_tabs_lead_to_the_jobs_behind_them(scripted: Scripted) -> None:
    """Only the tab that is shown is asked for; keys act on jobs alone."""
    scripted.jobs["aaaa1111"] = job("aaaa1111", name="holder")

    async def script(top: Top, pilot: Pilot) -> None:
        await until(pilot, lambda: rows(top))
        await pilot.press("2")
        await until(pilot, lambda: rows(top) and rows(top)[0].startswith("crm"))
        await pilot.press("c")
        await until(pilot, lambda: "that is for jobs" in screen(top))
        await pilot.press("enter")
        await until(pilot, lambda: "holder" in screen(top))
        await pilot.press("escape", "tab")
        await until(pilot, lambda: "no session is configured" in screen(top))
        await pilot.press("4")
        await until(pilot, lambda: rows(top) and "4711" in rows(top)[0])

    drive(script)


def test_a_filter_is_typed_below(scripted: Scripted) -> None:
    """Keys are letters meanwhile; enter keeps it, escape ends it."""

    async def script(top: Top, pilot: Pilot) -> None:
        await until(pilot, lambda: len(rows(top)) == 2)
        await pilot.press("slash", *"sync")
        await until(pilot, lambda: len(rows(top)) == 1)
        await pilot.press("enter")
        assert top.query_one(Rows).chosen == "m7aaaaaa"
        assert "sync: 1 of 2" in screen(top)
        await pilot.press("escape")
        await until(pilot, lambda: len(rows(top)) == 2)
        assert scripted.daemon.called("Cancel") == []

    drive(script)


def test_a_restart_of_the_daemon_is_survived_with_a_banner(scripted: Scripted, folder: str) -> None:
    """What has changed meanwhile is seen at once; a key pressed meanwhile does nothing and says so."""

    async def script(top: Top, pilot: Pilot) -> None:
        await until(pilot, lambda: rows(top) and scripted.daemon.called("Events"))  # or the next daemon would hang up
        scripted.daemon.close()
        scripted.hang_up()
        await until(pilot, lambda: "the daemon does not answer; its jobs run on" in screen(top))
        await pilot.press("c")
        await until(pilot, lambda: "the daemon does not answer" in [each.message for each in top._notifications])
        scripted.jobs = {"new00000": job("new00000", name="fresh")}
        os.unlink(f"{folder}/s")
        scripted.answer(FakeDaemon(f"{folder}/s"))
        await until(pilot, lambda: [row for row in rows(top) if "fresh" in row])
        assert "its jobs run on" not in screen(top)

    drive(script)
    scripted.daemon.close()


def test_names_of_others_neither_mark_up_nor_steer(scripted: Scripted) -> None:
    """Brackets stay what they are; control characters are escaped, in rows, questions and at length."""
    scripted.jobs = {"k": job("k", name="[red]x[/red]\x1b[2J", actions={"cancel": ALLOWED}, labels={"[b]": "\x07"})}

    async def script(top: Top, pilot: Pilot) -> None:
        await until(pilot, lambda: rows(top))
        assert "[red]x[/red]\\x1b[2J" in rows(top)[0]
        await pilot.press("c")
        await until(pilot, lambda: "Cancel job k ([red]x[/red]\\x1b[2J)?" in screen(top))
        await pilot.press("n", "enter")
        await until(pilot, lambda: "[b]=\\x07" in screen(top))
        assert "\x1b" not in screen(top)

    drive(script)


def test_a_tab_that_may_not_be_seen_says_so(scripted: Scripted) -> None:
    """The others go on."""

    def refuse(asked: dict[str, Any]) -> dict[str, Any]:
        if "orphans" in asked:
            raise Fault("org.jobkeep.Processes.NotPermitted", message="only operators may")
        return scripted.list(asked)

    scripted.daemon.answers["List"] = refuse

    async def script(top: Top, pilot: Pilot) -> None:
        await until(pilot, lambda: rows(top))
        await pilot.press("4")
        await until(pilot, lambda: "only operators may" in screen(top))
        await pilot.press("1")
        await until(pilot, lambda: rows(top))

    drive(script)


def test_a_tick_that_comes_after_the_end_draws_nothing(scripted: Scripted) -> None:
    """The terminal is given back by then."""
    ended: list[Top] = []

    async def script(top: Top, pilot: Pilot) -> None:
        await until(pilot, lambda: rows(top))
        ended.append(top)

    drive(script)
    assert ended[0].screen_stack == []
    ended[0].draw()


def test_what_comes_while_it_ends_draws_nothing(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its widgets go one after the other, and news come meanwhile."""

    async def script(top: Top, pilot: Pilot) -> None:
        await until(pilot, lambda: rows(top))
        monkeypatch.setattr(Top, "is_running", False)
        await top.screen_stack[0].query("#summary, #keys").remove()
        top.draw()
        top._other_row()

    drive(script)
