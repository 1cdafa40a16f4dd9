"""A fake daemon that grants locks: how it answers Acquire, Renew and the rest."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from jobkeep.client import keeper, lease, locks

from .fake_daemon import Called, FakeDaemon, Refusal

LOST = Refusal("org.jobkeep.Locks.LeaseLost", {"message": "lock crm is not held any more", "name": "crm", "token": 7})
HELD = Refusal(
    "org.jobkeep.Locks.LockHeld",
    {"message": "the lock crm is held by job j9", "name": "crm", "since_s": 5.0, "kind": "run", "job": "j9"},
)


class Granting:
    """Grants `crm` with token 7 and renews it, until `lost` is set: then a renewal that lingers ends at once; else it
    does after `linger_s` at the latest."""

    def __init__(self, daemon: FakeDaemon, ttl_s: float = 60.0, linger_s: float = 60.0) -> None:
        self.ttl_s = ttl_s
        self._linger_s = linger_s
        self.lost = threading.Event()
        daemon.on("Locks.Acquire", {"token": 7, "ttl_s": ttl_s})
        daemon.on("Locks.Renew", self.renew)
        daemon.on("Locks.Release", lambda called: LOST if self.lost.is_set() else {})
        daemon.on("Locks.GiveUp", {})

    def renew(self, called: Called) -> Any:
        return LOST if self.lost.wait(min(called.parameters["linger_s"], self._linger_s)) else {}


class Skipping:
    """The clock of those who hold leases in this process: so many seconds ahead of the kernel's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.s = 0.0
        for module in (keeper, lease, locks):
            monkeypatch.setattr(module, "monotonic", lambda: time.monotonic() + self.s)
