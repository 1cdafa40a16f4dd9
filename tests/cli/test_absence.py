"""A daemon that dies while something follows: it is started again where that is allowed, and the words are few."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from cli.conftest import Jobkeep
from cli.fake_daemon import FLUSH, FakeDaemon, Hangup, chunk, ended

ID = "k3x9a0b1c2d3e4f5"
GONE = "jobkeep: the daemon is gone; reconnecting…\n"


class Mortal:
    """The user's own daemon: it dies in its first Logs or Wait, and `start` brings up the next one."""

    def __init__(self, folder: str) -> None:
        self.path = f"{folder}/jobkeep/socket"
        self.starts: list[str] = []
        self.daemon = FakeDaemon(self.path)
        self.daemon.answers.update(self._answers(), Logs=self._dying_logs, Wait=self._die)

    def start(self, *, socket: str) -> str:
        self.starts.append(socket)
        self.daemon = FakeDaemon(socket)
        self.daemon.answers.update(
            self._answers(),
            Logs=lambda _: iter([chunk(b"one"), chunk(b"two", offset=3)]),
            Wait={"jobs": [ended()], "timed_out": False},
        )
        return socket

    def _answers(self) -> dict[str, Any]:
        return {"Submit": {"id": ID, "state": "queued", "created": True}, "Get": {"job": ended(exit_code=0)}}

    def _dying_logs(self, _: object) -> Iterator[dict[str, Any]]:
        yield chunk(b"one")
        yield FLUSH
        self._die()

    def _die(self, _: object = None) -> None:
        self.daemon.close()
        os.unlink(self.path)  # else the next one could not bind
        raise Hangup


@pytest.fixture
def mortal(folder: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mortal]:
    os.mkdir(f"{folder}/jobkeep")
    mortal = Mortal(folder)
    monkeypatch.delenv("JOBKEEP_SOCKET")
    monkeypatch.delenv("JOBKEEP_AUTOSTART")
    monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
    monkeypatch.setattr("jobkeep.client.autostart.start_daemon", mortal.start)
    monkeypatch.setattr("jobkeep.cli.revival.start_daemon", mortal.start)
    monkeypatch.setattr("jobkeep.cli.revival.refused", lambda _: None)
    monkeypatch.setattr("jobkeep.cli.revival.STOPPED", 0.1)
    yield mortal
    mortal.daemon.close()


@pytest.mark.parametrize(
    ("line", "out"), [(["run", "x"], "onetwo"), (["logs", "-f", "k"], "onetwo"), (["wait", "k"], None)]
)
def test_whoever_follows_starts_the_users_daemon_again(
    jobkeep: Jobkeep, mortal: Mortal, line: list[str], out: str | None
) -> None:
    """Once, with one line on stderr, and goes on as if nothing had been."""
    done = jobkeep(*line)

    assert (done.code, done.err) == (0, GONE)
    assert out is None or done.out == out
    assert mortal.starts == [mortal.path]


@pytest.mark.parametrize("why", ["off", "named"])
@pytest.mark.parametrize("line", [["run", "x"], ["wait", "k"]])
def test_nothing_is_started_where_nothing_would_be_at_first(
    jobkeep: Jobkeep, mortal: Mortal, monkeypatch: pytest.MonkeyPatch, line: list[str], why: str
) -> None:
    """With JOBKEEP_AUTOSTART=0 or a named socket: exit code 4, and the job goes on."""
    monkeypatch.setattr("jobkeep.cli.follow.FOLLOW_PATIENCE", 0.6)
    monkeypatch.setattr("jobkeep.cli.commands.wait.FOLLOW_PATIENCE", 0.6)
    monkeypatch.setenv(*(("JOBKEEP_AUTOSTART", "0") if why == "off" else ("JOBKEEP_SOCKET", mortal.path)))
    done = jobkeep(*line)

    assert done.code == 4
    assert done.err.startswith(GONE)
    assert "go on" in done.err.replace("goes on", "go on")
    assert mortal.starts == []
