"""The dashboard as an ASGI application: paths to screens and actions, behind the guard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from jobkeep.errors import JobkeepError
from jobkeep.web import reading
from jobkeep.web.acting import bulk, host, things
from jobkeep.web.acting import jobs as job_verbs
from jobkeep.web.connection import Connection
from jobkeep.web.guard import Guard, cookie_name
from jobkeep.web.hub import Hub
from jobkeep.web.pages import Pages
from jobkeep.web.screens.base import Desk
from jobkeep.web.tickets import Tickets
from jobkeep.web.toasts import Toast

STATIC: Final = Path(__file__).parent / "static"


def dashboard(connection: Connection, tickets: Tickets, read_only: bool = False) -> Starlette:
    """The application. The connection must be open while it serves."""
    pages = Pages(read_only)
    desk = Desk(connection, Hub(connection), pages, read_only)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with desk.hub.running():
            yield

    async def failed(request: Request, error: Exception) -> Response:
        assert isinstance(error, JobkeepError)
        return pages.failure(request, error)

    async def unknown(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return pages.refusal(request, error.status_code, "There is no such page here.")

    async def bug(request: Request, error: Exception) -> Response:
        return pages.told(request, [Toast("This is a bug of the dashboard; its terminal tells more", "bad")], 500)

    app = Starlette(
        routes=_routes(tickets),
        lifespan=lifespan,
        middleware=[Middleware(Guard, tickets=tickets, pages=pages, read_only=read_only)],
        exception_handlers={JobkeepError: failed, HTTPException: unknown, Exception: bug},
    )
    app.state.desk = desk
    return app


def _routes(tickets: Tickets) -> list[BaseRoute]:
    async def login(request: Request) -> Response:
        """A ticket becomes a cookie, and leaves the address."""
        desk: Desk = request.app.state.desk
        granted = tickets.exchange(request.query_params.get("ticket", ""))
        if granted is None:
            return desk.pages.locked(request)
        answer = RedirectResponse("/jobs", 303)
        name = cookie_name(request.headers.get("host", ""))
        answer.set_cookie(name, granted, httponly=True, samesite="strict", path="/")
        return answer

    return [
        Route("/", home),
        Route("/login", login),
        Mount("/static", StaticFiles(directory=STATIC)),
        *reading.ROUTES,
        *bulk.ROUTES,
        *job_verbs.ROUTES,
        *things.ROUTES,
        *host.ROUTES,
    ]


async def home(request: Request) -> Response:
    return RedirectResponse("/jobs", 303)
