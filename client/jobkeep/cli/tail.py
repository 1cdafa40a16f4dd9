"""The last lines that the latest run of a job has printed."""

from __future__ import annotations

from binascii import a2b_base64

from jobkeep.cli.failures import RemoteFault
from jobkeep.cli.render.watch import tail
from jobkeep.cli.watching import AGAIN
from jobkeep.cli.wire import JOBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobkeep.cli.wire import Link, Wire

BYTES = 1 << 16  # of each stream at most


def end_of_output(link: Link, id: str, lines: int) -> dict[str, list[str]]:
    """By stream, and as a terminal would have left them; nothing of a job that has not run yet."""

    def read(wire: Wire) -> dict[str, bytes]:
        found = {"stdout": b"", "stderr": b""}
        for chunk in wire.stream(JOBS + "Logs", id=id, lines=lines):
            if "data" in chunk:
                found[chunk["stream"]] += a2b_base64(chunk["data"])
        return found

    try:
        found = link.patiently(read, AGAIN)
    except RemoteFault as fault:
        if fault.name != "NoRun":
            raise
        return {}
    return {stream: tail(data[-BYTES:])[-lines:] for stream, data in found.items()}
