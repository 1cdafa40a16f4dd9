"""Every request of the client as a pure function of its arguments; both clients share them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from jobkeep.client import routes, specs
from jobkeep.client.routes import NOTHING, Request
from jobkeep.errors import DaemonUnreachable, InvalidRequest, JobkeepError, OutcomeUnknown, ShuttingDown, TooLarge
from jobkeep.protocol import admin, jobs
from jobkeep.protocol import processes as process
from jobkeep.protocol.durations import to_seconds
from jobkeep.protocol.interface import Nothing
from jobkeep.protocol.jobs import JobSpec
from jobkeep.protocol.metrics import MetricsReply
from jobkeep.protocol.service import Info
from jobkeep.protocol.vocabulary import DEFAULT_MESSAGE_LIMIT, DrainCommands, JobState, OnConflict, OnLost

if TYPE_CHECKING:
    from jobkeep.protocol.durations import Duration

MAX_ITEMS = 1000  # of one SubmitMany
MAX_IDS = 1000  # of one Wait
PAGE = 200

_encode = msgspec.json.Encoder().encode


def new_id() -> str:
    """The id of a request that has none."""
    return uuid.uuid4().hex


def unresolved(error: JobkeepError, request_id: str, accepted: int = 0) -> JobkeepError:
    """An error after which nobody knows whether a submit was accepted, with the way to find out. `accepted`: how many
    jobs came before it.
    """
    error.request_id = request_id
    if not isinstance(error, DaemonUnreachable | ShuttingDown | OutcomeUnknown):
        if accepted:
            error.hint = f"what came before it is accepted: with request_id={request_id!r} the same goes on behind that"
        return error
    patience = error.hint if isinstance(error, DaemonUnreachable) and error.waited_s is not None else None
    if error.hint is None or patience:
        safe = f"whether it was accepted is unknown: the same again with request_id={request_id!r} is safe"
        error.hint = f"{safe}; {patience}" if patience else safe
    return error


def submit(spec: JobSpec, on_conflict: OnConflict | None, request_id: str) -> Request[jobs.SubmitReply]:
    """Accept one job; thanks to its id the request may be sent again."""
    return Request(routes.SUBMIT, jobs.SubmitParameters(spec, request_id, on_conflict))


def submit_many(
    template: Mapping[str, Any], items: Iterable[Mapping[str, Any]], id: str
) -> Iterator[Request[jobs.SubmitManyReply]]:
    """The messages of a bulk submit, with request ids ID/1, ID/2, …, each of at most 1000 items and under 1 MiB."""
    spec = specs.template(template)
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


def get(id: str, output: bool = False) -> Request[jobs.JobReply]:
    """One job."""
    return Request(routes.GET, jobs.GetParameters(id, output))


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
        self.done: bool = limit == 0

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


def remove(id: str, reason: str | None) -> Request[jobs.RemoveReply]:
    """Forget an ended job."""
    return Request(routes.REMOVE, jobs.RemoveParameters(id, reason))


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


def metrics() -> Request[MetricsReply]:
    """What the daemon has counted."""
    return Request[MetricsReply](routes.METRICS, NOTHING)


def stop() -> Request[admin.StopReply]:
    """End the daemon."""
    return Request[admin.StopReply](routes.STOP, NOTHING)


def explain(id: str) -> Request[jobs.ExplainReply]:
    """Why a job does not run or move."""
    return Request(routes.EXPLAIN, jobs.JobParameters(id))


def recover(check: bool, older_than: Duration | None, then: OnLost | None) -> Request[admin.RecoverReply]:
    """Look at every open run."""
    return Request(routes.RECOVER, admin.RecoverParameters(check, seconds(older_than, "older_than"), then))


def processes(orphans: bool, all: bool) -> Request[process.ListReply]:
    """Whose the processes of the host are."""
    return Request(routes.PROCESSES, process.ListParameters(orphans, all))


def cleanup(dry_run: bool, reason: str | None) -> Request[process.CleanupReply]:
    """End what nobody owns."""
    return Request(routes.CLEANUP, process.CleanupParameters(dry_run, reason))


def drain(commands: DrainCommands, timeout_s: float | None) -> Request[admin.DrainReply]:
    """Start nothing more."""
    return Request(routes.DRAIN, admin.DrainParameters(commands, timeout_s))


def undrain() -> Request[admin.UndrainReply]:
    """Start jobs again."""
    return Request[admin.UndrainReply](routes.UNDRAIN, NOTHING)


def backup(file: str | os.PathLike[str], force: bool) -> Request[admin.BackupReply]:
    """A copy of the database; `file` is relative to the caller's directory."""
    return Request(routes.BACKUP, admin.BackupParameters(os.path.abspath(file), force))


def reload() -> Request[admin.ReloadReply]:
    """Follow the configuration."""
    return Request[admin.ReloadReply](routes.RELOAD, NOTHING)


def check() -> Request[admin.CheckReply]:
    """Whether the database is well."""
    return Request[admin.CheckReply](routes.CHECK, NOTHING)


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
        self.parts: list[list[str]] = [list(ids[at : at + MAX_IDS]) for at in range(0, len(ids), MAX_IDS)]
        self.timeout_s: float | None = seconds(timeout, "timeout")
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
