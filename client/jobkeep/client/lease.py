"""A lease as its holder sees it: by the holder's own clock, so that no silence of the daemon can prolong it."""

from __future__ import annotations

import os
import uuid
from time import monotonic
from typing import Any

from jobkeep.client import routes
from jobkeep.client.routes import Request
from jobkeep.errors import LeaseLost
from jobkeep.protocol import locks


class Lease:
    """A lock that this process holds. `token` rises with each holder: whoever is given it can refuse an older one.

    It is renewed in the background; once that has failed for `ttl_s`, or somebody else may have the lock, it is lost
    for good.
    """

    _kind = "lock"

    def __init__(self, name: str, ttl_s: float | None) -> None:
        self.name = name
        self.lock = name  # by which the daemon knows it
        self.token: int = 0
        self.ttl_s = ttl_s  # None: as the daemon has it
        self.id: str = uuid.uuid4().hex
        self.asked_at: float = 0.0  # the last request that asked for it
        self._pid = os.getpid()
        self._until = 0.0
        self._loss: str | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.token}{' lost' if self.lost else ''}>"

    @property
    def lost(self) -> bool:
        """Whether the lock may be somebody else's. A forked child has none: nobody renews it there."""
        if self._loss is None and self.token:
            if self.inherited:
                self._loss = f"it belongs to process {self._pid}, this one is a fork of it"
            elif self.left() <= 0:
                self._loss = f"it was not renewed for {self.ttl_s:g} s, since the daemon did not answer"
        return self._loss is not None

    def check(self) -> None:
        """Raises LeaseLost once it is lost."""
        if self.lost:
            raise LeaseLost(f"the {self.words} is lost: {self._loss}", self.name, self.token)

    # For the client itself

    @property
    def words(self) -> str:
        """What is held."""
        return f"{self._kind} {self.name}"

    def request(self, wait_s: float) -> Request[Any]:
        """Take it; thanks to the lease's id the request may be sent again. Its reply is for `accept`."""
        return Request(routes.ACQUIRE, locks.AcquireParameters(self.lock, self.id, self.ttl_s, wait_s))

    def accept(self, reply: Any) -> None:
        """The answer to the request of `asked_at`."""
        self.granted(reply.token, reply.ttl_s)

    @property
    def inherited(self) -> bool:
        """Whether this process is a fork of the holder."""
        return os.getpid() != self._pid

    @property
    def fresh(self) -> bool:
        """Whether the daemon's grant is so young that it need not be confirmed."""
        return self.ttl_s is not None and self.left() >= 2 * self.ttl_s / 3

    @property
    def linger_s(self) -> float:
        """Between two renewals."""
        return (self.ttl_s or 0.0) / 3

    def left(self) -> float:
        """Seconds until it is lost, unless it is renewed before; without end once it is given back."""
        return self._until - monotonic()

    @property
    def patience(self) -> float:
        """How long an answer of the daemon may take, in seconds."""
        return min(max(self.left(), 0.001), self.ttl_s or 0.001)

    def granted(self, token: int, ttl_s: float) -> None:
        """It is ours since `asked_at`."""
        self.token, self.ttl_s = token, ttl_s
        self.confirmed()

    def confirmed(self) -> None:
        """The grant was still good when it was asked for again, at `asked_at`."""
        self._until = self.asked_at + (self.ttl_s or 0.0)

    def renewed(self, asked_at: float) -> None:
        """The daemon has taken a renewal that was sent then."""
        if not self.lost:
            self._until = max(self._until, asked_at + (self.ttl_s or 0.0))

    def given_back(self) -> None:
        """Time takes it from nobody any more; the daemon may still say that it was lost before."""
        self._until = float("inf")

    def lose(self, why: str) -> None:
        """For good; the first reason stays."""
        self._loss = self._loss or why
