"""A page as a stream of server-sent events: what has changed on it, four times a second at most."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import Request
from starlette.responses import StreamingResponse

from jobkeep.errors import DaemonUnreachable, JobkeepError
from jobkeep.web.changes import Change, Part, changes
from jobkeep.web.screens.base import Desk, Picture, Screen
from jobkeep.web.toasts import refusal

SIGN_OF_LIFE_S: Final = 15.0  # without anything new, so that who has gone is noticed
BANNER: Final = "banner"


def respond(request: Request, desk: Desk, screen: Screen) -> StreamingResponse:
    """The stream of a page; it goes on behind the last event that the browser has."""
    place = request.headers.get("last-event-id") or request.query_params.get("at", "")
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream(desk, screen, place), media_type="text/event-stream", headers=headers)


async def stream(desk: Desk, screen: Screen, place: str) -> AsyncIterator[bytes]:
    """Until the browser goes, or the dashboard does. At first all parts are sent: nobody knows which ones it has."""
    yield b": hello\n\n"
    known: dict[str, Part] = {}
    with desk.hub.listening() as listener:
        while not desk.hub.closed:
            parts, listener.moving, added, place = await _look(desk, screen, place)
            found = [*changes(known, parts), *added]
            known |= {part.id: part for part in parts}
            if found:
                yield message(found, place)
            while not await listener.stirred(SIGN_OF_LIFE_S):
                yield b": here\n\n"


async def _look(desk: Desk, screen: Screen, place: str) -> tuple[list[Part], bool, list[Change], str]:
    """-> the parts, whether they move, what is added, and how far that is."""
    try:
        picture: Picture = await desk.hub.shared(screen.key, lambda: screen.look(desk))
        added, place = await screen.tail(desk, place)
    except JobkeepError as error:
        if isinstance(error, DaemonUnreachable):
            desk.hub.gone(error)
        return [_banner(desk, error)], False, [], place
    return [_banner(desk, None), *picture.parts], picture.moving, added, place


def _banner(desk: Desk, error: JobkeepError | None) -> Part:
    away = isinstance(error, DaemonUnreachable)
    return Part(BANNER, desk.pages.part("banner", trouble=refusal(error) if error else None, away=away))


def message(found: list[Change], place: str) -> bytes:
    """One event. `place` is where a new connection goes on."""
    data = "\n".join(change.markup() for change in found)
    lines = "".join(f"data: {line}\n" for line in data.replace("\r", "").split("\n"))
    return f"id: {place or '0'}\n{lines}\n".encode()
