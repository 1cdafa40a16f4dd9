"""What steps look up in the tables of jobs, inside their transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from jobkeepd.store import rows

JOB_BY_ID: Final = f"SELECT {rows.JOB_COLUMNS} FROM job WHERE id = ?"
REQUEST: Final = "SELECT digest, answer FROM request WHERE uid = ? AND id = ?"
ASKED: Final = "SELECT uid, id, at FROM request WHERE (uid, id) > (?, ?) ORDER BY uid, id LIMIT ?"
# The literal conditions are those of the partial indexes.
KEY_HOLDER: Final = (
    "SELECT id FROM job WHERE key = ? AND key_slot = ? AND state IN ('scheduled', 'queued', 'running', 'cancelling')"
)
ASPIRANT: Final = (
    "SELECT id FROM job WHERE lock = ? AND state IN ('scheduled', 'queued', 'running', 'cancelling')"
    " ORDER BY seq LIMIT 1"
)
# One step of the index from queue to queue: reading all that wait would cost as much as there are.
FIRST_BLOCKED: Final = """
WITH RECURSIVE lane(queue) AS (
  SELECT min(queue) FROM job WHERE blocked = 'lock' AND lock = :lock
  UNION ALL
  SELECT (SELECT min(queue) FROM job WHERE blocked = 'lock' AND lock = :lock AND queue > lane.queue)
  FROM lane WHERE lane.queue IS NOT NULL
)
SELECT (SELECT id FROM job WHERE blocked = 'lock' AND lock = :lock AND queue = lane.queue
        ORDER BY turn_at, seq LIMIT 1)
FROM lane WHERE lane.queue IS NOT NULL
"""
FIRST_LIMITED: Final = (
    FIRST_BLOCKED.replace("blocked = 'lock'", "blocked = 'limit'").replace("AND lock = :lock", "AND waits_on = :label")
)
# Each value once, however many wait for it.
AWAITED: Final = """
WITH RECURSIVE awaited(label) AS (
  SELECT min(waits_on) FROM job WHERE blocked = 'limit'
  UNION ALL
  SELECT (SELECT min(waits_on) FROM job WHERE blocked = 'limit' AND waits_on > awaited.label)
  FROM awaited WHERE awaited.label IS NOT NULL
)
SELECT label FROM awaited WHERE label IS NOT NULL
"""
_IN_LINE: Final = "SELECT line_at FROM job WHERE queue = ? AND state = 'queued' AND run_open = 0 AND blocked"
HEAD: Final = f"{_IN_LINE} IS NULL ORDER BY turn_at, seq LIMIT 1"
LIMITED_HEAD: Final = f"{_IN_LINE} = 'limit' ORDER BY turn_at, seq LIMIT 1"
FLOW: Final = "SELECT following FROM flow WHERE queue = ? AND value = ?"
# At most two for each that comes: the table cannot grow.
OLD_FLOWS: Final = (
    "DELETE FROM flow WHERE queue = ?1 AND value IN"
    " (SELECT value FROM flow WHERE queue = ?1 AND following <= ?2 ORDER BY following LIMIT 2)"
)
DUE: Final = "SELECT id FROM job WHERE state = 'scheduled' AND due_at <= ? ORDER BY due_at, seq LIMIT ?"
# '{' follows 'z': the end of the range of ids with this prefix
IDS_BY_PREFIX: Final = "SELECT id FROM job WHERE id >= ? AND id < ? || '{' ORDER BY id LIMIT 11"
# The newest seq of the journal up to which it is not whole.
FORGOTTEN: Final = "SELECT value FROM meta WHERE key = 'forgotten'"
FORGET_EVENTS: Final = (
    "DELETE FROM journal WHERE seq > ? AND seq <= ?"
    " AND (job IS NULL OR NOT EXISTS (SELECT 1 FROM job WHERE job.id = journal.job))"
)
# From entry to entry of one job.
FORGET_HISTORY: Final = """
WITH RECURSIVE told(seq, prev) AS (
  SELECT seq, prev FROM journal WHERE seq = (SELECT last_entry FROM job WHERE id = ?)
  UNION ALL
  SELECT journal.seq, journal.prev FROM told CROSS JOIN journal ON journal.seq = told.prev
)
DELETE FROM journal WHERE seq IN (SELECT seq FROM told WHERE seq <= ?)
"""
OPEN_PARENT: Final = "SELECT 1 FROM dependency WHERE job_seq = ? AND open = 1 LIMIT 1"
CHILDREN: Final = (
    "SELECT (SELECT id FROM job WHERE seq = job_seq) FROM dependency WHERE parent = ? AND open = 1"
    " ORDER BY job_seq LIMIT ?"
)


UNSETTLED: Final = "SELECT parent, at FROM unsettled ORDER BY parent LIMIT 1"
IS_UNSETTLED: Final = "SELECT parent, at FROM unsettled WHERE parent = ?"
COUNT: Final = (
    "INSERT INTO tally (queue, state, owner, jobs) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET jobs = jobs + excluded.jobs"
)
COUNTS: Final = "SELECT queue, state, owner, jobs FROM tally WHERE jobs > 0"


def live_with(labels: Mapping[str, str]) -> tuple[str, list[str]]:
    """From queue to queue, and only the live ones: those that have ended may be many. Its last value is the limit."""
    (key, value), *others = labels.items()
    has = (
        " AND EXISTS (SELECT 1 FROM label AS o WHERE o.key = ? AND o.value = ? AND o.queue = label.queue"
        " AND o.phase = label.phase AND o.job_seq = label.job_seq)"
    )
    sql = (
        "WITH RECURSIVE lane(queue) AS (SELECT min(queue) FROM label WHERE key = ?1 AND value = ?2 UNION ALL"
        " SELECT (SELECT min(queue) FROM label WHERE key = ?1 AND value = ?2 AND queue > lane.queue) FROM lane"
        " WHERE lane.queue IS NOT NULL)"
        " SELECT job_seq, (SELECT id FROM job WHERE seq = job_seq) FROM lane CROSS JOIN label"
        " ON label.key = ?1 AND label.value = ?2 AND label.queue = lane.queue AND phase IN ('scheduled', 'active')"
        f" WHERE true{has * len(others)} LIMIT ?"
    )
    return sql, [key, value, *(part for other in others for part in other)]
