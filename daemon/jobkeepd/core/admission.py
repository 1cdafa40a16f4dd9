"""Which queued jobs start now: within the queue's limit, and at most one ahead behind each busy seat."""

from __future__ import annotations

from collections.abc import Sequence

from jobkeep.protocol.jobs import JobSpec
from msgspec import Struct


class Need(Struct, frozen=True):
    """What a job wants of a seat. Seats of equal needs are interchangeable.

    Commands need any slot; functions a worker of their interpreter, directory, environment and umask.
    """

    python: str | None = None
    cwd: str | None = None
    environment: str | None = None
    env: tuple[tuple[str, str], ...] = ()
    umask: int = 0o022

    @property
    def is_function(self) -> bool:
        return self.python is not None


COMMAND = Need()


def need_of(spec: JobSpec, environment: str | None, default_python: str, default_cwd: str) -> Need:
    """The seat that `spec` needs."""
    if spec.function is None:
        return COMMAND
    return Need(
        python=spec.python or default_python,
        cwd=spec.cwd or default_cwd,
        environment=environment,
        env=tuple(sorted(spec.env.items())),
        umask=spec.umask,
    )


class Placement(Struct, frozen=True):
    """`start` jobs get a seat of their own; `ahead` pairs (job, busy seat) wait for that seat's turn."""

    start: int
    ahead: tuple[tuple[int, int], ...]  # (index into waiting, index into busy)


def place(waiting: Sequence[Need], free: int, busy: Sequence[Need]) -> Placement:
    """Place jobs strictly in their order; `busy` are the queue's occupied seats that nobody waits behind."""
    start = min(max(free, 0), len(waiting))
    open_seats = list(range(len(busy)))
    ahead: list[tuple[int, int]] = []
    for index in range(start, len(waiting)):
        seat = next((seat for seat in open_seats if busy[seat] == waiting[index]), None)
        if seat is None:
            break  # nobody overtakes
        open_seats.remove(seat)
        ahead.append((index, seat))
    return Placement(start, tuple(ahead))
