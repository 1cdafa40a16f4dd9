"""The tables as numbered migrations. Data only: opening.py applies them."""

from __future__ import annotations

from typing import Final

from jobkeepd.store.views import VIEWS

APPLICATION_ID: Final = 0x4A4F424B  # "JOBK", in the file's header

# Each page that a commit touches is written whole: what a step needs is in the job's row, and the indexes are
# such that a waiting job is in few of them. The latest run is part of the row: a job with one run, nearly
# every job, costs no row more. So is a small spec, which comes last: a read may stop before it.
# `newest_at` is the highest created_at so far: it rises with seq also when the clock was set back.
# `last_entry` is the job's newest row of the journal; from there `prev` leads through its history.
_JOB: Final = """
CREATE TABLE job (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  queue TEXT NOT NULL,
  priority INTEGER NOT NULL,
  key TEXT,
  owner INTEGER NOT NULL,
  environment TEXT,
  created_at REAL NOT NULL,
  newest_at REAL NOT NULL,
  state TEXT NOT NULL,
  due_at REAL,
  started_at REAL,
  ended_at REAL,
  attempts INTEGER NOT NULL DEFAULT 0,
  only_failed INTEGER NOT NULL DEFAULT 0,
  stop TEXT,
  outcome TEXT,
  reason TEXT,
  error TEXT,
  fence INTEGER NOT NULL DEFAULT 0,
  run_open INTEGER NOT NULL DEFAULT 0,
  run_number INTEGER NOT NULL DEFAULT 0,
  run_seat TEXT,
  run_since REAL,
  run TEXT,
  done INTEGER NOT NULL DEFAULT 0,
  total INTEGER,
  note TEXT,
  tallies TEXT,
  failed_items INTEGER NOT NULL DEFAULT 0,
  seen_at REAL,
  checkpoint_seq INTEGER NOT NULL DEFAULT 0,
  checkpoint_at REAL,
  last_entry INTEGER NOT NULL DEFAULT 0,
  spec TEXT
) STRICT
"""

_CHILD: Final = "job_seq INTEGER NOT NULL REFERENCES job(seq) ON DELETE CASCADE"

_FIRST: Final = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    _JOB,
    # rowid, which is seq, ends every index; columns of a partial one's condition are in it, so that jobs are
    # counted without their rows
    "CREATE INDEX job_dispatch ON job (queue, state, run_open, priority DESC, seq)"
    " WHERE state = 'queued' AND run_open = 0",
    "CREATE INDEX job_open ON job (run_open) WHERE run_open = 1",
    "CREATE INDEX job_due ON job (due_at) WHERE state = 'scheduled'",
    "CREATE INDEX job_scheduled ON job (queue, state) WHERE state = 'scheduled'",
    "CREATE UNIQUE INDEX job_key ON job (key)"
    " WHERE key IS NOT NULL AND state IN ('scheduled', 'queued', 'running', 'cancelling')",
    "CREATE INDEX job_ended ON job (ended_at) WHERE ended_at IS NOT NULL",
    "CREATE INDEX job_ended_in ON job (queue, state) WHERE state IN ('succeeded', 'failed', 'cancelled')",
    # of the jobs whose spec is too big for their row
    "CREATE TABLE spec (job_seq INTEGER PRIMARY KEY REFERENCES job(seq) ON DELETE CASCADE,"
    " data TEXT NOT NULL) STRICT",
    f"CREATE TABLE run ({_CHILD}, number INTEGER NOT NULL, data TEXT NOT NULL,"
    " PRIMARY KEY (job_seq, number)) STRICT, WITHOUT ROWID",
    "CREATE TABLE checkpoint (job_seq INTEGER PRIMARY KEY REFERENCES job(seq) ON DELETE CASCADE,"
    " seq INTEGER NOT NULL, cursor BLOB NOT NULL, state BLOB NOT NULL) STRICT",
    f"CREATE TABLE failed_item ({_CHILD}, batch TEXT NOT NULL, key TEXT NOT NULL, ordinal INTEGER NOT NULL,"
    " error TEXT NOT NULL, run INTEGER NOT NULL, at REAL NOT NULL,"
    " PRIMARY KEY (job_seq, batch, key)) STRICT, WITHOUT ROWID",
    "CREATE INDEX failed_item_in_order ON failed_item (job_seq, batch, ordinal, key)",
    "CREATE TABLE label (key TEXT NOT NULL, value TEXT NOT NULL, job_seq INTEGER NOT NULL"
    " REFERENCES job(seq) ON DELETE CASCADE, PRIMARY KEY (key, value, job_seq)) STRICT, WITHOUT ROWID",
    "CREATE INDEX label_by_job ON label (job_seq)",
    "CREATE TABLE result (job_seq INTEGER PRIMARY KEY REFERENCES job(seq) ON DELETE CASCADE,"
    " data BLOB NOT NULL) STRICT",
    "CREATE TABLE environment (hash TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE request (uid INTEGER NOT NULL, id TEXT NOT NULL, digest TEXT NOT NULL,"
    " answer TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (uid, id)) STRICT, WITHOUT ROWID",
    # no reference to job: history may outlive what it tells of
    "CREATE TABLE journal (seq INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, job TEXT,"
    " run INTEGER, uid INTEGER, gid INTEGER, pid INTEGER, data TEXT, prev INTEGER NOT NULL) STRICT",
    *VIEWS,
)

# MIGRATIONS[n] leads from user_version n to n + 1.
MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (_FIRST,)
