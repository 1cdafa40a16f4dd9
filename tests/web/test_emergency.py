"""The emergency of the dashboard, with a real daemon and real processes."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator

import pytest
from anyio.from_thread import start_blocking_portal

from crash.judges import processes_of, slay_all
from jobkeep.testing import PrivateDaemon
from jobkeep.web.connection import Connection
from web.conftest import opened

PATIENCE = 60.0


@pytest.fixture
def daemon() -> Iterator[PrivateDaemon]:
    private = PrivateDaemon()
    try:
        yield private
    finally:
        private.kill()
        slay_all(private.home)
        shutil.rmtree(private.home)


def sleeping(daemon: PrivateDaemon) -> set[int]:
    return {pid for pid, command in processes_of(daemon.home).items() if command.startswith("sleep 600")}


def test_a_daemon_that_hangs_is_ended_by_a_typed_word(daemon: PrivateDaemon) -> None:
    """What would be ended is shown first; with another word all lives on; then nothing is left, and it is on record."""
    with daemon.start() as jk:
        job = jk.run(["sleep", "600"]).id
        deadline = time.monotonic() + PATIENCE
        while not (doomed := sleeping(daemon)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    with start_blocking_portal() as portal:
        connection = Connection(str(daemon.socket), autostart=False)
        with portal.wrap_async_context_manager(connection), opened(connection, portal) as site:
            site.enter()
            os.kill(daemon.pid, signal.SIGSTOP)
            asks = site.post("/system/emergency", alive=False)
            site.post("/system/emergency", 422, alive=False, sure="1", word="Emergency!")
            assert sleeping(daemon) == doomed
            told = site.post("/system/emergency", alive=False, sure="1", word="emergency")
    assert "All is ended" in told
    assert f"<dt>Daemon</dt><dd>{daemon.pid}</dd>" in asks
    assert all(f"<code>{pid} (" in asks for pid in doomed)
    daemon.wait()
    assert processes_of(daemon.home) == {}
    with daemon.start() as jk:
        assert jk.job(job).info().state == "cancelled"
        (record,) = [event for event in jk.events(after=0) if event.kind == "emergency"]
        assert record.data["reason"] == "emergency: asked for on the dashboard"
