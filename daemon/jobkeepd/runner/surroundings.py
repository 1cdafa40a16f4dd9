"""What every seat is given of the daemon around it."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from msgspec import Struct

from jobkeepd.clock import Clock
from jobkeepd.runner.environment import Directories
from jobkeepd.runner.output import Outputs
from jobkeepd.runner.settings import WorkerSettings


class Surroundings(Struct, frozen=True):
    """`forget` removes a run's records; `secret` is the state directory's own, so that a worker's cookie can be told
    again after a daemon restart."""

    directories: Directories
    outputs: Outputs
    clock: Clock
    forget: Callable[[str], None]
    secret: bytes
    grace: float
    checkpoint_every: int
    settings: WorkerSettings

    def worker_cookie(self, seat: str) -> str:
        return hmac.digest(self.secret, seat.encode(), "sha256").hex()[:40]
