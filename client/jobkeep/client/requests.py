"""Every request of the client as a pure function of its arguments; both clients share them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from jobkeep.client import routes, specs
from jobkeep.client.routes import NOTHING, Request
from jobkeep.errors import InvalidRequest, TooLarge
from jobkeep.protocol import admin, jobs
from jobkeep.protocol.durations import to_seconds
from jobkeep.protocol.interface import Nothing
from jobkeep.protocol.jobs import JobSpec
from jobkeep.protocol.service import Info
from jobkeep.protocol.vocabulary import DEFAULT_MESSAGE_LIMIT, JobState, OnConflict

if TYPE_CHECKING:
    from jobkeep.protocol.durations import Duration

MAX_ITEMS = 1000  # of one SubmitMany
MAX_IDS = 1000  # of one Wait
PAGE = 200

_encode = msgspec.json.Encoder().encode


def submit(spec: JobSpec, on_conflict: OnConflict | None, request_id: str | None) -> Request[jobs.SubmitReply]:
    """Accept one job; a request id is drawn unless given, so that the request may be sent again."""
    parameters = jobs.SubmitParameters(spec, request_id or uuid.uuid4().hex, on_conflict or "reject")
    return Request(routes.SUBMIT, parameters)


def submit_many(
    template: Mapping[str, Any], items: Iterable[Mapping[str, Any]], request_id: str | None
) -> Iterator[Request[jobs.SubmitManyReply]]:
    """The messages of a bulk submit, with request ids ID/1, ID/2, …, each of at most 1000 items and under 1 MiB."""
    spec = specs.template(template)
    id = request_id or uuid.uuid4().hex
    room = DEFAULT_MESSAGE_LIMIT - len(_many(spec, [], f"{id}/{1 << 32}").frame())
    for number, part in enumerate(_parts(items, room), 1):
        yield _many(spec, part, f"{id}/{number}")


def _many(spec: JobSpec, items: list[Any], request_id: str) -> Request[jobs.SubmitManyReply]:
    return Request(routes.SUBMIT_MANY, jobs.SubmitManyParameters(spec, items, request_id))


def _parts(items: Iterable[Mapping[str, Any]], room: int) -> Iterator[list[Raw]]:
    """Encoded items, cut where a message is full."""
    part: list[Raw] = []
    size = 0
    for item in items:
        encoded = _encoded(item)
        if len(encoded) + 1 > room:
            raise TooLarge(f"an item has {len(encoded)} bytes; a message has room for {room - 1}")
        if part and (len(part) == MAX_ITEMS or size + len(encoded) + 1 > room):
            yield part
            part, size = [], 0
        part.append(Raw(encoded))
        size += len(encoded) + 1
    if part:
        yield part


def _encoded(item: Mapping[str, Any]) -> bytes:
    try:
        return _encode(specs.fields(item))
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"an item cannot be sent as JSON: {error}") from error


def get(id: str) -> Request[jobs.JobReply]:
    """One job."""
    return Request(routes.GET, jobs.JobParameters(id))


class Pages:
    """A list of jobs, page by page. `limit` is how many at most, over all pages; None is all."""

    def __init__(
        self,
        state: Sequence[JobState] | JobState | None,
        queue: str | None,
        label: Mapping[str, str] | None,
        since: Duration | None,
        limit: int | None,
    ) -> None:
        self._state = [state] if isinstance(state, str) else list(state) if state is not None else None
        self._queue = queue
        self._label = dict(label) if label else None
        self._since = seconds(since, "since")
        self._left = limit
        self._before: int | None = None
        self.done = limit == 0

    def request(self) -> Request[jobs.ListReply]:
        """The next page."""
        size = PAGE if self._left is None else min(PAGE, self._left)
        return Request(
            routes.LIST,
            jobs.ListParameters(self._state, self._queue, self._label, self._since, size, self._before),
        )

    def take(self, reply: jobs.ListReply) -> list[jobs.Job]:
        """The jobs of a page; `done` is set after the last one."""
        if self._left is not None:
            self._left -= len(reply.jobs)
        self._before = reply.next
        self.done = reply.next is None or (self._left is not None and self._left <= 0)
        return reply.jobs


def cancel(id: str, force: bool, reason: str | None) -> Request[jobs.StateReply]:
    """Ask a job to stop."""
    return Request(routes.CANCEL, jobs.CancelParameters(id, force, reason))


def resume(id: str, failed_items: bool, reason: str | None) -> Request[jobs.StateReply]:
    """Continue an ended job."""
    return Request(routes.RESUME, jobs.ResumeParameters(id, failed_items, reason))


def restart(id: str, from_start: bool, reason: str | None) -> Request[jobs.StateReply]:
    """End a job's run and continue it."""
    return Request(routes.RESTART, jobs.RestartParameters(id, from_start, reason))


def result(id: str) -> Request[jobs.ResultReply]:
    """What a function returned."""
    return Request(routes.RESULT, jobs.JobParameters(id))


def history(id: str) -> Request[jobs.HistoryReply]:
    """A job's journal."""
    return Request(routes.HISTORY, jobs.HistoryParameters(id))


def failed_items(id: str, after: int) -> Request[jobs.FailedItemsReply]:
    """A page of items that failed."""
    return Request(routes.FAILED_ITEMS, jobs.FailedItemsParameters(id, after, PAGE))


def sql(query: str) -> Request[admin.SqlReply]:
    """A read-only query."""
    return Request(routes.SQL, admin.SqlParameters(query))


def status() -> Request[admin.StatusReply]:
    """What the daemon is and does."""
    return Request[admin.StatusReply](routes.STATUS, NOTHING)


def stop() -> Request[admin.StopReply]:
    """End the daemon."""
    return Request[admin.StopReply](routes.STOP, NOTHING)


def info() -> Request[Info]:
    """Who answers."""
    return Request[Info](routes.GET_INFO, Nothing())


def seconds(value: Duration | None, name: str) -> float | None:
    """A duration of an argument called `name`. Raises InvalidRequest."""
    if value is None:
        return None
    try:
        return to_seconds(value)
    except (ValueError, AttributeError) as error:
        raise InvalidRequest(f"{name}: {error}", name) from None


class Waiting:
    """Waiting for jobs, with as many requests as it takes. Raises InvalidRequest where `any` of them needs several."""

    def __init__(self, ids: Sequence[str], any: bool, timeout: Duration | None) -> None:
        if any and len(ids) > MAX_IDS:
            raise InvalidRequest(f"waiting for any of {len(ids)} jobs: at most {MAX_IDS}", "ids")
        self.parts = [list(ids[at : at + MAX_IDS]) for at in range(0, len(ids), MAX_IDS)]
        self.timeout_s = seconds(timeout, "timeout")
        self._any = any
        self._deadline = None if self.timeout_s is None else monotonic() + self.timeout_s

    def request(self, part: list[str]) -> Request[jobs.WaitReply]:
        """Wait for those of one part, for the time that is left."""
        return Request(routes.WAIT, jobs.WaitParameters(part, self._any, self._left()))

    def look(self, part: list[str]) -> Request[jobs.WaitReply]:
        """Answered at once: timed out while they have not ended."""
        return Request(routes.WAIT, jobs.WaitParameters(part, self._any, 0.0))

    def over(self) -> bool:
        """Whether no time is left."""
        return self._left() == 0.0

    def _left(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - monotonic())
