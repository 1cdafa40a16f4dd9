"""Who is let in: by host, origin, site, pass and method."""

from __future__ import annotations

import pytest

from jobkeep.web.guard import verdict
from jobkeep.web.tickets import LIFETIME_S
from web.conftest import HERE, Site, served
from web.fakes import FakeDaemon

HOST = "127.0.0.1:8642"
OURS = {"host": HOST, "origin": HERE, "sec-fetch-site": "same-origin", "content-length": "3"}


@pytest.mark.parametrize("host", [HOST, "localhost:8642", "[::1]:9", "127.0.0.1", "LOCALHOST:1"])
def test_names_of_this_host_are_served(host: str) -> None:
    """With any port, since an ssh tunnel may have another."""
    assert verdict("GET", {"host": host}, False) is None


@pytest.mark.parametrize(
    "host",
    ["", "evil.test", "127.0.0.1.evil.test", "evil.test:8642", "localhost@evil.test", "127.0.0.1:8642\n", "0.0.0.0"],
)
def test_any_other_name_is_refused(host: str) -> None:
    """So that a name of somebody else's that leads here (DNS rebinding) gets nothing."""
    refusal = verdict("GET", {"host": host}, False)
    assert refusal is not None
    assert refusal.status == 421


@pytest.mark.parametrize(
    "changed",
    [
        {"origin": "http://evil.test"},
        {"origin": "http://127.0.0.1:3000"},  # another program of this host
        {"origin": "https://127.0.0.1:8642"},
        {"origin": "null"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "none"},
        {"origin": None, "sec-fetch-site": None},
        {"content-length": None},
        {"content-length": "9999999"},
    ],
)
def test_a_change_needs_our_own_page(changed: dict[str, str | None]) -> None:
    """A POST from elsewhere is refused, and so is one that does not say where it is from, or is no form of ours."""
    headers = {name: value for name, value in (OURS | changed).items() if value is not None}
    assert verdict("POST", headers, False) is not None
    assert verdict("POST", OURS, False) is None
    assert verdict("POST", OURS, True) is not None


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"])
def test_other_methods_are_unknown(method: str) -> None:
    """Only GET, HEAD and POST."""
    refusal = verdict(method, OURS, False)
    assert refusal is not None
    assert refusal.status == 405


def test_other_pages_may_link_but_not_embed() -> None:
    """A link from elsewhere may be followed; a picture, script or frame of ours may not be shown there."""
    elsewhere = {"host": HOST, "sec-fetch-site": "cross-site"}
    assert verdict("GET", elsewhere | {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, False) is None
    assert verdict("GET", elsewhere | {"sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}, False) is not None
    assert verdict("GET", elsewhere | {"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}, False) is not None


def test_a_ticket_lets_one_browser_in_once(daemon: FakeDaemon) -> None:
    """It becomes a cookie that scripts cannot read and other sites do not send; then the next ticket is announced."""
    with served(daemon) as site:
        assert "Only for whoever started it" in site.get("/jobs", 401)
        reply = site.ask(f"/login?ticket={site.announced[0]}")
        cookie = reply.headers["set-cookie"]
        assert all(word in cookie for word in ("jobkeep-8642=", "HttpOnly", "SameSite=strict", "Path=/"))
        site.get("/jobs")
        site.http.cookies.clear()
        assert site.ask(f"/login?ticket={site.announced[0]}").status_code == 401
        assert site.ask("/login").status_code == 401
        assert len(site.announced) == 2
        site.enter()


def test_a_pass_expires_when_nobody_uses_it(site: Site) -> None:
    """Then a page says how to get a new one, and a live page gets a toast."""
    site.now += LIFETIME_S - 1
    site.get("/jobs")
    site.now += LIFETIME_S - 1
    site.get("/jobs")
    site.now += LIFETIME_S + 1
    assert "expired" in site.get("/jobs", 401)
    assert 'class="toast bad"' in site.post("/jobs/ccc333/cancel", 401)
    assert site.get("/live/jobs", 401)


@pytest.mark.parametrize("cookie", ["jobkeep-8642=", "jobkeep-8642=x", "jobkeep=1; ;;=\x7f", "a" * 9000])
def test_a_wrong_cookie_is_no_pass(site: Site, cookie: str) -> None:
    """Whatever it looks like."""
    site.http.cookies.clear()
    assert site.ask("/jobs", cookie=cookie).status_code == 401


def test_every_answer_tells_the_browser_to_be_careful(site: Site) -> None:
    """No inline script or style, no frame, nothing kept, nothing from elsewhere; of pages, files and refusals alike."""
    for path in ("/jobs", "/static/app.css", "/nosuch", "/login", "/jobs/nosuch"):
        headers = site.ask(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
    refused = site.ask("/jobs", host="evil.test")
    assert refused.status_code == 421
    assert "content-security-policy" in refused.headers


def test_no_page_has_inline_script_or_style(site: Site) -> None:
    """The policy would block it: what looks right without it would be broken in a browser."""
    for path in ("/jobs", "/jobs/ccc333", "/jobs/ccc333/items"):
        html = site.get(path)
        assert " style=" not in html
        assert " onclick=" not in html
        assert all(" src=" in tag for tag in html.split("<script")[1:])
