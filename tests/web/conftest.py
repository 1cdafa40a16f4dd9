"""The dashboard over a fake daemon, asked as a browser asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from urllib.parse import urlencode

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from jobkeep.web.app import dashboard
from jobkeep.web.connection import Connection
from jobkeep.web.tickets import Tickets
from web.fakes import FakeDaemon, as_connection, job

HERE = "http://127.0.0.1:8642"


class Site:
    """A served dashboard: `announced` are its tickets, `get` and `post` do what a browser on its pages would."""

    def __init__(self, connection: Connection, portal: BlockingPortal, read_only: bool = False) -> None:
        self.announced: list[str] = []
        self.now = 1000.0
        self.tickets = Tickets(self.announced.append, lambda: self.now)
        self.app = dashboard(connection, self.tickets, read_only)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=HERE)
        self._portal = portal

    def enter(self) -> None:
        """Use the newest ticket."""
        reply = self.ask(f"/login?ticket={self.announced[-1]}")
        assert reply.status_code == 303, reply.text

    def ask(self, path: str, **headers: str) -> httpx.Response:
        return self._portal.call(partial(self.http.get, path, headers=headers))

    def get(self, path: str, code: int = 200) -> str:
        reply = self.ask(path)
        assert reply.status_code == code, reply.text
        return reply.text

    def post(self, path: str, code: int = 200, *, alive: bool = True, page: str = "/jobs", **fields: object) -> str:
        """By htmx where the page is alive, by a plain form on `page` elsewhere. A list is a field that comes often."""
        headers = {
            "Origin": HERE, "Sec-Fetch-Site": "same-origin", "Referer": HERE + page,
            "Content-Type": "application/x-www-form-urlencoded",
        } | ({"HX-Request": "true"} if alive else {})  # fmt: skip
        body = urlencode(fields, doseq=True)
        reply = self._portal.call(partial(self.http.post, path, content=body, headers=headers))
        assert reply.status_code == code, reply.text
        return reply.headers.get("location", "") if code == 303 else reply.text


@contextmanager
def served(daemon: FakeDaemon, read_only: bool = False) -> Iterator[Site]:
    """A dashboard of the daemon; nobody has a pass yet."""
    with start_blocking_portal() as portal, opened(as_connection(daemon), portal, read_only) as site:
        yield site


@contextmanager
def opened(connection: Connection, portal: BlockingPortal, read_only: bool = False) -> Iterator[Site]:
    """A dashboard over a connection that is open in the portal's loop."""
    site = Site(connection, portal, read_only)
    with portal.wrap_async_context_manager(site.app.router.lifespan_context(site.app)):
        yield site
    portal.call(site.http.aclose)


@pytest.fixture
def daemon() -> FakeDaemon:
    daemon = FakeDaemon()
    daemon.put(job("aaa111", "succeeded"), job("bbb222", "failed"), job("ccc333", "running"), job("ddd444", "queued"))
    return daemon


@pytest.fixture
def site(daemon: FakeDaemon) -> Iterator[Site]:
    with served(daemon) as site:
        site.enter()
        yield site
