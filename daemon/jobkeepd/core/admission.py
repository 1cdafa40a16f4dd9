"""Which queued jobs start now: within the queue's limit, and a little ahead behind each busy seat."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct

from jobkeep.protocol.jobs import JobSpec
from jobkeepd.core.limits import Limits, limits_of


class Need(Struct, frozen=True):
    """What a job wants of a seat. Seats of equal needs are interchangeable.

    Commands need any slot; functions a worker of their interpreter, directory, environment, umask and limits:
    a worker was started with its own. Those of a cluster need a bridge to it.
    """

    python: str | None = None
    cwd: str | None = None
    environment: str | None = None
    env: tuple[tuple[str, str], ...] = ()
    umask: int = 0o022
    limits: Limits | None = None
    on: str | None = None  # a bridge to that cluster, and no other worker
    alone: str | None = None  # the only job that may have it: its credentials are where the worker was told

    @property
    def is_function(self) -> bool:
        return self.python is not None


COMMAND = Need()


def need_of(
    job: str, spec: JobSpec, environment: str | None, default_python: str, default_cwd: str
) -> Need:
    """The seat that the job needs."""
    if spec.function is None:
        return COMMAND
    return Need(
        python=spec.python or default_python,
        cwd=spec.cwd or default_cwd,
        environment=environment,
        env=tuple(sorted(spec.env.items())),
        umask=spec.umask,
        limits=limits_of(spec),
        on=spec.on,
        alone=job if spec.credentials else None,
    )


class Behind(Struct, frozen=True):
    """A busy seat of the queue: what it takes, how many wait behind it, and how many may."""

    need: Need
    waiting: int
    depth: int


# What waits behind a seat is this much work at most, in seconds, by the seat's own pace.
AHEAD = 0.01
DEEPEST = 16


def depth_behind(pace: float | None) -> int:
    """How many jobs may be claimed ahead of a seat whose runs take `pace` seconds.

    One is enough to hide a commit behind a run that lasts. Where runs are shorter than a commit, more of them hide
    it, and still nobody waits longer than AHEAD for what he could overtake.
    """
    if pace is None:
        return 1
    return max(1, min(DEEPEST, int(AHEAD / max(pace, 1e-6))))


class Placement(Struct, frozen=True):
    """`start` jobs get a seat of their own; `ahead` pairs (job, busy seat) wait for that seat's turn."""

    start: int
    ahead: tuple[tuple[int, int], ...]  # (index into waiting, index into busy)


def place(
    waiting: Sequence[Need], free: int, busy: Sequence[Behind], alone: Collection[int] = ()
) -> Placement:
    """Place jobs strictly in their order, each behind the fitting seat that has the fewest waiting.

    Those that are `alone`, by their index, start on a free seat or not at all: who waits must not hold a lock.
    """
    start = min(max(free, 0), len(waiting))
    queued = [seat.waiting for seat in busy]
    ahead: list[tuple[int, int]] = []
    for index in range(start, len(waiting)):
        fitting = [
            seat for seat, each in enumerate(busy) if queued[seat] < each.depth and each.need == waiting[index]
        ]
        if not fitting or index in alone:
            break  # nobody overtakes
        seat = min(fitting, key=queued.__getitem__)
        queued[seat] += 1
        ahead.append((index, seat))
    return Placement(start, tuple(ahead))
