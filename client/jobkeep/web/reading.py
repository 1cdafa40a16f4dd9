"""What may be looked at: each screen as a page and as a stream, items that failed, and output as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from jobkeep.protocol.jobs import LogChunk
from jobkeep.protocol.sizes import dropped
from jobkeep.protocol.vocabulary import Stream
from jobkeep.web import live
from jobkeep.web.model import filters, job_page
from jobkeep.web.model.log import STREAMS
from jobkeep.web.screens.base import Screen, desk_of
from jobkeep.web.screens.job import OneJob
from jobkeep.web.screens.jobs import Jobs
from jobkeep.web.screens.others import Locks, Processes, Queues, System

SEARCHED: Final = 10_000  # failed items that a search looks through
_BATCH: Final = 1000


def jobs(request: Request) -> Jobs:
    return Jobs(filters.parse(request.query_params.multi_items()))


def one_job(request: Request) -> OneJob:
    run = request.query_params.get("run", "")
    return OneJob(request.path_params["id"], int(run) if run.isdigit() and len(run) < 9 else 0, _stream(request))


def processes(request: Request) -> Processes:
    kind = request.query_params.get("show", "")
    return Processes(kind if kind in ("orphans", "all") else "ours")


def _stream(request: Request) -> Stream | None:
    given = request.query_params.get("stream", "")
    return next((stream for stream in STREAMS if stream == given), None)


async def show_job(request: Request) -> Response:
    """A job under its whole id, whatever prefix was asked for; the page has the end of its output."""
    desk, screen = desk_of(request), one_job(request)
    picture = await screen.look(desk)
    whole = picture.whole["job"].id
    if whole != screen.id:
        return RedirectResponse(f"/jobs/{whole}", 303)
    lines, place = await screen.begin(desk)
    parts = {part.id: part.html for part in picture.parts}
    return desk.pages.page(
        request, "job", parts=parts, live=f"{screen.live}&at={place}", lines=lines, screen=screen, **picture.whole
    )


async def go(request: Request) -> Response:
    """To the job of an id, or of its beginning, that somebody has typed."""
    typed = request.query_params.get("id", "").strip().lower()
    return RedirectResponse(f"/jobs/{typed}" if typed.isalnum() and typed.isascii() else "/jobs", 303)


async def items(request: Request) -> Response:
    """The items that failed, by pages; a search looks at their keys and errors."""
    desk, id = desk_of(request), request.path_params["id"]
    typed, wanted = request.query_params.get("page", ""), request.query_params.get("q", "").strip()
    number = max(1, int(typed)) if typed.isdigit() and len(typed) < 9 else 1
    job = await desk.connection.job(id).info()
    size = job_page.ITEMS_A_PAGE
    if wanted:
        found, total = await _searched(request, job.id, wanted)
        shown = found[(number - 1) * size : number * size]
    else:
        reply = await desk.connection.failed_page(job.id, (number - 1) * size, size)
        shown, total = [job_page.item(each) for each in reply.items], reply.total
    return desk.pages.page(
        request, "items", id=job.id, name=job.name, items=shown, total=total, number=number, size=size,
        wanted=wanted, searched=SEARCHED,
    )  # fmt: skip


async def _searched(request: Request, id: str, wanted: str) -> tuple[list[job_page.ItemRow], int]:
    desk, word = desk_of(request), wanted.casefold()
    found = []
    for after in range(0, SEARCHED, _BATCH):
        reply = await desk.connection.failed_page(id, after, _BATCH)
        rows = [job_page.item(each) for each in reply.items]
        found += [row for row in rows if word in row.key.casefold() or word in row.error.casefold()]
        if after + len(rows) >= reply.total:
            break
    return found, len(found)


async def download(request: Request) -> Response:
    """The output of a run, byte for byte. In the place of what is not there any more there is a line that says so."""
    desk, screen = desk_of(request), one_job(request)
    job = await desk.connection.job(screen.id).info()
    run, stream = screen.run or job.attempt, screen.stream or "stdout"
    chunks = desk.connection.job(job.id).logs(raw=True, run=run, stream=stream)

    async def body() -> AsyncIterator[bytes]:
        chunk: LogChunk
        async for chunk in chunks:
            yield f"[{dropped(chunk.dropped)}]\n".encode() if chunk.dropped else chunk.data

    headers = {"Content-Disposition": f'attachment; filename="{job.id}.{run}.{stream}.txt"'}
    return StreamingResponse(body(), media_type="text/plain; charset=utf-8", headers=headers)


def _routes(path: str, make: Callable[[Request], Screen], page: bool = True) -> list[BaseRoute]:
    """A screen as a page, and as a stream."""

    async def show(request: Request) -> Response:
        desk, screen = desk_of(request), make(request)
        picture = await screen.look(desk)
        parts = {part.id: part.html for part in picture.parts}
        return desk.pages.page(request, screen.template, parts=parts, live=screen.live, **picture.whole)

    async def follow(request: Request) -> Response:
        return live.respond(request, desk_of(request), make(request))

    return [*([Route(path, show)] if page else []), Route(f"/live{path}", follow)]


ROUTES: Final[list[BaseRoute]] = [
    *_routes("/jobs", jobs),
    Route("/jobs/{id}", show_job),
    *_routes("/jobs/{id}", one_job, page=False),
    Route("/jobs/{id}/items", items),
    Route("/jobs/{id}/log", download),
    Route("/go", go),
    *_routes("/locks", lambda _: Locks()),
    *_routes("/queues", lambda _: Queues()),
    *_routes("/processes", processes),
    *_routes("/system", lambda _: System()),
]
