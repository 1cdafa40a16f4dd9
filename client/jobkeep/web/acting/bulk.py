"""Verbs for many jobs: those that are ticked, or all that match the list's conditions."""

from __future__ import annotations

from collections import Counter
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from jobkeep.client.bulk_requests import Matching
from jobkeep.errors import DaemonUnreachable, JobkeepError
from jobkeep.protocol.jobs import MatchingReply
from jobkeep.web.acting.forms import REASON, Form, Question, ask_back, came_from, done, form
from jobkeep.web.acting.jobs import DEEDS
from jobkeep.web.connection import Connection
from jobkeep.web.model import filters, words
from jobkeep.web.model.filters import Filter
from jobkeep.web.model.verbs import VERBS
from jobkeep.web.screens.base import desk_of
from jobkeep.wording import escape

KINDS: Final = {
    "cancel": Connection.cancel_matching, "resume": Connection.resume_matching,
    "restart": Connection.restart_matching, "rm": Connection.remove_matching,
}  # fmt: skip
MOST: Final = 1000  # ticked at once
PAST: Final = {"cancel": "cancelled", "resume": "resumed", "restart": "restarted", "rm": "removed"}


async def act(request: Request) -> Response:
    given = await form(request)
    name = given.get("verb")
    if name not in KINDS:
        raise HTTPException(404)
    if given.get("matching"):
        return await _matching(request, given, name)
    ids = list(dict.fromkeys(given.all("id")))[:MOST]
    if not ids:
        return done(request, "No job is selected.", given.get("back") or None, good=False)
    if name == "rm" and not given.sure:
        text = "What they have written is removed as well."
        return _ask_back(request, name, f"Remove {words.counted(len(ids), 'job')}?", text, [("id", id) for id in ids])
    return await _ticked(request, given, name, ids)


async def _ticked(request: Request, given: Form, name: str, ids: list[str]) -> Response:
    refused: Counter[str] = Counter()
    for id in ids:
        try:
            await DEEDS[name](desk_of(request).connection.job(id))
        except DaemonUnreachable:
            raise
        except JobkeepError as error:
            refused[str(error)] += 1
    return _report(request, given, name, len(ids) - refused.total(), refused)


async def _matching(request: Request, given: Form, name: str) -> Response:
    """At first only looked at: how many, and who would refuse."""
    filter = filters.parse([(key, value) for key, value in given.fields if key != "id"])
    connection = desk_of(request).connection
    if given.sure:
        reply = await KINDS[name](connection, **_conditions(filter, dry_run=False))
        return _report(request, given, name, len(reply.ids), _reasons(reply))
    reply = await KINDS[name](connection, **_conditions(filter, dry_run=True))
    if not reply.ids:
        return _report(request, given, name, 0, _reasons(reply))
    title = f"{VERBS[name].label} {words.counted(len(reply.ids), 'job')}?"
    text = f"They match the list you came from. {VERBS[name].hint}."
    return _ask_back(request, name, title, " ".join([text, _others(_reasons(reply))]), [
        ("matching", "1"), *((key, value) for key, value in filter.fields() if key != "before")
    ])  # fmt: skip


def _conditions(filter: Filter, dry_run: bool) -> Matching:
    found: Matching = {"dry_run": dry_run, "reason": REASON}
    if filter.states is not None:
        found["state"] = filter.states
    elif not filter.narrowed:
        found["all"] = True
    if filter.queue:
        found["queue"] = filter.queue
    if filter.label:
        found["label"] = filter.labels
    if filter.since:
        found["since"] = filter.since
    return found


def _reasons(reply: MatchingReply) -> Counter[str]:
    return Counter({refusal.reason: refusal.count for refusal in reply.refused})


def _others(refused: Counter[str]) -> str:
    return " ".join(f"{words.counted(count, 'other')}: {escape(why)}." for why, count in refused.most_common(3))


def _ask_back(request: Request, name: str, title: str, text: str, fields: list[tuple[str, str]]) -> Response:
    back = came_from(request)
    return ask_back(request, Question(title, text, VERBS[name], [*fields, ("verb", name), ("back", back)]), back)


def _report(request: Request, given: Form, name: str, count: int, refused: Counter[str]) -> Response:
    text = f"{words.counted(count, 'job')} {PAST[name]}." if count or not refused else f"No job was {PAST[name]}."
    return done(request, text, given.get("back") or None, good=not refused, hint=_others(refused))


ROUTES: Final[list[BaseRoute]] = [Route("/jobs/bulk", act, methods=["POST"])]
