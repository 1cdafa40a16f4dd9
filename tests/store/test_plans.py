"""No statement of the store costs more the more jobs there are, whatever the planner has heard of the data.

tests/contract judges whatever its tests execute; here are the choices that they do not all make.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from jobkeepd.core.lifecycle import STATES
from jobkeepd.store import lists, lookups, opening, reads, updates
from jobkeepd.store.base import JobFilter
from store import plans


@pytest.fixture(scope="module")
def conn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path: Path = tmp_path_factory.mktemp("plans") / "db"
    opening.create_file(path)
    conn = sqlite3.connect(path, isolation_level=None)
    opening.prepare(conn, path)
    yield conn
    conn.close()


def _filters() -> Iterator[JobFilter]:
    choices: tuple[tuple[Any, ...], ...] = (
        (None, *((state,) for state in STATES), ("queued", "running", "failed")),
        (None, "q"),
        ((), (("a", "b"),), (("a", "b"), ("c", "d"))),
        (None, 1.0),
        (None, 9),
    )
    for states, queue, labels, since, before in product(*choices):
        yield JobFilter(states=states, queue=queue, labels=labels, since=since, before=before)


def test_no_list_walks_or_sorts_the_jobs(conn: sqlite3.Connection) -> None:
    """Whatever it is narrowed by, in each page, with jobs in each state."""
    executed = {}
    lanes = [("q", state) for state in STATES]
    for where in _filters():
        for sql, values in lists.queries(where, lanes, 1):
            executed[sql] = values
    assert len(executed) > 50
    assert {sql: found for sql, values in executed.items() if (found := plans.objections(conn, sql, values))} == {}


@pytest.mark.parametrize("sql", ["SELECT id FROM job WHERE name = ?", "SELECT id FROM job WHERE id > ? ORDER BY name"])
def test_a_statement_that_walks_or_sorts_is_objected_to(conn: sqlite3.Connection, sql: str) -> None:
    """So the verdict of this file and of tests/contract can fail."""
    assert plans.objections(conn, sql, ("x",)) != []


@pytest.mark.parametrize("sql", [reads.QUEUED, lookups.CHILDREN, lookups.FIRST_LIMITED, lookups.COUNT])
def test_what_the_store_executes_is_recorded_as_it_stands(sql: str, tmp_path: Path) -> None:
    """Not with its values in it, for which the planner could choose an index that it may not use for others."""
    with plans.recorded() as executed:
        conn = sqlite3.connect(tmp_path / "other")
    with contextlib.closing(conn), pytest.raises(sqlite3.OperationalError):
        conn.execute(sql, {"label": "x"} if ":label" in sql else ["x"] * sql.count("?"))
    assert sql in executed
    del executed[sql]


def test_every_update_of_a_job_goes_by_its_row(conn: sqlite3.Connection) -> None:
    """All choices of columns, one place."""
    for wanted, sql in updates.UPDATES.items():
        if any(wanted):
            steps = plans.plan(conn, sql, ["1"] * sql.count("?"))
            assert steps == ["SEARCH job USING INTEGER PRIMARY KEY (rowid=?)"]
