"""Verbs for all jobs that match, as requests: a page of them each, until there are no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypedDict

from jobkeep.client import requests, routes
from jobkeep.client.routes import Request, Route
from jobkeep.errors import InvalidRequest, JobkeepError
from jobkeep.protocol import jobs
from jobkeep.protocol.jobs import MatchingParameters, MatchingReply, Refusal
from jobkeep.protocol.vocabulary import JobState

if TYPE_CHECKING:
    from jobkeep.protocol.durations import Duration


class Matching(TypedDict, total=False):
    """Which jobs; all conditions hold. Without any, `all` has to be true.

    `state` is by default those in which the verb can be meant; `since`: created or ended within that time. `dry_run`
    changes nothing, and says what the same call without it would do.
    """

    state: Sequence[JobState] | JobState | None
    queue: str | None
    label: Mapping[str, str] | None
    since: Duration | None
    all: bool
    dry_run: bool
    reason: str | None


class Sweep:
    """One verb over all that match. Asking for a page twice does no more than once."""

    def __init__(
        self, route: Route[MatchingReply], kind: type[MatchingParameters], given: Matching, **flags: Any
    ) -> None:
        state, label = given.get("state"), given.get("label")
        conditions: dict[str, Any] = {
            "state": [state] if isinstance(state, str) else list(state) if state is not None else None,
            "queue": given.get("queue"),
            "label": dict(label) if label else None,
            "since_s": requests.seconds(given.get("since"), "since"),
        }
        unknown = sorted(given.keys() - Matching.__annotations__.keys())
        if unknown:
            raise InvalidRequest(f"there is no option {unknown[0]!r}", unknown[0])
        if not given.get("all") and all(value is None for value in conditions.values()):
            raise InvalidRequest("no condition is given; all=True means every job", "all")
        others: dict[str, Any] = {name: value for name, value in given.items() if name in ("all", "dry_run", "reason")}
        self._route = route
        self._parameters = kind(**conditions, **others, **flags, as_of=datetime.now(UTC))
        self._states: Counter[str] = Counter()
        self._refused: dict[str, Refusal] = {}
        self._ids: list[str] = []
        self.done: bool = False

    def request(self) -> Request[MatchingReply]:
        """The next page."""
        return Request(self._route, self._parameters)

    def take(self, reply: MatchingReply) -> None:
        """What became of it; `done` is set after the last one."""
        self._ids += reply.ids
        self._states.update(reply.states)
        for group in reply.refused:
            known = self._refused.get(group.reason)
            count = group.count + (0 if known is None else known.count)
            self._refused[group.reason] = Refusal(group.reason, count, group.id)
        self._parameters.before = reply.next
        self.done = reply.next is None

    def result(self) -> MatchingReply:
        """Of all pages together."""
        refused = sorted(self._refused.values(), key=lambda group: -group.count)
        return MatchingReply(self._ids, dict(self._states), refused)

    def broken(self, error: JobkeepError) -> None:
        """Say how far it has come."""
        error.add_note(f"{len(self._ids)} jobs were done before; the same call goes on with the rest")


def cancel(given: Matching, force: bool) -> Sweep:
    """Cancel all that match."""
    return Sweep(routes.CANCEL_MATCHING, jobs.CancelMatchingParameters, given, force=force)


def resume(given: Matching, failed_items: bool) -> Sweep:
    """Resume all that match."""
    return Sweep(routes.RESUME_MATCHING, jobs.ResumeMatchingParameters, given, failed_items=failed_items)


def restart(given: Matching, from_start: bool) -> Sweep:
    """Restart all that match."""
    return Sweep(routes.RESTART_MATCHING, jobs.RestartMatchingParameters, given, from_start=from_start)


def remove(given: Matching) -> Sweep:
    """Remove all that match."""
    return Sweep(routes.REMOVE_MATCHING, MatchingParameters, given)
