"""What signs of life mean: pure."""

from __future__ import annotations

from msgspec import Struct

from jobkeep.protocol.jobs import Progress
from jobkeep.protocol.vocabulary import Health


class Live(Struct, frozen=True):
    """What is known of a running job beyond the store. Ages in seconds; None where there is no such sign."""

    progress: Progress
    heartbeat_age: float | None
    health: Health
    stuck_for: float | None


def judge(progress: Progress, beat_at: float | None, moved_at: float, now: float, late_after: float) -> Live:
    """Monotonic times in, health out. A command's life is its process: without heartbeats it is never late."""
    age = None if beat_at is None else now - beat_at
    late = age is not None and age > late_after
    return Live(progress, age, "late" if late else "ok", now - moved_at if late else None)
