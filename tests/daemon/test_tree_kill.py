"""Everything that a job can start to escape its end, and what is left of it after that: nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import jobkeep
from crash.judges import is_alive, slay_all
from jobkeep.testing import PrivateDaemon

PATIENCE, GRACE, MORE = 60.0, 1.0, 5.0
SAY = "echo $$ >> {log}; "
# Each says its pid, and lives for ever. {log} has all that were started.
ESCAPES = {
    "in a session of its own": "setsid sh -c '" + SAY + "exec sleep 600' &",
    "forked twice": "(setsid sh -c '" + SAY + "exec sleep 600' &) &",
    "without an environment": "env -i setsid sh -c '" + SAY + "exec sleep 600' &",
    "stopped": "env -i sh -c '" + SAY + "kill -STOP $$; sleep 600' &",
    "deaf to TERM": "env -i setsid sh -c 'trap \"\" TERM HUP INT; " + SAY + "while :; do sleep 0.1; done' &",
    "forking at full speed": "env -i setsid sh -c 'a() {{ " + SAY + "(a &) & }}; trap \"\" TERM; a' &",
}
WAIT = " while [ $(wc -l < {log} 2>/dev/null || echo 0) -lt 2 ]; do sleep 0.01; done; "


@pytest.fixture(scope="module")
def jk() -> Iterator[jobkeep.BlockingClient]:
    private = PrivateDaemon(JOBKEEP_JOBS_GRACE=f"{GRACE}s", JOBKEEP_QUEUES_DEFAULT_LIMIT="2")
    with private as client:
        yield client
        private.stop()
        slay_all(private.home)


def living_in(folder: Path) -> list[int]:
    """Whatever it has done to its environment and its session, it is where it was started."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if os.readlink(f"/proc/{pid}/cwd") == str(folder):
                found.append(int(pid))
    return [pid for pid in found if is_alive(pid)]


@pytest.mark.parametrize("end", ["by itself", "by cancel", "by force"])
def test_nothing_of_a_run_outlives_it(jk: jobkeep.BlockingClient, tmp_path: Path, end: str) -> None:
    """All ways to escape at once: once the end of the run is on record, nothing of it is there any more."""
    log = tmp_path / "pids"
    script = "".join(escape.format(log=log) for escape in ESCAPES.values())
    last = "exit 0" if end == "by itself" else "sleep 600"
    waits = WAIT.replace("-lt 2", f"-lt {len(ESCAPES) + 20}").format(log=log)
    job = jk.run(["sh", "-c", f"{script}{waits} touch {tmp_path}/ready; {last}"], cwd=str(tmp_path))
    deadline = time.monotonic() + PATIENCE
    while not (tmp_path / "ready").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    if end != "by itself":
        assert len(living_in(tmp_path)) > 5  # the judge sees them
        job.cancel(force=end == "by force")
    ended = job.wait(timeout=2 * GRACE + MORE + PATIENCE)
    assert ended.state == ("succeeded" if end == "by itself" else "cancelled")
    assert [living_in(tmp_path) for _ in range(3)] == [[], [], []]
    told = [event for event in job.history() if event.kind == "signalled"]
    assert told
    assert os.getpid() not in {event.data["pid"] for event in told}
