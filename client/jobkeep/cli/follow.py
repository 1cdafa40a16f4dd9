"""Follow the output of a job over all its runs, exactly, also across a restart of the daemon."""

from __future__ import annotations

import json
import sys
from binascii import a2b_base64

from jobkeep.cli.failures import RemoteFault
from jobkeep.cli.wire import FOLLOW_PATIENCE, JOBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobkeep.cli.wire import Link, Wire

ENDED = ("succeeded", "failed", "cancelled")
FIRST_TURN, LAST_TURN = 0.05, 1.0  # seconds that the daemon holds a Wait while there is nothing to read yet


class Follower:
    """Prints chunks of a job. `seen` remembers, per run and stream, up to where: a byte is printed once."""

    def __init__(self, link: Link, id: str, stream: str | None = None, lines: int | None = None) -> None:
        link.patience = FOLLOW_PATIENCE
        self._link = link
        self._id = id
        self._stream = stream
        self._lines = lines
        self._seen: dict[tuple[int, str], int] = {}
        self._waited = False
        self._again = f"the job goes on; jobkeep logs -f {id} continues"

    def to_the_end(self, run: int | None) -> dict[str, Any]:
        """Follow from `run` on (None: the latest) until the job has ended; -> the job."""
        if run is None:
            run = max(self._call("Get", id=self._id)["job"]["attempt"], 1)
        looked = False
        while True:
            read = self.output(run, follow=True)
            job = self._wait_for(run + 1 if read else run)
            over = job["state"] in ENDED
            # A run may begin and end between two looks, so an ended job is looked at once more.
            if over and job["attempt"] <= run and (read or looked or job["attempt"] < run):
                return job
            if read or looked:
                run, looked = run + 1, False
            else:
                looked = over

    def output(self, run: int | None, follow: bool) -> bool:
        """Print the output of one run. False: there is no such run (yet)."""
        try:
            self._link.patiently(lambda wire: self._print_all(wire, run, follow), self._again)
        except RemoteFault as fault:
            if fault.name != "NoRun":
                raise
            return False
        return True

    def _print_all(self, wire: Wire, run: int | None, follow: bool) -> None:
        # After a break one stream goes on at its offset; of both all is asked for, and `print` skips.
        offset = self._seen.get((run, self._stream)) if run and self._stream else None
        lines = None if self._seen else self._lines
        for chunk in wire.stream(
            JOBS + "Logs", id=self._id, run=run, stream=self._stream, lines=lines, offset=offset, follow=follow
        ):
            if "data" in chunk:
                self.print(chunk)

    def print(self, chunk: dict[str, Any]) -> None:
        """Write the bytes of a chunk that were not there before."""
        data = a2b_base64(chunk["data"])
        place = (chunk["run"], chunk["stream"])
        known = self._seen.get(place, 0)
        start, end = chunk["offset"], chunk["offset"] + len(data)
        self._seen[place] = max(known, end)
        if chunk.get("dropped") and start > known:  # all that was before, where both streams were asked for again
            self.gap(min(chunk["dropped"], start - known))
        fresh = data[max(known - start, 0) :]
        if fresh:
            self.write(chunk["stream"], fresh)

    def gap(self, size: int) -> None:
        """Say on stderr, whatever stream it is of, that bytes are missing: stdout is the job's own, byte for byte."""
        from jobkeep.protocol.sizes import dropped

        print(f"jobkeep: {dropped(size)}", file=sys.stderr, flush=True)

    def write(self, stream: str, data: bytes) -> None:
        """Pass bytes on to our own stream of that name."""
        target = sys.stdout if stream == "stdout" else sys.stderr
        target.buffer.write(data)
        target.flush()

    def waits(self) -> None:
        """It has not begun for a while. Called once."""

    def _wait_for(self, run: int) -> dict[str, Any]:
        """The job, once it has ended or has begun `run`. The daemon does the waiting, in turns."""
        turn = FIRST_TURN
        while True:
            job: dict[str, Any] = self._call("Get", id=self._id)["job"]
            if job["state"] in ENDED or job["attempt"] >= run:
                return job
            self._call("Wait", ids=[self._id], timeout_s=turn)
            if turn == LAST_TURN and not self._waited:
                self._waited = True
                self.waits()
            turn = min(turn * 2, LAST_TURN)

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._link.call(JOBS + method, again=self._again, **parameters)


class JsonFollower(Follower):
    """The wire's own chunks, one JSON object per line."""

    def print(self, chunk: dict[str, Any]) -> None:
        place = (chunk["run"], chunk["stream"])
        known = self._seen.get(place, 0)
        if chunk["offset"] < known or (chunk.get("dropped") and chunk["offset"] == known):
            return  # printed before the connection broke
        if chunk.get("dropped"):
            chunk = {**chunk, "dropped": min(chunk["dropped"], chunk["offset"] - known)}
        self._seen[place] = chunk["offset"] + len(a2b_base64(chunk["data"]))
        sys.stdout.write(json.dumps(chunk, separators=(",", ":")) + "\n")
        sys.stdout.flush()
