"""What signs of life mean: three signals, three verdicts. Pure.

Process: its death is proven by the kernel and ends the run, so here it lives; it may be stopped. Loop: beats come from
a thread and count the turns of the event loop, so that a blocked loop is told from a silent process. Progress: how
long nothing has moved. A command's life is its process: it has no beats, and is never late.

Times are monotonic, durations seconds.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from jobkeep.protocol.jobs import Progress
from jobkeep.protocol.vocabulary import Health
from jobkeepd.core.wording import in_words

ProcessState = Literal["running", "stopped", "frozen"]


class Look(Struct, frozen=True):
    """What the kernel and the file system say of a run. `process` is None where nobody can tell."""

    process: ProcessState | None = None
    output_bytes: int = 0  # of both streams


class Signs(Struct):
    """The newest signs of life of one run. Written as they come, read by whoever asks."""

    progress: Progress
    since: float = 0.0  # silence counts from here: it was sent, or this daemon has taken it over
    moved_at: float = 0.0  # when progress, a checkpoint or a step last was something new
    beats: bool = False  # it has heartbeats to expect
    beat_at: float | None = None
    ticks: int | None = None  # turns of its event loop
    ticked_at: float | None = None  # when there last were new ones
    checkpoint_seq: int = 0
    look: Look = Look()  # the newest one; it is looked at when something is missing
    unsaved: bool = False  # progress has changed since it was last stored

    def beat(self, ticks: int | None, now: float) -> None:
        self.beat_at = now
        if ticks != self.ticks:
            self.ticks, self.ticked_at = ticks, now

    def tell(self, progress: Progress, now: float) -> None:
        """Progress between checkpoints; the same again moves nothing."""
        if progress != self.progress:
            self.progress, self.moved_at, self.unsaved = progress, now, True
        self.beat_at = now

    def reach(self, seq: int, progress: Progress, now: float) -> None:
        """A checkpoint; one that is said again moves nothing."""
        if seq > self.checkpoint_seq:
            self.checkpoint_seq, self.moved_at = seq, now
        self.progress, self.unsaved, self.beat_at = progress, False, now

    def see(self, look: Look, now: float) -> None:
        """Output of a command that grows is progress: it has no other way to show any."""
        if not self.beats and look.output_bytes != self.look.output_bytes:
            self.moved_at = now
        self.look = look

    def silent_for(self, now: float) -> float | None:
        """Seconds since the last heartbeat, or since it could have sent one; None where there are none to expect."""
        if not self.beats:
            return None
        return now - (self.since if self.beat_at is None else max(self.beat_at, self.since))

    def blocked_for(self, now: float) -> float | None:
        """Seconds since the event loop last turned; None where there is none."""
        return None if self.ticked_at is None else now - self.ticked_at

    def stuck_for(self, now: float) -> float:
        """Seconds since anything moved."""
        return now - max(self.moved_at, self.since)


class Limits(Struct, frozen=True):
    """When it is late, and when it is stalled (None: never)."""

    late_after: float
    stall_after: float | None = None


class Live(Struct, frozen=True):
    """What is known of a running job beyond the store. Ages in seconds; None where there is no such sign."""

    progress: Progress
    heartbeat_age: float | None
    health: Health
    stuck_for: float | None  # since the last sign of what is missing
    reason: str | None = None  # of a health that is not ok


def judge(signs: Signs, limits: Limits, now: float) -> Live:
    """Stalled weighs more than late, since it may have consequences; its reason tells both."""
    age = None if signs.beat_at is None else now - signs.beat_at
    late, missing_for = _late(signs, limits.late_after, now)
    stuck_for = signs.stuck_for(now)
    if limits.stall_after is not None and stuck_for >= limits.stall_after:
        reason = f"no progress for {in_words(stuck_for)}" + (f"; {late}" if late else "")
        return Live(signs.progress, age, "stalled", stuck_for, reason)
    if late is not None:
        return Live(signs.progress, age, "late", missing_for, late)
    return Live(signs.progress, age, "ok", None)


def _late(signs: Signs, late_after: float, now: float) -> tuple[str | None, float | None]:
    silent = signs.silent_for(now)
    if silent is not None and silent > late_after:
        return _no_heartbeat(silent, signs), silent
    blocked = signs.blocked_for(now)
    if blocked is not None and blocked > late_after:
        return f"its event loop has been blocked for {in_words(blocked)}: its process lives, and beats", blocked
    return None, None


def _no_heartbeat(silent: float, signs: Signs) -> str:
    return f"no heartbeat for {in_words(silent)}: {_SILENT[signs.look.process]}"


_SILENT: dict[ProcessState | None, str] = {
    "running": "its process runs, but in code that lets none of its other threads run",
    "stopped": "its process is stopped, by a signal or a debugger",
    "frozen": "its process is frozen, with its control group",
    None: "nobody can tell what its process does",
}


def why_fence(signs: Signs, ttl: float, now: float) -> str | None:
    """Why the lease of a run is over: nothing heard for `ttl`, and the kernel says that it does not run. Else None.

    A silent process that runs is late, and no more: it works, and its writes are wanted. One that is stopped may come
    back at any time, and must not write then as if nothing had happened.
    """
    silent = signs.silent_for(now)
    if silent is None or silent < ttl or signs.look.process not in ("stopped", "frozen"):
        return None
    return _no_heartbeat(silent, signs)
