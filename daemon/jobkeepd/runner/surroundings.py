"""What every seat is given of the daemon around it."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping

from msgspec import Struct

from jobkeepd.clock import Clock
from jobkeepd.core.liveness import ProcessState
from jobkeepd.core.model import Identity
from jobkeepd.core.signalled import Signalled, Survived
from jobkeepd.runner.environment import Directories
from jobkeepd.runner.output import Outputs
from jobkeepd.runner.process_state import process_state
from jobkeepd.runner.settings import DaskSettings, WorkerSettings
from jobkeepd.runner.stragglers import Stragglers


class Surroundings(Struct):
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
    stragglers: Stragglers
    clusters: Mapping[str, DaskSettings] = {}  # by name
    heartbeat: float = 5.0  # seconds between two of a worker that runs a function
    state_of: Callable[[Identity], ProcessState | None] = process_state
    audit: Callable[[Signalled | Survived], None] = lambda said: None  # puts a signal on record, or who outlives one

    def worker_cookie(self, seat: str) -> str:
        return worker_cookie(self.secret, seat)


def worker_cookie(secret: bytes, seat: str) -> str:
    """A seat's own, which proves that a process is its worker's."""
    return hmac.digest(secret, seat.encode(), "sha256").hex()[:40]
