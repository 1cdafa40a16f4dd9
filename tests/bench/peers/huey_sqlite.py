"""No-op functions on huey: two workers of one consumer, SQLite as huey sets it up (no fsync per task)."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from huey import SqliteHuey
from huey.signals import SIGNAL_COMPLETE
from serve import serve

WORKERS = 2
huey = SqliteHuey(filename=str(Path(sys.argv[1]) / "huey.db"))
_ended = threading.Semaphore(0)


def noop() -> bool:
    return True  # a result that is stored, as ours is


task = huey.task()(noop)


def ended(*_: object) -> None:
    _ended.release()


def run(count: int) -> None:
    """Enqueued one by one, which is what there is; back when each result is stored."""
    for _ in range(count):
        task()
    for _ in range(count):
        _ended.acquire()


if __name__ == "__main__":
    huey.signal(SIGNAL_COMPLETE)(ended)
    # Threads are its fastest kind for work that does nothing; it looks for work at once while there is some.
    consumer = huey.create_consumer(workers=WORKERS, worker_type="thread", periodic=False, check_worker_health=False)
    consumer.start()
    serve(run)
    consumer.stop(graceful=True)
