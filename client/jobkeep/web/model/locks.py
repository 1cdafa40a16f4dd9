"""The page of locks: who has each, since when, and who waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from jobkeep.protocol.locks import Holder, Lock
from jobkeep.web.model import words
from jobkeep.web.model.words import Moment
from jobkeep.wording import span


@dataclass(frozen=True, slots=True)
class Owner:
    """Who has something: `path` leads to the job, where it is one."""

    text: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class LockRow:
    id: str
    name: str
    owner: Owner | None
    since: Moment | None
    expires: str
    waiting: int
    token: int
    stale: bool


def rows(locks: Sequence[Lock], now: datetime) -> list[LockRow]:
    """By name."""
    return [_row(number, lock, now) for number, lock in enumerate(sorted(locks, key=lambda lock: lock.name))]


def _row(number: int, lock: Lock, now: datetime) -> LockRow:
    return LockRow(
        id=f"lock-{number}",
        name=lock.name,
        owner=owner(lock.holder),
        since=words.moment(lock.acquired_at, now) if lock.acquired_at else None,
        expires=f"in {span(lock.expires_in_s)}, unless it is renewed" if lock.expires_in_s is not None else "",
        waiting=lock.waiting,
        token=lock.token,
        stale=lock.stale,
    )


def owner(holder: Holder | None) -> Owner | None:
    """A run of a job, or a process of a user."""
    if holder is None:
        return None
    if holder.job:
        run = f", run {holder.run}" if holder.run else ""
        return Owner(f"job {words.short(holder.job)}{run}", f"/jobs/{holder.job}")
    return Owner(f"process {holder.pid} of uid {holder.uid}")
