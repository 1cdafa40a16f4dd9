"""watch: a table or a picture redrawn in place, a line for each change elsewhere, and few questions."""

from __future__ import annotations

import _thread
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cli.conftest import Jobkeep
from cli.fake_daemon import FLUSH, FakeDaemon, Fault, Hangup, chunk, ended, job
from cli.test_terminal import on_a_terminal
from jobkeep.cli.render import watch as render
from jobkeep.cli.render.style import Style
from jobkeep.cli.screen import Screen

Job = dict[str, Any]
ID = "k3x9a0b1c2d3e4f5"
NOW = 1772366400.0  # 2026-03-01T12:00:00Z
HALF = {"done": 180, "total": 360, "note": "row\t180", "tallies": {"added": 169, "failed": 11}, "failed_items": 11}


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ticks of an instant. What is looked at by the clock comes seconds later, when a test is over."""
    monkeypatch.setattr("jobkeep.cli.watching.TICK", 0.01)
    monkeypatch.setattr("jobkeep.cli.watching.LEAST", 0.0)


def event(job: str = ID, seq: int = 1) -> Job:
    return {"event": {"seq": seq, "at": "2026-03-01T11:57:00Z", "kind": "started", "job": job, "data": {}}}


class Told:
    """A daemon with one job; its next state comes, with an event, when the one before has been asked for."""

    def __init__(self, daemon: FakeDaemon, *states: Job) -> None:
        self.daemon = daemon
        self.states = list(states)
        self.now = self.states.pop(0)
        daemon.answers.update(Get=lambda _: {"job": self.now}, Events=self.events, Logs=lambda _: iter([chunk(b"")]))

    def events(self, _: object) -> Iterator[Job]:
        yield FLUSH
        while True:
            asked = len(self.daemon.called("Get"))
            self.until(lambda asked=asked: len(self.daemon.called("Get")) > asked)
            if not self.states:
                self.until(lambda: False)
            self.now = self.states.pop(0)
            yield event()
            yield FLUSH

    def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not true():
            if time.monotonic() > deadline:
                raise Hangup
            time.sleep(0.002)


def test_a_line_for_each_change_until_all_have_ended(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """State, run and how far; the exit code is that of `wait`."""
    Told(daemon, job(state="queued", attempt=0), job(progress=HALF), ended("failed", exit_code=3))
    done = jobkeep("watch", "k3x")

    assert done.code == 1
    assert [line.split("  ", 1)[1] for line in done.out.splitlines()] == [
        "k3x9a0b1  backup  · queued, submitted at 2026-03-01T11:40:00Z",
        "k3x9a0b1  backup  ▶ running for 12 min  180/360  50%  about 12 min left  row\\t180",
        "k3x9a0b1  backup  ✗ failed at 2026-03-01T11:57:00Z after 12 min: exit code 3",
    ]
    assert done.err == ""


def test_programs_get_the_job_for_each_change(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """As in show --json; with -q the id of what has ended."""
    Told(daemon, job(), ended())
    assert jobkeep("watch", "--json", "k3x").rows == [job(), ended()]

    Told(daemon, job(), ended())
    done = jobkeep("watch", "-q", "k3x")
    assert (done.code, done.out) == (0, f"{ID}\n")


def test_nothing_is_asked_while_nothing_happens(
    jobkeep: Jobkeep, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the stream, once it has begun, and when an event names the job: not for the events of others."""
    told = Told(daemon, job(state="queued"))

    def events(_: object) -> Iterator[Job]:
        yield FLUSH
        told.until(lambda: len(daemon.called("Get")) == 2)
        for seq in range(100):
            yield event("another", seq)
        yield FLUSH
        told.now = ended()
        yield event()
        yield FLUSH
        told.until(lambda: False)

    daemon.answers["Events"] = events
    assert jobkeep("watch", "k3x").code == 0
    assert len(daemon.called("Get")) == 3
    assert len(daemon.called("Events")) == 1


def test_another_daemon_is_followed_without_a_gap(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """What has ended while there was none is seen when there is one again."""
    told = Told(daemon, job())

    def events(_: object) -> Iterator[Job]:
        yield FLUSH
        told.until(lambda: len(daemon.called("Get")) > 1)
        told.now = ended()
        raise Hangup

    daemon.answers["Events"] = events
    done = jobkeep("watch", "k3x")

    assert (done.code, len(done.out.splitlines())) == (0, 2)


def test_without_ids_it_goes_on_until_ctrl_c(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Jobs that are live, and then each that changes; those that had ended before are none. 130, and no word."""
    told = Told(daemon, job("live1"))

    def events(_: object) -> Iterator[Job]:
        yield FLUSH
        told.until(lambda: len(daemon.called("List")) > 2)
        daemon.answers["List"] = {"jobs": []}
        told.now = ended(job__id="live1")
        for looks in (0, 1):  # the second look comes when the first one has been printed
            yield event("live1")
            yield FLUSH
            told.until(lambda looks=looks: len(daemon.called("Get")) > looks)
        _thread.interrupt_main()
        told.until(lambda: False)

    old = ended(job__id="old1")
    daemon.answers.update(Events=events, List=lambda q: {"jobs": [job("live1") if "running" in q["state"] else old]})
    done = jobkeep("watch")

    assert (done.code, done.err) == (130, "")
    assert [line.split("  ")[1] for line in done.out.splitlines()] == ["live1", "live1"]


def test_a_job_that_there_is_not_is_told(jobkeep: Jobkeep, daemon: FakeDaemon) -> None:
    """Exit code 3, before anything is watched."""

    def get(_: object) -> Job:
        raise Fault("NotFound", message="there is no job zz", id="zz")

    daemon.answers["Get"] = get
    assert jobkeep("watch", "zz").code == 3
    assert daemon.called("Events") == []


def test_a_terminal_gets_a_picture_in_place(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bar, time left, note, tallies and the end of the output; each one in the place of the one before."""
    monkeypatch.setenv("TERM", "xterm")
    Told(daemon, job(progress=HALF), ended())
    said = [chunk(b"one\r\n10%\r20%\r30%\n"), chunk(b"\x1b[31mred\x1b[0m\n", offset=14)]
    daemon.answers["Logs"] = lambda _: iter(said)
    out = on_a_terminal("watch", "k3x")

    assert "████████████░░░░░░░░░░░░  180/360  50%  about 12 min left" in out
    assert "169 added, 11 failed" in out
    assert "\x1b[Kone\n\x1b[K30%\n\x1b[Kred\n" in out
    assert "\r\x1b[11A" in out  # up again, by all the lines of the picture
    assert "✓ succeeded" in out.rpartition("A\x1b[?7l")[2]


def test_a_picture_is_drawn_over_the_one_before(capsys: pytest.CaptureFixture[str]) -> None:
    """Shorter ones leave nothing of it; erased, nothing is left at all. A line that fills its row keeps its end."""
    screen = Screen()
    screen.draw(["a", "b"])
    screen.draw(["c"])
    screen.erase()
    screen.erase()

    assert capsys.readouterr().out == (
        "\x1b[?7l\x1b[Ka\n\x1b[Kb\n\x1b[?7h\x1b[J" "\r\x1b[2A\x1b[?7l\x1b[Kc\n\x1b[?7h\x1b[J" "\r\x1b[1A\x1b[J"
    )  # fmt: skip


def test_a_picture_has_as_much_output_as_there_is_room_for() -> None:
    """The last lines; two streams share it."""
    style = Style(tty=True, now=NOW)
    said = {"stdout": [f"line {n}" for n in range(50)], "stderr": ["oops"]}

    assert len(render.one(job(progress=HALF), {"stdout": said["stdout"]}, style, 20)) == 20
    both = render.one(job(progress=HALF), said, style, 20)
    assert both[-1] == "oops"
    assert "line 49" in both
    assert len(both) <= 20
    assert render.one(job(), said, style, 3) == render.one(job(), {}, style, 3)


@pytest.mark.parametrize(
    ("raw", "lines"),
    [(b"", []),
     (b"a\nb", ["a", "b"]), (b"a\r\n\n", ["a", ""]), (b"1\r22\r3\n", ["3"]), (b"\xff\x07\n", ["\ufffd\\x07"]),
     (b"\x1b[1;31mred\x1b[m \x1b]0;title\x07x\n", ["red x"])],
)  # fmt: skip
def test_output_is_shown_as_a_terminal_would_have_left_it(raw: bytes, lines: list[str]) -> None:
    """Without its colours and titles, and nothing in it moves the cursor."""
    assert render.tail(raw) == lines
