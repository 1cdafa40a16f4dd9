"""The real thing as a session: ChromeDriver, with Chromium under it. Skips where they are not installed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import jobkeep
from crash.judges import children_of, is_alive, parent_of, slay_all
from jobkeep.testing import PrivateDaemon
from ports import free_port

PATIENCE_S = 60.0
DRIVER = shutil.which("chromedriver")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(
    DRIVER is None or BROWSER is None,
    reason="chromedriver and chromium are not installed (Debian: apt install chromium chromium-driver)",
)


@pytest.fixture
def daemon() -> Iterator[PrivateDaemon]:
    port = free_port()
    settings = {
        "COMMAND": json.dumps([DRIVER, f"--port={port}"]),
        "HEALTH": f'{{http = "http://127.0.0.1:{port}/status"}}',
        "INFO": f'{{url = "http://127.0.0.1:{port}"}}',
        "START_TIMEOUT": "60s",
        "HEALTH_TIMEOUT": "20s",
    }
    private = PrivateDaemon(**{f"JOBKEEP_SESSIONS_BROWSER_{key}": value for key, value in settings.items()})
    try:
        with private:
            yield private
    finally:
        slay_all(private.home)


def asked(url: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
        return json.load(reply)["value"]


def browse(url: str, profile: Path) -> str:
    """Start a browser under the driver and show it a page; its title."""
    arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    options = {"binary": BROWSER, "args": [*arguments, f"--user-data-dir={profile}"]}
    started = asked(f"{url}/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}})
    window = f"{url}/session/{started['sessionId']}"
    asked(f"{window}/url", {"url": "data:text/html,<title>here</title>"})
    return str(asked(f"{window}/title"))


def tree_of(pid: int) -> set[int]:
    below = {child for each in children_of(pid) for child in tree_of(each)}
    return {pid, *below}


def beside(leader: int) -> set[int]:
    """All that its slot has. One that is looked at may be handing its run over, from its shim to its warden."""
    while True:
        slot = parent_of(leader)
        tree = tree_of(slot) - {slot}
        if parent_of(leader) == slot:
            return tree


def test_a_killed_driver_takes_its_browsers_along_and_the_next_open_works(daemon: PrivateDaemon) -> None:
    """Renderers, zygotes and crash handlers included, which hide their environment and fork away from their parent. Who
    used it is told that it is lost."""
    with jobkeep.connect_blocking(str(daemon.socket)) as jk:
        with pytest.raises(jobkeep.LeaseLost), jk.session("browser") as session:  # noqa: PT012
            assert session.pid is not None
            assert browse(session.info["url"], daemon.home / "first") == "here"
            tree = beside(session.pid)
            assert len(tree) > 3, "the driver, a browser, and its helpers"
            os.kill(session.pid, signal.SIGKILL)
            began = time.monotonic()
            while left := {pid for pid in tree if is_alive(pid)}:
                assert time.monotonic() - began < PATIENCE_S, f"still there: {left}"
                time.sleep(0.01)
            print(f"{len(tree)} processes of driver and browser gone after {time.monotonic() - began:.2f} s")
            while not session.lost:
                assert time.monotonic() - began < PATIENCE_S
                time.sleep(0.01)
        with jk.session("browser") as again:
            assert again.pid != session.pid
            assert browse(again.info["url"], daemon.home / "second") == "here"
            whole = beside(again.pid or 0)
        jk.close_session("browser")
        assert not any(map(is_alive, whole))
