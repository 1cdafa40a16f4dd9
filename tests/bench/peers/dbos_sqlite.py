"""No-op functions on DBOS: workflows on two threads of its executor, SQLite as its system database."""

from __future__ import annotations

import sys
from pathlib import Path

from dbos import DBOS
from serve import serve

WORKERS = 2


def noop() -> bool:
    return True


workflow = DBOS.workflow()(noop)


def run(count: int) -> None:
    """Started one by one, without one of its queues, which would only look for work once per second."""
    handles = [DBOS.start_workflow(workflow) for _ in range(count)]
    for handle in handles:
        handle.get_result()


if __name__ == "__main__":
    DBOS(
        config={
            "name": "noop",
            "system_database_url": f"sqlite:///{Path(sys.argv[1]) / 'dbos.db'}",
            "max_executor_threads": WORKERS,
            "console_log_level": "ERROR",
            "log_level": "ERROR",
        }
    )
    DBOS.launch()
    run(WORKERS)
    serve(run)
    DBOS.destroy()
