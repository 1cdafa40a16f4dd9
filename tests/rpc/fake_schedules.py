"""Schedules behind the wire: the real ones, over a store in memory, whose clock stands still."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from jobkeepd.store.memory import MemoryStore
from jobkeepd.supervisor.schedules import Schedules
from rpc.fake_locks import FakeClock


def fake_schedules(store: MemoryStore, clock: FakeClock) -> Schedules:
    """Nothing is fired: nobody keeps them going."""
    workshop: Any = SimpleNamespace(store=store, clock=clock)
    return Schedules(workshop, {}, lambda: ["default"], lambda jobs, done: None)
