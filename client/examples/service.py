"""A web service whose background work is jobkeep's: start, watch, resume, restart, cancel, recover, clean up.
`uvicorn service:app` serves it for the function that $SERVICE_FUNCTION names. Put your own authentication in front.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import anyio
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

import jobkeep

# The nearest class counts; what is not listed is a bug, and the server's to tell.
WHY = "asked by the service"  # goes on record
STATUS: dict[type, int] = {  # OutcomeUnknown: ask again with the same Idempotency-Key
    jobkeep.NotFound: 404, jobkeep.Conflict: 409, jobkeep.InvalidRequest: 422, jobkeep.StorageFull: 507,
    jobkeep.DaemonUnreachable: 503, jobkeep.ShuttingDown: 503, jobkeep.OutcomeUnknown: 503,
}  # fmt: skip


def client(request: Request) -> jobkeep.Client:
    return request.app.state.jobs  # type: ignore[no-any-return]


def job(request: Request) -> jobkeep.JobHandle:
    return client(request).job(request.path_params["id"])


def flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() in ("1", "true", "yes")


def answer(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


async def start(request: Request) -> Response:
    """202 with the id at once. One run at a time: whoever comes second gets 409, and the run that is under way."""
    arguments: dict[str, Any] = await request.json() if await request.body() else {}
    function: str = request.app.state.function
    made = await client(request).call(
        function, arguments, key=function, lock=function, retries=2, on_lost="resume",
        request_id=request.headers.get("Idempotency-Key") or uuid4().hex,
    )  # fmt: skip
    return answer({"id": made.id, "state": (await made.info()).state, "status": f"/runs/{made.id}"}, 202)


async def runs(request: Request) -> Response:
    """The newest first; ?state=failed&state=running."""
    states: Any = request.query_params.getlist("state") or None
    return answer([each async for each in client(request).jobs(state=states, limit=100)])


async def status(request: Request) -> Response:
    return answer(await job(request).info())


async def progress(request: Request) -> Response:
    """Server-sent events: the run as it is whenever it has changed, until it has ended."""
    run = job(request)
    await run.info()  # 404 before anything is sent

    async def changes() -> AsyncGenerator[bytes, None]:
        said = b""
        while True:
            info = await run.info()
            new = msgspec.json.encode({"state": info.state, "health": info.health, "progress": info.progress})
            if new != said:
                yield b"data: " + (said := new) + b"\n\n"
            if info.ended_at is not None:
                return
            await anyio.sleep(0.25)

    return StreamingResponse(changes(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def resume(request: Request) -> Response:
    """From its checkpoint; ?failed_items=1 only what has failed."""
    return answer(await job(request).resume(failed_items=flag(request, "failed_items"), reason=WHY), 202)


async def restart(request: Request) -> Response:
    """End the run for sure and continue it; ?from_start=1 forgets the checkpoint."""
    return answer(await job(request).restart(from_start=flag(request, "from_start"), reason=WHY), 202)


async def cancel(request: Request) -> Response:
    """Cooperatively, then for sure; ?force=1 for sure at once."""
    return answer(await job(request).cancel(force=flag(request, "force"), reason=WHY), 202)


async def reset(request: Request) -> Response:
    """Free the lock of the function; ?force=1 also ends a run that is alive and holds it."""
    lock = request.app.state.function
    return answer(await client(request).reset_lock(lock, force=flag(request, "force"), reason=WHY))


async def recover(request: Request) -> Response:
    """GET says what POST would do about runs without a sign of life."""
    given = request.query_params.get("older_than")
    return answer(await client(request).recover(check=request.method == "GET", older_than=given))


async def cleanup(request: Request) -> Response:
    """GET says whom POST would end."""
    return answer(await client(request).cleanup(dry_run=request.method == "GET", reason=WHY))


async def emergency(request: Request) -> Response:
    """The daemon and all that it manages, whatever state it is in: so it is not the daemon that is asked."""
    words = ["--dry-run"] if request.method == "GET" else ["--yes", "--reason", WHY]
    done = await anyio.run_process([sys.executable, "-m", "jobkeep.cli", "emergency", "--json", *words], check=False)
    return Response(done.stdout or done.stderr, 200 if done.returncode == 0 else 500, media_type="application/json")


async def refused(request: Request, error: Exception) -> Response:
    code = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
    return answer({"error": str(error), "kind": type(error).__name__, "id": getattr(error, "id", None)}, code)


def service(function: str, socket: str | None = None) -> Starlette:
    @asynccontextmanager
    async def connected(app: Starlette) -> AsyncGenerator[None, None]:
        async with jobkeep.connect(socket) as app.state.jobs:
            yield

    table = [
        ("/runs", start, "POST"), ("/runs", runs, "GET"), ("/runs/{id}", status, "GET"),
        ("/runs/{id}/progress", progress, "GET"), ("/runs/{id}/resume", resume, "POST"),
        ("/runs/{id}/restart", restart, "POST"), ("/runs/{id}/cancel", cancel, "POST"),
        ("/lock/reset", reset, "POST"), ("/recover", recover, "GET POST"),
        ("/cleanup", cleanup, "GET POST"), ("/emergency", emergency, "GET POST"),
    ]  # fmt: skip
    paths = [Route(path, handler, methods=methods.split()) for path, handler, methods in table]
    app = Starlette(routes=paths, lifespan=connected, exception_handlers={jobkeep.JobkeepError: refused})
    app.state.function = function
    return app


app = service(os.environ.get("SERVICE_FUNCTION", "shop.tasks:mail_all"), os.environ.get("JOBKEEP_SOCKET"))
