"""What the journal says: the states it leads jobs to, the stops that were asked for, the seats of runs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from crash.torture.evidence import EventSeen, JobSeen, Run

_AFTER_END = {
    "retry": "scheduled", "requeued": "queued", "succeeded": "succeeded", "failed": "failed", "cancelled": "cancelled",
}  # fmt: skip
_OUTCOMES = {
    "succeeded": {"succeeded"},
    "failed": {"failed", "retry", "cancelled"},
    "cancelled": {"cancelled"},
    "interrupted": {"requeued", "failed", "cancelled"},
    "lost": {"requeued", "failed", "cancelled"},
}


def gaps(events: Sequence[EventSeen]) -> Iterator[str]:
    """`seq` counts from 1 without a gap."""
    if events and events[0].seq != 1:
        yield f"the journal begins with {events[0].seq}"
    for before, after in pairwise(events):
        if after.seq != before.seq + 1:
            yield f"the journal goes on from {before.seq} with {after.seq}"


def stops(events: Sequence[EventSeen]) -> dict[Run, str]:
    """Run -> the verb that was to end it; the last one, if several."""
    verbs = {"cancel_requested": "cancel", "restart_requested": "restart"}
    return {(event.job or "", event.run): verbs[event.kind] for event in events if event.kind in verbs and event.run}


def seats(events: Sequence[EventSeen]) -> dict[Run, str]:
    """Run -> the slot in which it started."""
    return {(event.job or "", event.run or 0): event.data["seat"] for event in events if event.kind == "started"}


def replay(job: JobSeen, history: Sequence[EventSeen]) -> Iterator[str]:
    """Whether the job's history is possible, and leads to the state in which it is."""
    if not history or history[0].kind != "submitted":
        yield f"the history of job {job.id} does not begin with its submit"
        return
    steps = _Steps()
    for event in history[1:]:
        why = steps.take(event)
        if why is not None:
            yield f"event {event.seq} of job {job.id}: {event.kind} of run {event.run}: {why}"
            return
    if steps.state != job.state:
        yield f"the journal leads job {job.id} to {steps.state}, and it is {job.state}"
    on_record = {run.number: run.outcome for run in job.runs}
    if steps.ended != on_record:
        yield f"the journal of job {job.id} has the runs {steps.ended}, on record are {on_record}"


class _Steps:
    """One job's way. Each handler returns what is impossible about the event, if anything is."""

    def __init__(self) -> None:
        self.state = "queued"
        self.ended: dict[int, str] = {}
        self._run: int | None = None  # the one that has started and not ended
        self._last = 0
        self._outcome: str | None = None  # of an end whose consequence is to follow
        self._withdrawn = False  # cancelled before it ran

    def take(self, event: EventSeen) -> str | None:
        if self._outcome is not None and event.kind not in _AFTER_END:
            return f"an end with outcome {self._outcome} had no consequence"
        if event.kind in _AFTER_END:
            return self._consequence(event)
        handler = getattr(self, f"_{event.kind}", None)
        return "there is no such event" if handler is None else handler(event)

    def _consequence(self, event: EventSeen) -> str | None:
        outcome, self._outcome = self._outcome, None
        if outcome is None and not (event.kind == "cancelled" and self._withdrawn):
            return "no run has ended"
        if outcome is not None and event.kind not in _OUTCOMES[outcome]:
            return f"the run's outcome was {outcome}"
        self.state, self._withdrawn = _AFTER_END[event.kind], False
        return None

    def _started(self, event: EventSeen) -> str | None:
        if self.state != "queued" or self._run is not None:
            return f"the job is {self.state}, and its run {self._run} is open"
        if event.run is None or event.run <= self._last:
            return f"run {self._last} came before"
        self._run = self._last = event.run
        self.state = "running"
        return None

    def _ended(self, event: EventSeen) -> str | None:
        if event.run in self.ended:
            return f"it had ended as {self.ended[event.run]}"
        if event.run is None or (event.run != self._run and (self._run is not None or event.run <= self._last)):
            return f"open is {self._run}"
        self._run, self._last = None, event.run
        self.ended[event.run] = self._outcome = event.data["outcome"]
        return None

    def _cancel_requested(self, event: EventSeen) -> str | None:
        if self.state not in ("queued", "scheduled", "running"):
            return f"the job is {self.state}"
        self._withdrawn = True
        return None

    def _restart_requested(self, event: EventSeen) -> str | None:
        return None if self.state == "running" else f"the job is {self.state}"

    def _resumed(self, event: EventSeen) -> str | None:
        if self.state not in ("failed", "cancelled"):
            return f"the job is {self.state}"
        self.state = "queued"
        return None

    def _due(self, event: EventSeen) -> str | None:
        if self.state != "scheduled":
            return f"the job is {self.state}"
        self.state = "queued"
        return None

    def _recovered(self, event: EventSeen) -> str | None:
        """A daemon has met the run again."""
        return None

    def _signalled(self, event: EventSeen) -> str | None:
        """To a process of a run that has begun, however long ago, and not without evidence."""
        if not (event.data.get("evidence") and event.data.get("start_ticks")):
            return "nothing proves whom it was for"
        # A daemon that was killed as a run began may not have come to say so.
        return f"the last to begin was {self._last}" if (event.run or 0) > self._last + 1 else None

    def _survived(self, event: EventSeen) -> str | None:
        """The kernel has not let a process die yet."""
        return None
