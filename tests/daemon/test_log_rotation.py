"""A real command that writes more than its log may have, and everybody who reads it meanwhile and afterwards."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator

import pytest

import jobkeep
from jobkeep.protocol.jobs import LogChunk
from jobkeep.testing import PrivateDaemon
from jobkeepd.core.rotation import part_of
from jobkeepd.runner.holes import can_punch

from .conftest import command_line

PATIENCE = "200s"
TURNS, TURN = 4, 1 << 20  # bytes
# Writes a turn's lines, by itself and by a child that shares its descriptor, then waits until some of it was rotated.
CHATTY = f"""
import os, subprocess, sys, time
folder = sys.argv[1] + "/" + os.environ["JOBKEEP_JOB"] + ".1.stdout"

def parts():
    try:
        return len([name for name in os.listdir(folder) if name != "draft"])
    except FileNotFoundError:
        return 0

for turn in range({TURNS}):
    before = parts()
    lines = b"".join(b"%015d\\n" % at for at in range(turn * {TURN}, (turn + 1) * {TURN}, 16))
    half = len(lines) // 2
    for begin in range(0, half, 4096):
        os.write(1, lines[begin : begin + 4096])
    subprocess.run(["cat"], input=lines[half:], check=True)
    while parts() == before:
        time.sleep(0.01)
"""
WHOLE = b"".join(b"%015d\n" % at for at in range(0, TURNS * TURN, 16))


@pytest.fixture
def daemon() -> Iterator[PrivateDaemon]:
    private = PrivateDaemon(JOBKEEP_LOGS_MAX_BYTES="512K", JOBKEEP_LOGS_KEEP="100")
    if not can_punch(str(private.home)):
        pytest.skip(f"the file system of {private.home} cannot punch holes")
    with private:
        yield private


class Reader(threading.Thread):
    """Follows a job to its end over all that happens to the daemon."""

    def __init__(self, daemon: PrivateDaemon, job: str) -> None:
        super().__init__()
        self._socket = str(daemon.socket)
        self._job = job
        self.chunks: list[LogChunk] = []

    def run(self) -> None:
        with jobkeep.connect_blocking(self._socket, autostart=False) as jk:
            for chunk in jk.job(self._job).logs(follow=True, raw=True, stream="stdout"):
                self.chunks.append(chunk)


def test_rotated_output_is_byte_for_byte_what_was_written(daemon: PrivateDaemon) -> None:
    """For who follows it from the start, over a kill of the daemon; for who reads it at the end; and on disk."""
    rotated = daemon.home / "state" / "logs" / "rotated"
    command = [sys.executable, "-c", CHATTY, str(rotated)]
    with jobkeep.connect_blocking(str(daemon.socket), autostart=False) as jk:
        job = jk.run(command)
    reader = Reader(daemon, job.id)
    reader.start()
    folder = rotated / f"{job.id}.1.stdout"
    while not folder.exists():
        assert reader.is_alive()
        time.sleep(0.01)
    daemon.kill()
    with daemon.start() as jk:
        ended = jk.job(job.id).wait(timeout=PATIENCE)
        assert ended.outcome is not None
        assert ended.outcome.exit_code == 0
        reader.join()
        assert b"".join(chunk.data for chunk in reader.chunks) == WHOLE
        assert b"".join(chunk.data for chunk in jk.job(job.id).logs(raw=True)) == WHOLE
        assert command_line(daemon.socket, daemon.home, "logs", job.id).stdout.encode() == WHOLE
    daemon.stop()  # it looks at a run once more after its end

    parts = sorted(part for name in os.listdir(folder) if (part := part_of(name)))
    base = parts[-1].end
    own = (daemon.home / "state" / "logs" / "runs" / folder.name).read_bytes()
    assert b"".join((folder / part.name).read_bytes() for part in parts) + own[base:] == WHOLE
    assert len(parts) >= TURNS
    assert not own[: base - (64 << 10)].strip(b"\0")
