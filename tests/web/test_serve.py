"""The port of the dashboard: on this host alone, and open before anybody is told of it."""

from __future__ import annotations

import socket
import sys

import pytest

from jobkeep.web.__main__ import main
from jobkeep.web.serve import PortTaken, listen


def test_the_port_is_open_before_its_address_is_told() -> None:
    """A browser that comes before anything is served waits, and is not turned away."""
    with listen(0) as listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        socket.create_connection((host, port), timeout=120).close()


def test_to_name_a_port_that_is_taken_is_a_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As any other of the command line: exit code 2."""
    with listen(0) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr(sys, "argv", ["web", f"--port={port}"])
        assert main() == 2
    assert f"cannot listen on port {port}: Address already in use\nhint: " in capsys.readouterr().err


def test_a_port_that_is_taken_is_told() -> None:
    """By name, with what to do; the usual one gives way to any other."""
    with listen(0) as listener, pytest.raises(PortTaken) as told:
        listen(listener.getsockname()[1])
    assert told.value.hint
    with listen(None), listen(None) as other:
        assert other.getsockname()[1]
