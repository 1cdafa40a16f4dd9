"""Verbs for one job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from jobkeep.client.jobs import JobHandle
from jobkeep.web.acting.forms import REASON, Question, ask_back, came_from, done, form
from jobkeep.web.model import words
from jobkeep.web.model.verbs import ASKED_BACK, VERBS
from jobkeep.web.screens.base import desk_of

Deed = Callable[[JobHandle], Awaitable[Any]]

DEEDS: Final[dict[str, Deed]] = {
    "resume": lambda job: job.resume(reason=REASON),
    "resume_failed_items": lambda job: job.resume(failed_items=True, reason=REASON),
    "restart": lambda job: job.restart(reason=REASON),
    "restart_from_start": lambda job: job.restart(from_start=True, reason=REASON),
    "cancel": lambda job: job.cancel(reason=REASON),
    "force_cancel": lambda job: job.cancel(force=True, reason=REASON),
    "rm": lambda job: job.remove(reason=REASON),
}
DONE: Final = {
    "resume": "{} goes on from its checkpoint", "resume_failed_items": "{} runs the items again that failed",
    "restart": "{} is ended and goes on from its checkpoint", "restart_from_start": "{} is ended and begins anew",
    "cancel": "{} was asked to stop", "force_cancel": "{} is stopped", "rm": "{} was removed",
}  # fmt: skip


async def act(request: Request) -> Response:
    """One verb; some ask back first."""
    name, id = request.path_params["verb"], request.path_params["id"]
    if name not in DEEDS:
        raise HTTPException(404)
    given = await form(request)
    handle = desk_of(request).connection.job(id)
    if name in ASKED_BACK and not given.sure:
        job = await handle.info()
        kind = VERBS[name]
        return ask_back(request, Question(f"{kind.label} {job.name}?", f"{kind.hint}.", kind), came_from(request))
    await DEEDS[name](handle)
    gone = "/jobs" if name == "rm" else f"/jobs/{id}" if given.sure else None
    return done(request, DONE[name].format(words.short(id)) + ".", gone)


ROUTES: Final[list[BaseRoute]] = [Route("/jobs/{id}/{verb}", act, methods=["POST"])]
