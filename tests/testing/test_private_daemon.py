"""A daemon of a test's own, and what is left of it."""

from __future__ import annotations

from crash.judges import processes_of
from jobkeep.testing import PrivateDaemon

JOBS = """
import time

def forever(ctx):
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
"""


def test_jobs_that_still_run_go_with_the_folder() -> None:
    """Nobody else would end them: a command that ignores TERM, a function that swallows its cancellation."""
    daemon = PrivateDaemon()
    with daemon as jk:
        (daemon.home / "jobs.py").write_text(JOBS, encoding="utf-8")
        jobs = [
            jk.run(["sh", "-c", "trap '' TERM; echo here; while :; do sleep 1; done"]),
            jk.call("jobs:forever", cwd=str(daemon.home)),
        ]
        while any(job.info().state != "running" for job in jobs):
            pass
    left = {pid: words for pid, words in processes_of(daemon.home).items() if "spawner" not in words}
    assert left == {}
    assert not daemon.home.exists()
