"""The tables as numbered migrations. Data only: opening.py applies them."""

from __future__ import annotations

from typing import Final

from jobkeepd.store.views import VIEWS, VIEWS_2

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
    "CREATE TABLE spec (job_seq INTEGER PRIMARY KEY REFERENCES job(seq) ON DELETE CASCADE, data TEXT NOT NULL) STRICT",
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

# `blocked` is why a queued job cannot be claimed: those wait in an index of their own, and cost the others nothing.
_LOCKS: Final = (
    "ALTER TABLE job ADD COLUMN key_slot INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE job ADD COLUMN lock TEXT",
    "ALTER TABLE job ADD COLUMN blocked TEXT",
    "DROP INDEX job_dispatch",
    "CREATE INDEX job_dispatch ON job (queue, state, run_open, blocked, priority DESC, seq)"
    " WHERE state = 'queued' AND run_open = 0 AND blocked IS NULL",
    "CREATE INDEX job_blocked ON job (queue, state, run_open, blocked)"
    " WHERE state = 'queued' AND run_open = 0 AND blocked IS NOT NULL",
    "CREATE INDEX job_waiting ON job (lock, queue, priority DESC, seq) WHERE blocked = 'lock'",
    "CREATE INDEX job_lock ON job (lock, seq)"
    " WHERE lock IS NOT NULL AND state IN ('scheduled', 'queued', 'running', 'cancelling')",
    "DROP INDEX job_key",
    "CREATE UNIQUE INDEX job_key ON job (key, key_slot)"
    " WHERE key IS NOT NULL AND state IN ('scheduled', 'queued', 'running', 'cancelling')",
    # a free lock stays: its token must never fall
    "CREATE TABLE lock (name TEXT PRIMARY KEY, token INTEGER NOT NULL, held INTEGER NOT NULL, data TEXT NOT NULL)"
    " STRICT, WITHOUT ROWID",
    "CREATE INDEX lock_held ON lock (held, name) WHERE held = 1",
    f"CREATE TABLE step ({_CHILD}, ordinal INTEGER NOT NULL, name TEXT NOT NULL, result BLOB NOT NULL,"
    " at REAL NOT NULL, PRIMARY KEY (job_seq, ordinal)) STRICT, WITHOUT ROWID",
    *VIEWS_2,
)

# Of jobs with a queue_timeout that have not been started since somebody wanted them to be.
_DEADLINES: Final = (
    "CREATE TABLE deadline (job_seq INTEGER PRIMARY KEY REFERENCES job(seq) ON DELETE CASCADE, boot TEXT NOT NULL,"
    " monotonic REAL NOT NULL, utc REAL NOT NULL) STRICT",
    "CREATE INDEX deadline_next ON deadline (monotonic)",
)

# What people have said about queues at run time; of the others there is no row.
_QUEUES: Final = (
    "CREATE TABLE queue_control (name TEXT PRIMARY KEY, data TEXT NOT NULL) STRICT, WITHOUT ROWID",
)

# The order of a queue is `turn_at`, see core/line.py. `waits_on` is the label whose limit a job waits for.
_LINES: Final = (
    "ALTER TABLE job ADD COLUMN waits_on TEXT",
    "ALTER TABLE job ADD COLUMN line_at REAL NOT NULL DEFAULT 0",
    "ALTER TABLE job ADD COLUMN turn_at REAL NOT NULL DEFAULT 0",
    "UPDATE job SET line_at = newest_at, turn_at = newest_at - 3600.0 * priority",
    "DROP INDEX job_dispatch",
    "CREATE INDEX job_dispatch ON job (queue, state, run_open, blocked, turn_at, seq)"
    " WHERE state = 'queued' AND run_open = 0",
    "DROP INDEX job_blocked",
    "CREATE INDEX job_queued ON job (queue, state, run_open) WHERE state = 'queued' AND run_open = 0",
    "DROP INDEX job_waiting",
    "CREATE INDEX job_waiting ON job (lock, queue, turn_at, seq) WHERE blocked = 'lock'",
    "CREATE INDEX job_limited ON job (waits_on, queue, turn_at, seq) WHERE blocked = 'limit'",
    "CREATE TABLE line (queue TEXT PRIMARY KEY, at REAL NOT NULL, clock REAL NOT NULL, peak REAL NOT NULL)"
    " STRICT, WITHOUT ROWID",
    # the values that take turns, each with the date of its next job, as long as that is after the line's clock
    "CREATE TABLE flow (queue TEXT NOT NULL, value TEXT NOT NULL, following REAL NOT NULL,"
    " PRIMARY KEY (queue, value)) STRICT, WITHOUT ROWID",
    "CREATE INDEX flow_old ON flow (queue, following)",
)

# Which jobs wait for the ends of which; `open` until that end. A parent is named by its id: it may be removed before.
_DEPENDENCIES: Final = (
    "ALTER TABLE job ADD COLUMN awaited INTEGER NOT NULL DEFAULT 0",
    f"CREATE TABLE dependency ({_CHILD}, parent TEXT NOT NULL, open INTEGER NOT NULL, PRIMARY KEY (job_seq, parent))"
    " STRICT, WITHOUT ROWID",
    "CREATE INDEX dependency_open ON dependency (job_seq) WHERE open = 1",
    "CREATE INDEX dependency_children ON dependency (parent, job_seq) WHERE open = 1",
)

# What is fired when; few, and each is read whole.
_SCHEDULES: Final = ("CREATE TABLE schedule (name TEXT PRIMARY KEY, data TEXT NOT NULL) STRICT, WITHOUT ROWID",)

# What removed jobs have left on disk, until it is deleted.
_LEFTOVERS: Final = ("CREATE TABLE leftover (job TEXT PRIMARY KEY, runs INTEGER NOT NULL) STRICT, WITHOUT ROWID",)

# How many jobs are where, kept by each commit: nobody counts them. A label's row says where its job is, so that those
# of one value are found by queue and state however many have it; `phase` is that of phases.py.
_VOLUME: Final = (
    "CREATE TABLE tally (queue TEXT NOT NULL, state TEXT NOT NULL, jobs INTEGER NOT NULL, PRIMARY KEY (queue, state))"
    " STRICT, WITHOUT ROWID",
    "INSERT INTO tally SELECT queue, state, count(*) FROM job GROUP BY queue, state",
    "ALTER TABLE label RENAME TO old_label",
    "CREATE TABLE label (key TEXT NOT NULL, value TEXT NOT NULL, queue TEXT NOT NULL, phase TEXT NOT NULL,"
    " job_seq INTEGER NOT NULL REFERENCES job(seq) ON DELETE CASCADE,"
    " PRIMARY KEY (key, value, queue, phase, job_seq)) STRICT, WITHOUT ROWID",
    "INSERT INTO label SELECT l.key, l.value, j.queue,"
    " iif(j.state IN ('queued', 'running', 'cancelling'), 'active', j.state), l.job_seq"
    " FROM old_label AS l JOIN job AS j ON j.seq = l.job_seq",
    "DROP TABLE old_label",
    "CREATE INDEX label_by_job ON label (job_seq)",
    "CREATE INDEX deadline_boot ON deadline (boot)",
)

# With its queue: retention asks for the oldest of each.
_RETENTION: Final = (
    "DROP INDEX job_ended",
    "CREATE INDEX job_ended ON job (ended_at, queue) WHERE ended_at IS NOT NULL",
)

# Jobs that have ended, and for which not all of those who waited for that have been told yet.
_UNSETTLED: Final = ("CREATE TABLE unsettled (parent TEXT PRIMARY KEY, at REAL NOT NULL) STRICT, WITHOUT ROWID",)

# Also by owner: what one user may have waiting can be limited.
_OWNERS: Final = (
    "ALTER TABLE tally RENAME TO old_tally",
    "CREATE TABLE tally (queue TEXT NOT NULL, state TEXT NOT NULL, owner INTEGER NOT NULL, jobs INTEGER NOT NULL,"
    " PRIMARY KEY (queue, state, owner)) STRICT, WITHOUT ROWID",
    "INSERT INTO tally SELECT queue, state, owner, count(*) FROM job GROUP BY queue, state, owner",
    "DROP TABLE old_tally",
)

# Nothing but a new version: an earlier daemon would not know what to do with secrets, and must not start such jobs.
_SECRETS: Final[tuple[str, ...]] = ()

# MIGRATIONS[n] leads from user_version n to n + 1.
MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    _FIRST, _LOCKS, _DEADLINES, _QUEUES, _LINES, _DEPENDENCIES, _SCHEDULES, _LEFTOVERS, _VOLUME,
    _RETENTION, _UNSETTLED, _OWNERS, _SECRETS,
)  # fmt: skip
