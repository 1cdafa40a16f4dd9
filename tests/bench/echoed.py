"""The echo server of a rig, and the daemon whose answers it repeats."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from bench.rig import PARKED, Rig, hold_queue
from bench.wire import BareClient, decode, encode
from jobkeep.protocol.jobs import (
    JobParameters,
    JobReply,
    JobSpec,
    ListParameters,
    ListReply,
    SubmitManyParameters,
    SubmitManyReply,
)

GET = "org.jobkeep.Jobs.Get"
LIST = "org.jobkeep.Jobs.List"
SUBMIT_MANY = "org.jobkeep.Jobs.SubmitMany"
LISTED = ListParameters(limit=20)  # a screen full, as `jobkeep ls` on a host with few jobs


def park(client: BareClient, count: int) -> list[str]:
    """Submit jobs that wait for ever, in messages of 1,000; their ids. The parked queue is held by then."""
    template = JobSpec(command=["true"], queue=PARKED, cwd="/")
    ids: list[str] = []
    while len(ids) < count:
        items: list[dict[str, Any]] = [{}] * min(1000, count - len(ids))
        ids += client.call(SUBMIT_MANY, SubmitManyParameters(template, items), SubmitManyReply).ids
    return ids


class Echo:
    """The echo server and the job whose answer it repeats; one for all measures of a rig."""

    _made: tuple[Rig, Echo] | None = None

    @classmethod
    def of(cls, rig: Rig) -> Echo:
        if cls._made is None or cls._made[0] is not rig:
            cls._made = (rig, cls(rig))
        return cls._made[1]

    def __init__(self, rig: Rig) -> None:
        self.daemon = rig.fresh_daemon()  # of its own, so that no other measure pushes the job out of memory
        client = self.daemon.client()
        self.job = client.submit(JobSpec(command=["true"], name="read-me", cwd="/"))
        while client.call(GET, JobParameters(self.job), JobReply).job.ended_at is None:
            time.sleep(0.02)
        hold_queue(client, rig.disk / "held-for-echo")
        park(client, LISTED.limit)
        folder = rig.memory / "echo"
        folder.mkdir()
        (folder / "answer").write_bytes(client.exchange(encode(GET, JobParameters(self.job))))
        (folder / "listed").write_bytes(client.exchange(encode(LIST, LISTED)))
        subprocess.Popen([sys.executable, "-m", "bench.echo", str(folder)])
        deadline = time.monotonic() + 15
        while not (folder / "ready").exists():
            if time.monotonic() > deadline:
                raise SystemExit("error: the echo server does not start")
            time.sleep(0.02)
        self.typed = str(folder / "typed")
        self.list = str(folder / "list")
        self.bytes = str(folder / "bytes")

    def getter(self, client: BareClient) -> Callable[[], object]:
        """One call as the least client makes it: encode, send, receive, decode."""
        return lambda: decode(client.exchange(encode(GET, JobParameters(self.job))), JobReply)

    def lister(self, client: BareClient) -> Callable[[], object]:
        """The same for the list of all that is there."""
        return lambda: decode(client.exchange(encode(LIST, LISTED)), ListReply)
