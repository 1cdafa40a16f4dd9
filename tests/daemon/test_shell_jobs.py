"""A shell script as a job that keeps its place: the one of the documentation, killed, with its daemon killed."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

from jobkeep.testing import PrivateDaemon

from .test_crashes import wait_for

PATIENCE = "60s"
TUTORIAL = Path(__file__).resolve().parents[2] / "client/README.md"
WORK = """#!/bin/sh
# Items 2 and 4 wait for their gates.
echo $PPID > {home}/leader
echo "begin $1" >> {home}/log
while [ $1 = 2 -o $1 = 4 ] && [ ! -e {home}/gate$1 ]; do sleep 0.02; done
echo "end $1" >> {home}/log
"""


class Batch:
    """The script of the documentation with six items instead of 313."""

    def __init__(self, home: Path) -> None:
        self.home = home
        found = re.search(r"```bash\n(# batch\.sh\n.*?)```", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL)
        assert found
        self.script = home / "batch.sh"
        self.script.write_text(found[1].replace("total=313", "total=6"))
        work = home / "work_on"
        work.write_text(WORK.format(home=home))
        work.chmod(0o755)
        self.path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"

    def log(self) -> list[str]:
        return (self.home / "log").read_text().splitlines() if (self.home / "log").exists() else []

    def open(self, item: int) -> None:
        (self.home / f"gate{item}").touch()


def test_the_script_of_the_documentation_survives_every_kill() -> None:
    """Of itself it is resumed behind the last item, of its daemon it just goes on: no item is left out."""
    daemon = PrivateDaemon()
    batch = Batch(daemon.home)
    with daemon as jk:
        command, env = ["bash", str(batch.script)], {"PATH": batch.path}
        job = jk.run(command, cwd=str(daemon.home), env=env, retries=1, on_lost="resume", backoff=0.1)
        wait_for(lambda: "begin 2" in batch.log())
        assert (job.info().progress.done, job.info().progress.total, job.info().progress.note) == (2, 6, "item 1")
        os.kill(int((daemon.home / "leader").read_text()), signal.SIGKILL)
        wait_for(lambda: batch.log().count("begin 2") == 2)  # the item that was in work, by the retry
        os.kill(daemon.pid, signal.SIGKILL)
        daemon.wait()
        batch.open(2)
        batch.open(4)
        with daemon.start() as again:
            ended = again.job(job.id).wait(timeout=PATIENCE)
            assert (ended.state, ended.attempt, ended.progress.done, ended.progress.total) == ("succeeded", 2, 6, 6)
            assert ended.checkpoint is not None
            assert ended.checkpoint.seq == 6
        assert batch.log() == [
            "begin 0", "end 0", "begin 1", "end 1", "begin 2",
            "begin 2", "end 2", "begin 3", "end 3", "begin 4", "end 4", "begin 5", "end 5",
        ]  # fmt: skip
