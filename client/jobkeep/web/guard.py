"""The one gate before all pages: right host, right origin, a pass, and headers that keep a browser from mischief.

Whoever can open a connection to a loopback port is not thereby the user: other users of the host, and any web page that
the user's browser shows, can as well. So each request must name a loopback host (against DNS rebinding), must not come
from another site or another port of this host, and needs the pass that only the user's terminal has handed out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobkeep.web.pages import Pages
from jobkeep.web.tickets import Tickets

LARGEST_FORM: Final = 1 << 20  # bytes
_HOST: Final = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?\Z", re.IGNORECASE)
_OPEN: Final = ("/static/", "/login")  # without a pass
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    text: str


def verdict(method: str, headers: Mapping[str, str], read_only: bool) -> Refusal | None:
    """Why a request is not let in, whoever has sent it; None: it may be. Header names are in lower case."""
    host = headers.get("host", "")
    if not _HOST.match(host):
        return Refusal(421, "This is the dashboard of 127.0.0.1, and of no other name.")
    if method not in ("GET", "HEAD", "POST"):
        return Refusal(405, f"{method[:20]} is not understood here.")
    site = headers.get("sec-fetch-site")
    if method != "POST":
        return None if _may_read(site, headers) else Refusal(403, "Other pages may not look at this one.")
    if read_only:
        return Refusal(403, "This dashboard only shows (--read-only).")
    origin = headers.get("origin")
    if origin is None and site is None:
        return Refusal(403, "A change needs an Origin; only a browser's own form may ask for it.")
    if origin is not None and origin != f"http://{host}":
        return Refusal(403, "Another page may not ask for changes here.")
    if site is not None and site != "same-origin":
        return Refusal(403, "Another page may not ask for changes here.")
    length = headers.get("content-length", "")
    if not length.isdigit() or int(length) > LARGEST_FORM:
        return Refusal(413, "This is larger than any form here.")
    return None


def _may_read(site: str | None, headers: Mapping[str, str]) -> bool:
    """Links from elsewhere may be followed; pictures, scripts and frames of elsewhere may not be fetched from here."""
    if site in (None, "none", "same-origin"):
        return True
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def cookie_name(host: str) -> str:
    """Cookies are not told apart by port, but several dashboards of a host are."""
    return f"jobkeep-{host.rpartition(':')[2]}" if host.rpartition(":")[2].isdigit() else "jobkeep"


def pass_of(headers: Mapping[str, str]) -> str:
    """The pass that a request brings; empty: none."""
    try:
        cookies = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    morsel = cookies.get(cookie_name(headers.get("host", "")))
    return morsel.value if morsel is not None else ""


class Guard:
    """ASGI middleware. `request.state.visitor` is whoever was let in."""

    def __init__(self, app: ASGIApp, tickets: Tickets, pages: Pages, read_only: bool) -> None:
        self._app = app
        self._tickets = tickets
        self._pages = pages
        self._read_only = read_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if "cache-control" not in headers:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        app = self._refused(scope) or self._app
        await app(scope, receive, guarded)

    def _refused(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        refusal = verdict(scope["method"], headers, self._read_only)
        if refusal is not None:
            return self._pages.refusal(Request(scope), refusal.status, refusal.text)
        if scope["path"].startswith(_OPEN):
            return None
        visitor = self._tickets.visitor(pass_of(headers))
        if visitor is None:
            return self._pages.locked(Request(scope))
        scope.setdefault("state", {})["visitor"] = visitor
        return None
