"""The SQL views that people may build on, in `jobkeep sql` and in a backup. Times are ISO 8601, UTC."""

from __future__ import annotations

from typing import Final


def _iso(column: str) -> str:
    return f"strftime('%Y-%m-%dT%H:%M:%fZ', {column}, 'unixepoch')"


_JOB_STATUS: Final = f"""
CREATE VIEW job_status AS
SELECT id, name, kind, state, queue, priority, key, run_number AS attempt,
  done, total, note, failed_items, tallies,
  {_iso("created_at")} AS created_at,
  {_iso("started_at")} AS started_at,
  {_iso("ended_at")} AS ended_at,
  {_iso("due_at")} AS due_at,
  outcome, reason, checkpoint_seq,
  {_iso("checkpoint_at")} AS checkpoint_at
FROM job
"""

# The last sign of life that is on disk: heartbeats are not, so a job may be livelier than this says.
_STUCK_RUNS: Final = f"""
CREATE VIEW stuck_runs AS
SELECT id, name, run_number AS run, state, run_seat AS seat,
  {_iso("run_since")} AS started_at,
  {_iso("checkpoint_at")} AS checkpoint_at,
  round((julianday('now') - 2440587.5) * 86400.0 - max(run_since, coalesce(seen_at, 0)), 1) AS silent_for_s,
  done, total, note
FROM job WHERE run_open = 1
"""

# Columns are added at the end, so that nobody's queries break.
_JOB_STATUS_2: Final = _JOB_STATUS.replace("FROM job", ", lock, blocked\nFROM job")

_LOCK_STATUS: Final = f"""
CREATE VIEW lock_status AS
SELECT name, token, held,
  data ->> '$.holder.type' AS holder,
  data ->> '$.holder.job' AS job,
  data ->> '$.holder.run' AS run,
  data ->> '$.holder.uid' AS uid,
  data ->> '$.holder.identity.pid' AS pid,
  {_iso("data ->> '$.acquired_at'")} AS acquired_at,
  (SELECT count(*) FROM job WHERE job.lock = lock.name AND blocked = 'lock') AS waiting
FROM lock
"""

VIEWS: Final = (_JOB_STATUS, _STUCK_RUNS)
VIEWS_2: Final = ("DROP VIEW job_status", _JOB_STATUS_2, _LOCK_STATUS)
