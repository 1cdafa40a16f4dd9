"""The dashboard in a real browser, over a real daemon: Debian's chromium, driven by Playwright."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

import jobkeep
from jobkeep.testing import PrivateDaemon
from web.mailing import BATCH, EVIL

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
AXE = Path(__file__).resolve().parents[2] / ".axe/node_modules/axe-core/axe.min.js"
PATIENCE_MS = 45_000
PAGES = ("/jobs", "/jobs?state=all", "/jobs/{id}", "/jobs/{id}/items", "/locks", "/queues", "/processes", "/system")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian: apt install chromium)")


@pytest.fixture(scope="module")
def daemon() -> Iterator[PrivateDaemon]:
    private = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT="4")
    (private.home / "batch.py").write_text(BATCH)
    with private:
        yield private


@pytest.fixture(scope="module")
def jk(daemon: PrivateDaemon) -> Iterator[jobkeep.BlockingClient]:
    with jobkeep.connect_blocking(str(daemon.socket), autostart=False) as jk:
        yield jk


@pytest.fixture(scope="module")
def batch(daemon: PrivateDaemon, jk: jobkeep.BlockingClient) -> str:
    """A job that stands at some of its items until there is a file for each, and another one beside it."""
    options = {"count": 400, "gate": f"{daemon.home}/gate", "password": "hunter2"}
    jk.run(["sleep", "300"], name="waiting", label={"client": "acme"})
    return jk.call("batch:work", options, name="mailing", cwd=str(daemon.home), python=sys.executable).id


@contextmanager
def served(daemon: PrivateDaemon, *flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A dashboard, and the address with its ticket."""
    command = [sys.executable, "-m", "jobkeep.web", "--socket", str(daemon.socket), "--port", "0", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().split()[-1]
        finally:
            process.kill()


@pytest.fixture(scope="module")
def address(daemon: PrivateDaemon) -> Iterator[str]:
    with served(daemon) as (_, address):
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        expect.set_options(timeout=PATIENCE_MS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def entered(browser: Browser, address: str) -> BrowserContext:
    """The browser that has used the ticket."""
    context = browser.new_context(base_url=address.partition("/login")[0], viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    context.new_page().goto(address)
    return context


@pytest.fixture
def page(entered: BrowserContext) -> Iterator[Page]:
    """A page on which nothing may go wrong unseen."""
    page = entered.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if is_trouble(message) else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    yield page
    page.close()
    assert wrong == []


def is_trouble(message: ConsoleMessage) -> bool:
    """What a script or the policy complains of; that an answer was 409 or 503 is no trouble."""
    return message.type in ("error", "warning") and not message.text.startswith("Failed to load resource")


def another(browser: Browser, entered: BrowserContext, **options: object) -> BrowserContext:
    """The same visitor with another screen."""
    context = browser.new_context(
        base_url=entered.pages[0].url.partition("/jobs")[0], storage_state=entered.storage_state(), **options  # type: ignore[arg-type]
    )
    context.set_default_timeout(PATIENCE_MS)
    return context


def reaches(page: Page, id: str, count: int) -> None:
    """Until its bar is there, by what the page gets by itself."""
    far = "([id, count]) => document.querySelector(`#job-${id} progress`)?.value >= count"
    page.wait_for_function(far, arg=[id, count])


def test_a_batch_is_watched_cancelled_and_resumed_while_its_daemon_is_replaced(
    page: Page, daemon: PrivateDaemon, batch: str
) -> None:
    """The bar moves by itself; a tick and the focus stay; toasts tell; a restart is a banner that goes; no reload."""
    page.goto("/jobs")
    expect(page.locator("#pulse")).to_have_text("live")
    reaches(page, batch, 40)
    page.evaluate("window.mine = true")
    page.locator(f"#pick-{batch}").check()
    page.locator(f"#do-cancel-{batch}").focus()
    (daemon.home / "gate40").touch()
    reaches(page, batch, 60)
    assert page.locator(f"#pick-{batch}").is_checked()
    assert page.evaluate("document.activeElement.id") == f"do-cancel-{batch}"
    expect(page.locator("#picked")).to_have_text("1 selected")

    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text(f"{batch[:8]} was asked to stop")
    expect(page.locator(f"#ended #job-{batch}")).to_contain_text("cancelled")
    expect(page.locator(f"#rows #job-{batch}")).to_have_count(0)
    kept = int(page.locator(f"#job-{batch} progress").get_attribute("value") or 0)

    (daemon.home / "gate200").touch()
    page.locator(f"#do-resume-{batch}").click()
    expect(page.locator(f"#rows #job-{batch}")).to_be_visible()
    reaches(page, batch, kept + 5)

    daemon.kill()
    expect(page.locator("#banner")).to_contain_text("No daemon answers")
    page.locator(f"#do-cancel-{batch}").click()
    expect(page.locator("#toasts .bad")).to_contain_text("No daemon answers")
    daemon.start().close()
    (daemon.home / "gate390").touch()
    expect(page.locator("#banner")).to_be_hidden()
    expect(page.locator(f"#ended #job-{batch}")).to_contain_text("succeeded")
    expect(page.locator(f"#job-{batch} .counts")).to_have_text("400/400")
    assert page.evaluate("window.mine")


def test_a_job_s_page_is_alive_and_nothing_on_it_deceives(page: Page, jk: jobkeep.BlockingClient, batch: str) -> None:
    """Output follows, is filtered and kept while paused; markup and bidirectional characters of a job are text."""
    job = jk.run(["sh", "-c", f"echo '{EVIL}'; while sleep 0.1; do echo line $((n += 1)); done"], name="talking")
    page.goto(f"/jobs/{job.id}")
    log = page.locator("#log")
    expect(log).to_contain_text("line 3")
    expect(log).to_contain_text(EVIL)
    page.locator("#pause").click()
    expect(page.locator("#pulse")).to_have_text("paused")
    lines = log.locator(".line").count()
    page.wait_for_timeout(600)  # nothing to wait for: that it stays as it is
    assert log.locator(".line").count() == lines
    page.locator("#pause").click()
    expect(log).to_contain_text(f"line {lines + 6}")
    shown = [int(word) for word in re.findall(r"line (\d+)", log.inner_text())]
    assert shown == list(range(1, len(shown) + 1))  # no gap, nothing twice
    page.locator("#log-filter").fill("line 2")
    expect(log.get_by_text("line 3", exact=True)).to_be_hidden()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#head .state")).to_have_text(re.compile("cancelled"))
    page.goto(f"/jobs/{batch}")
    expect(log).to_contain_text("\\u202eturned " + EVIL)
    expect(page.locator("#items")).to_contain_text(EVIL)
    assert "hunter2" not in page.content()


def test_all_works_without_scripts(browser: Browser, entered: BrowserContext, jk: jobkeep.BlockingClient) -> None:
    """By forms and pages alone: watch, cancel, remove after asking back, reset a lock by typing its name."""
    job = jk.run(["sleep", "300"], name="plain", lock="plain")
    while not any(lock.name == "plain" for lock in jk.locks()):
        time.sleep(0.02)
    context = another(browser, entered, java_script_enabled=False)
    page = context.new_page()
    page.goto("/locks")
    page.locator("tr", has_text="plain").get_by_role("button", name="Reset").click()
    page.get_by_label("to confirm").fill("plain")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Reset").click()
    expect(page.locator("#toasts")).to_contain_text("was reset")
    job.wait(timeout="60s")
    again = jk.run(["sleep", "300"], name="plain")
    page.goto("/jobs")
    page.locator(f"#do-cancel-{again.id}").click()
    expect(page.locator("#toasts")).to_contain_text("was asked to stop")
    again.wait(timeout="60s")
    page.goto(f"/jobs/{job.id}")
    page.locator("summary", has_text="More").click()
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("#toasts")).to_contain_text("was removed")
    context.close()


def test_other_origins_and_old_passes_get_nothing(browser: Browser, entered: BrowserContext, batch: str) -> None:
    """A page of another port of this host cannot act, nor look; without a pass there is a page that says so."""
    here = entered.pages[0].url.partition("/jobs")[0]
    page = entered.new_page()
    page.goto(here.replace("127.0.0.1", "localhost") + "/jobs")  # another site, which the cookie does not go to
    expect(page.locator("h1")).to_have_text("Only for whoever started it")
    asked = "url => fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include'}).catch(() => 'blocked')"
    assert page.evaluate(asked, f"{here}/jobs/{batch}/cancel") == "blocked"  # by its own policy already
    page.close()
    with browser.new_context(base_url=here) as fresh:
        assert fresh.request.get("/jobs").status == 401


def test_pages_fit_their_screen(browser: Browser, entered: BrowserContext, batch: str) -> None:
    """On a desk and on a phone nothing has to be scrolled to the side."""
    with another(browser, entered) as context:
        page = context.new_page()
        for path in PAGES:
            page.goto(path.format(id=batch))
            for width in (1280, 390):
                page.set_viewport_size({"width": width, "height": 844})
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not there (npm install --no-save --prefix .axe axe-core)")
def test_pages_are_accessible(browser: Browser, entered: BrowserContext, batch: str) -> None:
    """By the rules of WCAG 2.2 AA that a machine can check: names, roles, sizes; contrast also in the dark."""
    context = another(browser, entered, color_scheme="light")
    page = context.new_page()
    found = {}
    for path in PAGES:
        page.goto(path.format(id=batch))
        page.evaluate(AXE.read_text(encoding="utf-8"))
        if wrong := violations(page, "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']"):
            found[path] = wrong
        page.emulate_media(color_scheme="dark")
        if wrong := violations(page, "['color-contrast']"):
            found[f"{path} in the dark"] = wrong
        page.emulate_media(color_scheme="light")
    context.close()
    assert found == {}


def violations(page: Page, rules: str) -> list[str]:
    """What axe finds, with the first places of each."""
    found: list[str] = page.evaluate(
        f"async () => (await axe.run({{runOnly: {rules}, resultTypes: ['violations']}})).violations"
        ".map(one => `${one.id}: ${one.nodes.slice(0, 3).map(node => node.html.slice(0, 160))}`)"
    )
    return found


def test_the_keyboard_reaches_everything(page: Page, jk: jobkeep.BlockingClient) -> None:
    """From the top of the page by the tab key: the content, the tabs, a job and its buttons, with a visible ring."""
    job = jk.run(["sleep", "300"], name="keys")
    page.goto("/jobs")
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert {"skip", "tab-failed", f"open-{job.id}", f"pick-{job.id}", f"do-restart-{job.id}"} <= seen
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    job.cancel(force=True)


def test_it_ends_when_it_is_told_with_pages_open(daemon: PrivateDaemon, browser: Browser) -> None:
    """Streams do not hold it up, and what the terminal says is one address at a time."""
    with served(daemon, "--read-only") as (process, address):
        page = browser.new_page()
        page.goto(address)
        expect(page.locator("#pulse")).to_have_text("live")
        assert process.stdout is not None
        assert "for another browser" in process.stdout.readline()
        process.terminate()
        assert process.wait(timeout=120) in (0, -15)
        expect(page.locator("#banner")).to_contain_text("The dashboard does not answer")
        page.close()
