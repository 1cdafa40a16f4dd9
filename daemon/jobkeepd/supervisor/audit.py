"""Puts every signal on record; those that are sent before the store is open, as soon as it is."""

from __future__ import annotations

import structlog

from jobkeepd.clock import Clock
from jobkeepd.core.signalled import Signalled, Survived
from jobkeepd.store.base import Store
from jobkeepd.store.changes import Note

log = structlog.get_logger()


def note_of(said: Signalled | Survived, at: float) -> Note:
    """As the journal has it."""
    return Note(kind=said.kind, at=at, job=said.job, run=said.run, by=said.by, data=said.data)


class Audit:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._store: Store | None = None
        self._early: list[Note] = []

    def __call__(self, said: Signalled | Survived) -> None:
        if isinstance(said, Survived):
            log.error("processes_live_on", job=said.job, run=said.run, processes=said.processes)
        note = note_of(said, self._clock.now())
        if self._store is None:
            self._early.append(note)
        else:
            self._store.send(note)

    def open(self, store: Store) -> None:
        self._store, early, self._early = store, self._early, []
        for note in early:
            store.send(note)
