"""How a worker and its daemon find the version of the protocol that they have in common."""

from __future__ import annotations

import os
from typing import NoReturn

import msgspec
from msgspec import Raw

from jobkeep.protocol import worker
from jobkeep.protocol.faults import WrongProtocol
from jobkeep.worker.settings import Settings
from jobkeep.worker.wire import call

_decode = msgspec.json.Decoder(WrongProtocol).decode


class NotUnderstood(ConnectionError):
    """There is no such version. The next daemon may know ours."""


class Handshake:
    """From dialling to the daemon's welcome. Begins with our newest version."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._due: float | None = None
        self.version = worker.PROTOCOL

    def hello(self, held: tuple[str, int] | None, now: float) -> bytes:
        """The call to begin with. `held` are run and fence that we have, or whose end has not arrived."""
        self._due = now + self._settings.reply_s
        run, fence = held or (None, 0)
        seat, cookie = self._settings.seat, self._settings.cookie
        parameters = worker.AttachParameters(seat, cookie, os.getpid(), self.version, run, fence)
        return call("Attach", parameters, more=True)

    @property
    def pending(self) -> bool:
        """Nothing may be reported yet."""
        return self._due is not None

    def overdue(self, now: float) -> bool:
        return self._due is not None and now >= self._due

    def end(self) -> None:
        """We are welcome, or the connection is gone."""
        self._due = None

    def settle(self, refusal: Raw) -> NoReturn:
        """The daemon does not know `version`: dial again with the newest that both know. Raises ConnectionError."""
        known = _decode(refusal)
        common = range(max(known.oldest, worker.OLDEST), min(known.newest, worker.PROTOCOL) + 1)
        if not common or self.version in common:
            self.version = worker.PROTOCOL
            raise NotUnderstood(known.message)
        self.version = common[-1]
        raise ConnectionError(f"from now on we speak version {self.version} of the protocol")
