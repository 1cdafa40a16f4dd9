"""Changes of locks, queues, schedules and sessions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from jobkeep.errors import InvalidRequest
from jobkeep.protocol.queues import HIGHEST_LIMIT
from jobkeep.web.acting.forms import Form, Question, ask_back, confirmed, done, form
from jobkeep.web.connection import Connection
from jobkeep.web.model.verbs import Kind
from jobkeep.web.screens.base import desk_of
from jobkeep.wording import escape

Deed = Callable[[Connection, str, Form], Awaitable[Any]]


def _limit(given: Form) -> int | None:
    """Raises InvalidRequest. Empty: that of the configuration."""
    text = given.get("limit")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= HIGHEST_LIMIT):
        raise InvalidRequest(f"{text!r} is no limit: a number from 1 to {HIGHEST_LIMIT}, or nothing", "limit")
    return int(text)


QUEUES: Final[dict[str, tuple[Deed, str]]] = {
    "pause": (lambda jk, name, given: jk.pause_queue(name, reason=given.reason), "Queue {} is paused."),
    "resume": (lambda jk, name, given: jk.resume_queue(name, reason=given.reason), "Queue {} goes on."),
    "limit": (
        lambda jk, name, given: jk.limit_queue(name, _limit(given), reason=given.reason), "Queue {} has a new limit."
    ),
}  # fmt: skip
SCHEDULES: Final[dict[str, tuple[Deed, str]]] = {
    "pause": (lambda jk, name, given: jk.pause_schedule(name, reason=given.reason), "Schedule {} is paused."),
    "resume": (lambda jk, name, given: jk.resume_schedule(name, reason=given.reason), "Schedule {} goes on."),
    "trigger": (lambda jk, name, given: jk.trigger_schedule(name), "A job of schedule {} was submitted."),
    "remove": (lambda jk, name, given: jk.remove_schedule(name, reason=given.reason), "Schedule {} was removed."),
}


async def queue(request: Request) -> Response:
    return await _carry_out(request, QUEUES)


async def schedule(request: Request) -> Response:
    given = await form(request)
    if request.path_params["verb"] == "remove" and not given.sure:
        name = given.get("name")
        kind = Kind("Remove", "–", "stop", "Its jobs stay; it fires no more.")
        return ask_back(request, Question(f"Remove schedule {name}?", kind.hint, kind, [("name", name)]), "/queues")
    return await _carry_out(request, SCHEDULES)


async def _carry_out(request: Request, deeds: dict[str, tuple[Deed, str]]) -> Response:
    given = await form(request)
    found = deeds.get(request.path_params["verb"])
    if found is None:
        raise HTTPException(404)
    deed, said = found
    name = given.get("name")
    await deed(desk_of(request).connection, name, given)
    return done(request, said.format(escape(name)), "/queues")


RESET: Final = Kind("Reset", "✕", "stop", "Its holder loses it, and whoever comes next gets a higher token.")
CLOSE: Final = Kind("Close", "✕", "stop", "Its process is ended, with all that it has started.")


async def lock(request: Request) -> Response:
    """Asks for the name of the lock to be typed."""
    given = await form(request)
    name = given.get("name")
    if not given.sure:
        held = await desk_of(request).connection.lock_info(name)
        force = "even though its holder is alive: a run that has it is ended for sure first" if held.holder else ""
        return ask_back(
            request, Question(f"Reset lock {name}?", RESET.hint, RESET, [("name", name)], name, force), "/locks"
        )
    confirmed(given, name)
    reply = await desk_of(request).connection.reset_lock(name, force=given.forced, reason=given.reason)
    ended = f" The run of {reply.ended[:8]} was ended for it." if reply.ended else ""
    return done(request, f"Lock {escape(name)} was reset.{ended}", "/locks")


async def session(request: Request) -> Response:
    """Asks back: whoever uses it loses it."""
    given = await form(request)
    name = given.get("name")
    if not given.sure:
        force = "even though somebody uses it: they lose it"
        return ask_back(
            request, Question(f"Close session {name}?", CLOSE.hint, CLOSE, [("name", name)], "", force), "/processes"
        )
    await desk_of(request).connection.close_session(name, force=given.forced, reason=given.reason)
    return done(request, f"Session {escape(name)} was closed.", "/processes")


ROUTES: Final[list[BaseRoute]] = [
    Route("/queues/{verb}", queue, methods=["POST"]),
    Route("/schedules/{verb}", schedule, methods=["POST"]),
    Route("/locks/reset", lock, methods=["POST"]),
    Route("/sessions/close", session, methods=["POST"]),
]
