"""What the dashboard costs: its first page beside 10,000 jobs, a storm of updates while it is open, and fifty pages."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from bench.echoed import SUBMIT_MANY, park
from bench.measure import Bound, Sample
from bench.rig import Daemon, Rig, hold_queue
from bench.rpc import in_turns
from bench.wire import BareClient, timed
from jobkeep.protocol.jobs import (
    CancelMatchingParameters,
    JobSpec,
    MatchingReply,
    SubmitManyParameters,
    SubmitManyReply,
)

JOBS = 10_000
BURST = 20
PAGES = 50
UPDATES = 1000  # a second
BATCH = 100  # of each kind, at once
STORM_S = 4.0
SETTLES_S = 3.0
TICK = os.sysconf("SC_CLK_TCK")


class Site:
    """A dashboard of a daemon, and a browser that was let in. Its server is a process of its own."""

    def __init__(self, daemon: Daemon) -> None:
        words = [sys.executable, "-m", "jobkeep.web", "--socket", daemon.socket, "--port", "0"]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        address = urlsplit(self._process.stdout.readline().split()[-1])
        assert address.port is not None
        self._port = address.port
        self._connection = http.client.HTTPConnection("127.0.0.1", self._port)
        self._connection.request("GET", f"/login?{address.query}")
        answer = self._connection.getresponse()
        answer.read()
        self._connection.close()
        self._headers = {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
        self.daemon = daemon

    def get(self, path: str = "/jobs") -> None:
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        answer.read()
        self._connection.close()  # the server would, after a while
        if answer.status != 200:
            raise SystemExit(f"error: the dashboard answers {answer.status}")

    def open(self, path: str = "/live/jobs") -> socket.socket:
        """The stream of a page, once it has begun."""
        stream = socket.create_connection(("127.0.0.1", self._port))
        cookie = self._headers["Cookie"]
        stream.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nCookie: {cookie}\r\n\r\n".encode())
        if not stream.recv(1 << 16).startswith(b"HTTP/1.1 200"):
            raise SystemExit("error: the dashboard streams nothing")
        return stream

    def cpu_s(self) -> float:
        """What its process has used so far."""
        return cpu_s(self._process.pid)


class FirstPage:
    name = "web_page"
    what = f"the dashboard's first page with {JOBS:,} jobs waiting / with none"
    unit = "µs"
    bound = Bound(at_most=100_000)

    def prepare(self, rig: Rig) -> None:
        full = rig.fresh_daemon()
        client = full.client()
        hold_queue(client, rig.disk / "held-for-pages")
        park(client, JOBS)
        self._none, self._full = Site(rig.fresh_daemon()), Site(full)

    def round(self) -> Sample:
        return in_turns(lambda: timed(self._none.get, BURST), lambda: timed(self._full.get, BURST))


class Storm:
    name = "web_updates"
    what = f"CPU of the dashboard with a page open at {UPDATES:,} updates/s / of the daemon"
    unit = "% of a core"
    bound = Bound(at_most=100)

    def prepare(self, rig: Rig) -> None:
        self._site = Site(rig.fresh_daemon())
        self._client = self._site.daemon.client()

    def round(self) -> Sample:
        with self._site.open() as stream:
            stream.setblocking(False)
            return self._weathered(stream)

    def _weathered(self, stream: socket.socket) -> Sample:
        before = cpu_s(self._site.daemon.pid), self._site.cpu_s()
        began = time.perf_counter()
        storms = heard = 0
        while (now := time.perf_counter() - began) < STORM_S:
            update(self._client)
            storms += 1
            heard += drain(stream)
            time.sleep(max(0.0, storms * 2 * BATCH / UPDATES - (time.perf_counter() - began)))
        after = cpu_s(self._site.daemon.pid), self._site.cpu_s()
        if heard < STORM_S:
            raise SystemExit(f"error: the page has changed only {heard} times")
        if storms * 2 * BATCH < UPDATES * now * 0.9:
            raise SystemExit(f"error: the daemon takes only {storms * 2 * BATCH / now:,.0f} updates/s here")
        daemon, dashboard = (100 * (end - begin) / now for begin, end in zip(before, after, strict=True))
        return Sample(daemon, dashboard)


class StormyPage(Storm):
    name = "web_busy"
    what = f"a page of the dashboard at {UPDATES:,} updates/s / at rest"
    unit = "µs"
    bound = Bound(at_most=100_000)

    def _weathered(self, stream: socket.socket) -> Sample:
        rest = timed(self._site.get, BURST)
        busy: list[float] = []
        for _ in range(BURST):
            began = time.perf_counter()
            update(self._client)
            busy += timed(self._site.get, 1)
            drain(stream)
            time.sleep(max(0.0, 2 * BATCH / UPDATES - (time.perf_counter() - began)))
        return Sample(sorted(rest)[BURST // 2], sorted(busy)[BURST // 2])


class ManyPages:
    name = "web_pages"
    what = f"connections to the daemon of a dashboard with {PAGES} open pages / with one"
    unit = ""
    bound = Bound(ratio_at_most=1)

    def prepare(self, rig: Rig) -> None:
        self._site = Site(rig.fresh_daemon())

    def round(self) -> Sample:
        return Sample(self._connections(1), self._connections(PAGES))

    def _connections(self, pages: int) -> float:
        streams = [self._site.open() for _ in range(pages)]
        time.sleep(SETTLES_S)
        found = sockets(self._site.daemon.pid)
        for stream in streams:
            stream.close()
        time.sleep(SETTLES_S)
        return found


def update(client: BareClient) -> None:
    """Twice as many as a batch: jobs come, and are cancelled."""
    spec = JobSpec(command=["true"], cwd="/", delay_s=30_000_000.0)
    client.call(SUBMIT_MANY, SubmitManyParameters(spec, [{}] * BATCH), SubmitManyReply)
    asked = CancelMatchingParameters(state=["scheduled"], all=True, limit=BATCH)
    client.call("org.jobkeep.Jobs.CancelMatching", asked, MatchingReply)


def drain(stream: socket.socket) -> int:
    """A browser that keeps up; how many messages have come."""
    heard = 0
    with contextlib.suppress(BlockingIOError):
        while data := stream.recv(1 << 20):
            heard += data.count(b"\nid: ") + data.startswith(b"id: ")
    return heard


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def sockets(pid: int) -> int:
    return sum(os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:") for fd in os.listdir(f"/proc/{pid}/fd"))
