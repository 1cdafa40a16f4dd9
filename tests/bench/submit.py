"""Durable submits, one at a time, against plain sqlite3 commits on the same disk."""

from __future__ import annotations

import itertools
import sqlite3
import time
from pathlib import Path

from bench.measure import Bound, Sample
from bench.rig import PARKED, Rig, hold_queue
from jobkeep.protocol.jobs import JobSpec

SECONDS = 0.25  # of one burst
BURSTS = 3  # per side and round, in turns
LONG_WAL = 4000  # pages; a commit into a WAL that still grows is slower, and ours is long from the start
SCHEMA = """
CREATE TABLE job(id TEXT PRIMARY KEY, queue TEXT NOT NULL, state TEXT NOT NULL, prio INTEGER NOT NULL,
  created REAL NOT NULL, argv TEXT NOT NULL, env BLOB, result BLOB) WITHOUT ROWID;
CREATE INDEX job_ready ON job(state, queue, prio, created);
"""
INSERT = "INSERT INTO job VALUES (?, 'default', 'queued', 0, 1.5, '[\"/bin/sh\",\"-c\",\"exit 0\"]', ?, NULL)"


class PlainCommits:
    """A row of about 300 bytes and one secondary index per commit; WAL, synchronous=FULL."""

    def __init__(self, folder: Path) -> None:
        self.connection = sqlite3.connect(folder / "plain.db", isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", f"wal_autocheckpoint={LONG_WAL}"):
            self.connection.execute(f"PRAGMA {pragma}")
        self.connection.executescript(SCHEMA)
        self._numbers = itertools.count()

    def lengthen(self) -> None:
        """Commit until the WAL is as long as it gets: from then on it is written over."""
        for _ in range(LONG_WAL // 2):  # two pages or more each
            self.commit()

    def commit(self, rows: int = 1) -> None:
        made = [(f"01J{next(self._numbers):023d}", b"x" * 200) for _ in range(rows)]
        self.connection.execute("BEGIN IMMEDIATE")
        if rows == 1:
            self.connection.execute(INSERT, made[0])
        else:
            self.connection.executemany(INSERT, made)
        self.connection.execute("COMMIT")


class Submit:
    name = "submit"
    what = "durable submit, one at a time / plain sqlite3 commit"
    unit = "/s"
    bound = Bound(ratio_at_least=0.6)

    def prepare(self, rig: Rig) -> None:
        """The queue's only slot is taken, so that the jobs wait: this is about accepting them, not about running."""
        self._plain = PlainCommits(rig.disk)
        self._plain.lengthen()
        self._client = rig.fresh_daemon().client()
        hold_queue(self._client, rig.disk / "held-for-submit")
        self._spec = JobSpec(command=["/bin/sh", "-c", "exit 0"], queue=PARKED, cwd="/", env={"FILL": "x" * 150})

    def round(self) -> Sample:
        raw, ours = [], []
        for _ in range(BURSTS):
            raw.append(rate(self._plain.commit))
            ours.append(rate(lambda: self._client.submit(self._spec)))
        return Sample(sorted(raw)[BURSTS // 2], sorted(ours)[BURSTS // 2])


def rate(action: object) -> float:
    """How often per second, over one burst."""
    assert callable(action)
    count, began = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < SECONDS:
        action()
        count += 1
    return count / elapsed
