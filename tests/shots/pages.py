"""Pages of the dashboard as a browser shows them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, NamedTuple

from playwright.sync_api import Browser, expect, sync_playwright

from shots.drawing import private

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PATIENCE_MS = 60_000.0


class Sight(NamedTuple):
    """A page on a screen."""

    path: str
    width: int
    height: int
    scheme: Literal["light", "dark"]


def pictures(environment: Mapping[str, str], batch: str) -> dict[str, bytes]:
    """Of the list of jobs, and of the page of the batch, as PNG."""
    sights = {
        "web-jobs": Sight("/jobs", 1280, 600, "light"),
        "web-job": Sight(f"/jobs/{batch}", 1280, 860, "dark"),
        "web-phone": Sight("/jobs", 390, 780, "light"),
    }
    if CHROMIUM is None:
        raise SystemExit("error: chromium is not installed (Debian: apt install chromium)")
    with served(environment) as ticket, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        with browser.new_context() as first:
            first.new_page().goto(ticket, timeout=PATIENCE_MS)
            state = first.storage_state()
        visitor = {"base_url": ticket.partition("/login")[0], "storage_state": state}
        found = {name: taken(browser, sight, name, **visitor) for name, sight in sights.items()}
        browser.close()
    return found


@contextmanager
def served(environment: Mapping[str, str]) -> Iterator[str]:
    """The address with its ticket."""
    command = [sys.executable, "-m", "jobkeep.web", "--port", "0"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=quiet, text=True) as web:
        assert web.stdout is not None
        try:
            yield web.stdout.readline().split()[-1]
        finally:
            web.kill()


def taken(browser: Browser, sight: Sight, name: str, **options: object) -> bytes:
    """Once the page is alive."""
    size = {"width": sight.width, "height": sight.height}
    with browser.new_context(viewport=size, color_scheme=sight.scheme, **options) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(sight.path, timeout=PATIENCE_MS)
        expect(page.locator("#pulse")).to_have_text("live", timeout=PATIENCE_MS)
        private(name, page.locator("body").inner_text())
        return page.screenshot()
