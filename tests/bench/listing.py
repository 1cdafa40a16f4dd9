"""The newest 100 of 10,000 jobs, by the daemon, against a bare SELECT and its encoding in one process."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec

from bench.echoed import LIST, park
from bench.measure import Bound, Sample
from bench.rig import Rig, hold_queue
from bench.rpc import in_turns
from bench.wire import decode, encode, timed
from jobkeep.protocol.jobs import ListParameters, ListReply

JOBS = 10_000
BURST = 50
SCHEMA = """
CREATE TABLE job(id INTEGER PRIMARY KEY, state TEXT, created REAL, started REAL, ended REAL, rc INT, argv TEXT);
CREATE INDEX js ON job(state, id);
"""
SELECT = "SELECT * FROM job WHERE state='queued' ORDER BY id DESC LIMIT 100"


class Row(msgspec.Struct):
    id: int
    state: str
    created: float
    started: float
    ended: float
    rc: int
    argv: str


class BareTable:
    """As many rows of a few fields; WAL, in one process with who asks."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.executescript(SCHEMA)
        row = ("queued", 1.5, 2.5, 3.5, 0, '["/bin/true","--some","argument"]')
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT INTO job VALUES (?, ?, ?, ?, ?, ?, ?)", ((n, *row) for n in range(JOBS)))
        self._connection.execute("COMMIT")
        self._encode = msgspec.json.Encoder().encode

    def newest(self) -> bytes:
        return self._encode([Row(*row) for row in self._connection.execute(SELECT)])


class Listing:
    name = "ls_100"
    what = "ls of 100 out of 10,000 jobs by a bare client / bare select and encode"
    unit = "µs"
    bound = Bound(ratio_at_most=5)

    def prepare(self, rig: Rig) -> None:
        self._bare = BareTable(rig.disk / "bare.db")
        client = rig.fresh_daemon().client()
        hold_queue(client, rig.disk / "held-for-listing")
        park(client, JOBS)
        asked = ListParameters(state=["queued"], limit=100)

        question = encode(LIST, asked)
        assert len(decode(client.exchange(question), ListReply).jobs) == asked.limit
        self._ours = lambda: client.exchange(question)  # nobody decodes, as on the other side

    def round(self) -> Sample:
        return in_turns(lambda: timed(self._bare.newest, BURST), lambda: timed(self._ours, BURST))
