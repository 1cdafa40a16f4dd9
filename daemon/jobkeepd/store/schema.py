"""The tables as numbered migrations. Data only: opening.py applies them."""

from __future__ import annotations

from typing import Final

from jobkeepd.store.views import VIEWS

APPLICATION_ID: Final = 0x4A4F424B  # "JOBK", in the file's header

# What is hot and small is in `job`, rewritten at every step; what is written once or seldom has a table of
# its own. The latest run is part of its job's row: a job with one run, nearly every job, costs no row more.
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
  checkpoint_at REAL
) STRICT
"""

_CHILD: Final = "job_seq INTEGER NOT NULL REFERENCES job(seq) ON DELETE CASCADE"

_FIRST: Final = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    _JOB,
    # rowid, which is seq, ends every index
    "CREATE INDEX job_by_state ON job (queue, state)",
    "CREATE INDEX job_dispatch ON job (queue, priority DESC, seq) WHERE state = 'queued' AND run_open = 0",
    "CREATE INDEX job_open ON job (run_open) WHERE run_open = 1",
    "CREATE INDEX job_due ON job (due_at) WHERE state = 'scheduled'",
    "CREATE UNIQUE INDEX job_key ON job (key)"
    " WHERE key IS NOT NULL AND state IN ('scheduled', 'queued', 'running', 'cancelling')",
    "CREATE INDEX job_created ON job (created_at)",
    "CREATE INDEX job_ended ON job (ended_at) WHERE ended_at IS NOT NULL",
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
    "CREATE TABLE journal (seq INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, job_seq INTEGER,"
    " job TEXT, run INTEGER, uid INTEGER, gid INTEGER, pid INTEGER, data TEXT) STRICT",
    "CREATE INDEX journal_by_job ON journal (job_seq) WHERE job_seq IS NOT NULL",
    *VIEWS,
)

# MIGRATIONS[n] leads from user_version n to n + 1.
MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (_FIRST,)
