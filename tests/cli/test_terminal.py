"""A terminal gets colours, bars and relative times; nothing else does."""

from __future__ import annotations

import os
import pty
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cli.conftest import start, written_to
from cli.fake_daemon import FLUSH, FakeDaemon, chunk, ended, job
from cli.test_lock_run import until


@pytest.fixture
def listing(daemon: FakeDaemon) -> FakeDaemon:
    half = job(progress={"done": 180, "total": 360, "note": None, "tallies": {}, "failed_items": 0})
    daemon.answers["List"] = lambda where: {"jobs": [half] if "running" in where["state"] else []}
    return daemon


def on_a_terminal(*argv: str, both: bool = False) -> str:
    """What a command line prints on a terminal of 80 columns; `both`: on stderr, too."""
    ours, theirs = pty.openpty()
    process = start(*argv, stdout=theirs, **({"stderr": theirs} if both else {}))
    os.close(theirs)
    output = written_to(ours)
    process.communicate(timeout=120)
    return output


def test_a_terminal_gets_colours_bars_and_relative_times(listing: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """As people like it."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    out = on_a_terminal("ls")

    assert "\x1b[36m▶ running\x1b[0m" in out
    assert "█████░░░░░ 180/360" in out
    assert " ago" in out


@pytest.mark.parametrize("off", ["--color=never", "NO_COLOR", "TERM=dumb"])
def test_colours_can_be_turned_off(listing: FakeDaemon, monkeypatch: pytest.MonkeyPatch, off: str) -> None:
    """By option, by NO_COLOR, or by a terminal that has none; the bars stay."""
    monkeypatch.setenv("TERM", "dumb" if off == "TERM=dumb" else "xterm")
    if off == "NO_COLOR":
        monkeypatch.setenv("NO_COLOR", "1")
    out = on_a_terminal("ls", *([off] if off.startswith("--") else []))

    assert "\x1b" not in out
    assert "█████░░░░░" in out


def test_a_pipe_gets_plain_text(listing: FakeDaemon) -> None:
    """No colour, no bar, ISO times; colours if they are asked for."""
    plain, _ = start("ls").communicate(timeout=120)
    coloured, _ = start("ls", "--color", "always").communicate(timeout=120)

    assert b"\x1b" not in plain
    assert "█".encode() not in plain
    assert b"2026-03-01T11:45:00Z" in plain
    assert b"\x1b[36m" in coloured


def test_a_follower_on_a_terminal_sees_how_it_goes(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that is gone before the output comes; elsewhere there is none."""
    progress = {"done": 1, "total": 4, "note": None, "tallies": {}, "failed_items": 0}

    def logs_looked_at(_: object) -> Iterator[dict[str, Any]]:
        """Until there is a second look, by which what the first one found is drawn."""
        yield FLUSH
        seen = len(daemon.called("Get"))

        def get(_: object) -> dict[str, Any]:
            return {"job": job(progress=progress) if len(daemon.called("Get")) == seen + 1 else ended()}

        daemon.answers["Get"] = get
        until(lambda: len(daemon.called("Get")) > seen + 1)
        yield chunk(b"hi\n")

    def logs(_: object) -> Iterator[dict[str, Any]]:
        yield FLUSH
        time.sleep(1.5)
        daemon.answers["Get"] = {"job": ended()}
        yield chunk(b"hi\n")

    running = {"job": job(progress=progress)}
    daemon.answers.update(
        Submit={"id": "k3x9a0b1", "state": "running", "created": True}, Logs=logs_looked_at, Get=running
    )
    monkeypatch.setenv("TERM", "xterm")
    on = on_a_terminal("run", "x", both=True)
    daemon.answers.update(Logs=logs, Get=running)
    out, err = start("run", "x").communicate(timeout=120)

    assert "\r\x1b[K██████░░░░░░░░░░░░░░░░░░  1/4  25%" in on
    assert on.endswith("\r\x1b[Khi\n")
    assert (out, err) == (b"hi\n", b"")


def test_a_terminal_without_unicode_is_no_error(listing: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Glyphs become escapes."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    process = start("ls")
    out, err = process.communicate(timeout=120)

    assert (process.returncode, err) == (0, b"")
    assert b"\\u25b6 running" in out
