"""Clean-up, recovery, drain and emergency: each shows what it would do before it does it."""

from __future__ import annotations

import sys
from typing import Final

import anyio
import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from jobkeep.errors import DaemonError
from jobkeep.protocol.processes import EmergencyReport
from jobkeep.web.acting.forms import Question, ask_back, confirmed, done, form
from jobkeep.web.model import processes, system, words
from jobkeep.web.model.verbs import Kind
from jobkeep.web.screens.base import desk_of
from jobkeep.wording import escape

EMERGENCY: Final = "emergency"
CLEAN: Final = Kind("End them", "✕", "stop", "What is under an active run or a session in use is never touched.")
RECOVER: Final = Kind("Recover", "↻", "again", "Runs without a sign of life are ended; then they fail or go on.")
ALARM: Final = Kind("End all of it", "✕", "stop", "The daemon is ended, and every process that it manages.")


async def cleanup(request: Request) -> Response:
    given = await form(request)
    reply = await desk_of(request).connection.cleanup(dry_run=not given.sure, reason=given.reason)
    found = processes.report(reply)
    if given.sure:
        said = f"{words.counted(found.ended, 'process', 'processes')} ended, {found.protected} protected."
        return done(request, said, "/processes", good=not found.survivors, hint="; ".join(found.survivors))
    if not found.rows:
        return done(request, f"Nothing to clean up; {found.protected} are protected.", "/processes")
    title = f"End {words.counted(found.ended, 'process', 'processes')}?"
    return ask_back(request, Question(title, CLEAN.hint, CLEAN), "/processes", "cleanup", report=found)


async def recover(request: Request) -> Response:
    given = await form(request)
    reply = await desk_of(request).connection.recover(check=not given.sure)
    rows = system.verdicts(reply.rows)
    touched = [row for row in rows if row.action not in ("leave", "adopt")]
    if given.sure:
        return done(request, f"{words.counted(len(touched), 'run')} recovered.", "/system")
    if not touched:
        said = f"{words.counted(len(rows), 'run')} looked at; none needs recovery."
        return done(request, said, "/system")
    title = f"Recover {words.counted(len(touched), 'run')}?"
    return ask_back(request, Question(title, RECOVER.hint, RECOVER), "/system", "recover", rows=rows)


async def control(request: Request) -> Response:
    """Of the daemon: drain, undrain, reload."""
    connection = desk_of(request).connection
    verb = request.path_params["verb"]
    if verb == "drain":
        reply = await connection.drain(timeout=0)
        return done(request, f"The daemon starts nothing more; {words.counted(len(reply.running), 'run')} go on.")
    if verb == "undrain":
        await connection.undrain()
        return done(request, "The daemon starts jobs again.")
    if verb == "reload":
        answer = await connection.reload()
        if answer.problems:
            return done(request, "Nothing was changed.", good=False, hint=escape("; ".join(answer.problems)))
        later = ", ".join(change.key for change in answer.restart)
        said = f"{words.counted(len(answer.changed), 'key')} changed."
        return done(request, said, hint=f"At the next start: {escape(later)}" if later else "")
    raise HTTPException(404)


async def emergency(request: Request) -> Response:
    """It is not the daemon that is asked, which may hang or be gone. The word has to be typed."""
    given = await form(request)
    if given.sure:
        confirmed(given, EMERGENCY)
        told = system.emergency(await _emergency(request, "--yes", "--reason", given.reason))
        return desk_of(request).pages.page(request, "ended", told=told)
    told = system.emergency(await _emergency(request, "--dry-run"))
    question = Question("Emergency: end everything?", ALARM.hint, ALARM, word=EMERGENCY)
    return ask_back(request, question, "/system", "emergency", told=told)


async def _emergency(request: Request, *given: str) -> EmergencyReport:
    """What `jobkeep emergency` reports; by its own process, since it works without a daemon. Raises DaemonError."""
    socket = f"--socket={desk_of(request).connection.socket}"
    words = [sys.executable, "-m", "jobkeep.cli", socket, "emergency", "--json", *given]
    ended = await anyio.run_process(words, check=False)
    try:
        return msgspec.json.decode(ended.stdout, type=EmergencyReport)
    except msgspec.MsgspecError:
        said = ended.stderr.decode("utf-8", "replace").strip().removeprefix("jobkeep: ")
        raise DaemonError(said or "the emergency could not be carried out", EMERGENCY) from None


ROUTES: Final[list[BaseRoute]] = [
    Route("/processes/cleanup", cleanup, methods=["POST"]),
    Route("/system/recover", recover, methods=["POST"]),
    Route("/system/emergency", emergency, methods=["POST"]),
    Route("/system/{verb}", control, methods=["POST"]),
]
