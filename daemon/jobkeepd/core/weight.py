"""How much memory jobs take: their number alone says little, as the spec of one may be large."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import json

from jobkeep.protocol.jobs import JobSpec
from jobkeepd.core.model import Job

HEAVIEST: Final = 4 << 20  # bytes of specs that are read together, and kept in one place before they are due
_encode: Final = json.Encoder().encode


def weight(spec: JobSpec) -> int:
    """Bytes, as it is stored: command, arguments and variables may each be most of a message."""
    return len(_encode(spec))


def up_to(heaviest: int, jobs: Iterable[Job]) -> list[Job]:
    """The first ones: the last of them is that with which they weigh so much together."""
    found: list[Job] = []
    total = 0
    for job in jobs:
        found.append(job)
        total += weight(job.spec)
        if total >= heaviest:
            break
    return found
