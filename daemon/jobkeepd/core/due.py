"""When a new job is due: pure."""

from __future__ import annotations

from jobkeepd.core.model import JobSpec


def due_at(spec: JobSpec, accepted: float) -> float | None:
    """UTC seconds; None of one that may start at once, as one does whose time is over."""
    due = accepted + (spec.delay_s or 0.0) if spec.at is None else spec.at.timestamp()
    return due if due > accepted else None
