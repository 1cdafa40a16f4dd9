"""A script of which one must run at a time, whoever starts it. `python publish.py DATABASE < CATALOGUE` puts each line
into a table, under the lock `catalogue`; what it writes bears the token of its lease, so that nothing that an earlier
holder may still have in flight can replace what a later one has written.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterable

import jobkeep

TABLE = "CREATE TABLE IF NOT EXISTS catalogue (line INTEGER PRIMARY KEY, words TEXT, token INTEGER)"
WRITE = """
INSERT INTO catalogue VALUES (?1, ?2, ?3) ON CONFLICT (line) DO UPDATE SET words = ?2, token = ?3 WHERE token <= ?3
"""
TRY_LATER, LOST = 75, 1  # 75 is EX_TEMPFAIL of sysexits.h, which cron and mail understand


def publish(lines: Iterable[str], database: sqlite3.Connection, lease: jobkeep.Lease) -> int:
    """How many lines were written. Raises LeaseLost as soon as somebody else may be at it."""
    count = 0
    for count, words in enumerate(lines, 1):
        lease.check()  # nothing can stop a plain program from outside, so it looks before each step
        with database:
            written = database.execute(WRITE, (count, words.rstrip("\n"), lease.token)).rowcount
        if not written:  # it was lost between the look and the write
            raise jobkeep.LeaseLost(f"line {count} is a later holder's", lease.name, lease.token)
    return count


def main(file: str) -> int:
    database = sqlite3.connect(file)
    database.execute(TABLE)
    try:
        with jobkeep.connect_blocking() as jk, jk.lock("catalogue", ttl="20s", wait="1s") as lease:
            print(f"{publish(sys.stdin, database, lease)} lines, token {lease.token}")
    except jobkeep.LockHeld as error:
        print(f"not now: {error}", file=sys.stderr)
        return TRY_LATER
    except jobkeep.LeaseLost as error:
        print(f"stopped: {error}", file=sys.stderr)
        return LOST
    finally:
        database.close()
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python publish.py DATABASE < CATALOGUE")
    sys.exit(main(sys.argv[1]))
