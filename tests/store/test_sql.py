"""What people may ask in SQL, and what they may not."""

from __future__ import annotations

import asyncio
import re

import pytest
from msgspec.structs import replace

from contract.deeds import failing, item, saving, start, submit, submitting
from jobkeepd.errors import BadQuery
from store.conftest import Open

pytestmark = pytest.mark.anyio

_ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


async def test_job_status_shows_jobs_in_readable_columns(open_store: Open) -> None:
    """Times are ISO 8601 in UTC, the id comes first."""
    store = await open_store()
    await submit(store, "a1", at=1_700_000_000.25, name="tidy", key="k", priority=2)
    await store.apply(failing(await start(store, "a1"), at=1_700_000_060.0))
    found = await store.sql("SELECT * FROM job_status", 10, 5.0)
    assert found.columns[:7] == ["id", "name", "kind", "state", "queue", "priority", "key"]
    row = dict(zip(found.columns, found.rows[0], strict=True))
    assert (row["id"], row["name"], row["kind"], row["state"], row["attempt"]) == ("a1", "tidy", "command", "failed", 1)
    assert (row["created_at"], row["ended_at"]) == ("2023-11-14T22:13:20.250Z", "2023-11-14T22:14:20.000Z")
    assert (row["outcome"], row["reason"]) == ("failed", "broke")


async def test_stuck_runs_shows_who_has_been_silent_since_when(open_store: Open) -> None:
    """Only jobs with an open run; a checkpoint is a sign of life."""
    store = await open_store()
    await submit(store, "a1", "a2", "a3")
    job = await start(store, "a1", at=100.0)
    await start(store, "a2", at=100.0)
    await store.apply(saving(job, 1_000_000, item("x")))
    found = await store.sql("SELECT id, run, seat, state, silent_for_s FROM stuck_runs ORDER BY id", 10, 5.0)
    assert [row[:4] for row in found.rows] == [["a1", 1, "slot-1", "running"], ["a2", 1, "slot-1", "running"]]
    assert 999_904 < found.rows[1][4] - found.rows[0][4] < 999_906


async def test_rows_beyond_the_limit_are_left_out_and_it_says_so(open_store: Open) -> None:
    """A thousand is enough for a terminal."""
    store = await open_store()
    await submit(store, "a1", "a2", "a3")
    found = await store.sql("SELECT id FROM job_status ORDER BY id", 2, 5.0)
    assert (found.rows, found.truncated) == ([["a1"], ["a2"]], True)
    assert not (await store.sql("SELECT id FROM job_status", 3, 5.0)).truncated


async def test_large_rows_are_left_out_before_they_fill_the_memory(open_store: Open) -> None:
    """However few they are; and it says so."""
    store = await open_store()
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 10000)"
    found = await store.sql(f"{numbers} SELECT hex(zeroblob(1000000)) FROM n", 10_000, 60.0)
    assert (len(found.rows), found.truncated) == (4, True)
    assert len((await store.sql(f"{numbers} SELECT i, 'a few words', NULL FROM n", 10_000, 60.0)).rows) == 10_000


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM job",
        "UPDATE job SET fence = 9",
        "DROP VIEW job_status",
        "CREATE TABLE x (y)",
        "CREATE TEMP TABLE x (y)",
        "PRAGMA user_version = 9",
        "PRAGMA user_version",
        "PRAGMA query_only = 0",
        "ATTACH 'other.db' AS other",
        "VACUUM INTO 'copy.db'",
        "BEGIN",
        "SAVEPOINT x",
        "SELECT load_extension('x')",
        "SELECT data FROM environment",
        "SELECT data FROM result",
        "SELECT answer FROM request",
        "SELECT * FROM spec",
        "WITH job_status AS (SELECT data FROM environment) SELECT * FROM job_status",
        "SELECT zeroblob(100000000)",
        "SELECT 1; SELECT 2",
        "SELEKT 1",
        "",
    ],
)
async def test_what_is_not_a_plain_look_is_refused(open_store: Open, query: str) -> None:
    """Writing, other files, pragmas, transactions, secrets, floods and nonsense."""
    store = await open_store()
    await store.apply(replace(submitting("a1"), environments=(("h", b"{}"),), request="r"))
    with pytest.raises(BadQuery):
        await store.sql(query, 10, 5.0)
    assert (await store.sql("SELECT id FROM job_status", 10, 5.0)).rows == [["a1"]]


async def test_the_secret_of_a_run_is_not_to_be_seen(open_store: Open) -> None:
    """Not under the name of a view either, which a query can take."""
    store = await open_store()
    await submit(store, "a1")
    await store.apply(saving(await start(store, "a1"), 1))
    for query in (
        "SELECT * FROM job",
        "SELECT run FROM job",
        "WITH stuck_runs AS (SELECT run FROM job) SELECT * FROM stuck_runs",
        "SELECT * FROM checkpoint",
    ):
        assert "c0ffee" not in str((await store.sql(query, 10, 5.0)).rows)
        assert "sum" not in str((await store.sql(query, 10, 5.0)).rows)


async def test_sqlite_s_own_words_reach_the_user(open_store: Open) -> None:
    """They name the column that is not there."""
    store = await open_store()
    with pytest.raises(BadQuery, match="no such column: colour"):
        await store.sql("SELECT colour FROM job_status", 10, 5.0)


async def test_a_query_that_takes_too_long_is_ended_and_blocks_nobody(open_store: Open) -> None:
    """The store answers meanwhile; the next query is served."""
    store = await open_store()
    slow = asyncio.ensure_future(store.sql(_ENDLESS, 10, 0.05))
    await submit(store, "a1")
    assert (await store.get("a")).id == "a1"
    with pytest.raises(BadQuery, match="too long"):
        await slow
    assert (await store.sql("SELECT 1", 10, 5.0)).rows == [[1]]


async def test_a_query_whose_asker_has_left_is_ended(open_store: Open) -> None:
    """Its time limit does not have to pass."""
    store = await open_store()
    slow = asyncio.ensure_future(store.sql(_ENDLESS, 10, 3600.0))
    await asyncio.sleep(0)
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert (await store.sql("SELECT 1", 10, 5.0)).rows == [[1]]


async def test_bytes_are_shown_in_hexadecimal(open_store: Open) -> None:
    """JSON has no bytes."""
    store = await open_store()
    assert (await store.sql("SELECT x'00ff' AS b", 10, 5.0)).rows == [["00ff"]]
    assert re.fullmatch(r"\d+\.\d+\.\d+", (await store.sql("SELECT sqlite_version()", 1, 5.0)).rows[0][0])
