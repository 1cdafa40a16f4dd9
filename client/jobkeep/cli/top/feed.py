"""Follows the daemon from a thread: events say when to look, and only what is shown is looked at."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobkeep.cli.context import Context
from jobkeep.cli.failures import UNREACHABLE, Failure, RemoteFault, of_client
from jobkeep.cli.tail import end_of_output
from jobkeep.cli.top.board import Seen, Wanted
from jobkeep.cli.watching import STILL, Everything, Pace, pause
from jobkeep.cli.wire import ADMIN, JOBS, LOCKS, PASSING, PROCESSES, SESSIONS, Link
from jobkeep.errors import JobkeepError

TICK = 0.1  # seconds without an event after which it is asked whether something else is wanted
AGAIN_IN = 0.5  # seconds between two attempts to reach a daemon that is away
PARTING = 1.0  # seconds that the end of the program waits for a call that is under way
SCAN = 3.0  # seconds between two looks at processes, of which no event tells
OUTPUT = 100  # lines of each stream
FAILED_ITEMS = 10


@dataclass(frozen=True)
class Away:
    """The daemon does not answer, or not as it should: then `why` says more."""

    why: str = ""


class Feed:
    """`tell` gets Seen and Away, in the feed's thread."""

    def __init__(self, context: Context, tell: Callable[[Seen | Away], None]) -> None:
        self._tell = tell
        self._stream = _impatient(context)
        self._link = _impatient(context)
        self._jobs = Everything(self._link)
        self._wanted = Wanted()
        self._changed: set[str] = set()
        self._pace = Pace()
        self._over = threading.Event()
        # It ends with the program, whatever it waits for.
        self._thread = threading.Thread(target=self._keep_following, name="feed", daemon=True)

    def start(self) -> None:
        """From now on `tell` is called."""
        self._thread.start()

    def stop(self) -> None:
        """Tell nothing more, and disconnect unless the daemon hangs."""
        self._over.set()
        self._thread.join(PARTING)

    def want(self, wanted: Wanted) -> None:
        """Look at this from now on."""
        self._wanted = wanted

    def _keep_following(self) -> None:
        while not self._over.is_set():
            try:
                self._follow()
            except (Failure, JobkeepError) as lost:
                self._say(Away("" if _as_failure(lost).code == UNREACHABLE else str(lost)))
                self._over.wait(AGAIN_IN)
            finally:
                self._stream.close()
                self._link.close()

    def _follow(self) -> None:
        """Over one connection. All is looked at before the stream begins and once it has: there is no gap."""
        self._pace.begin()
        shown = self._look()
        begun = False
        for reply in self._stream.connect().stream(JOBS + "Events", TICK, follow=True):
            if self._over.is_set():
                return
            if not begun:
                begun = True
                self._pace.begin()
            if event := reply.get("event"):
                self._changed.add(event.get("job") or "")
                self._pace.event()
            if self._wanted != shown:
                self._pace.begin()
            if self._pace.due(time.monotonic()):
                shown = self._look()

    def _look(self) -> Wanted:
        wanted, now = self._wanted, time.time()
        changed, self._changed = self._changed - {""}, set()
        try:
            status = self._link.call(ADMIN + "Status")
            found, every = self._job(wanted.job) if wanted.job else self._things(wanted.tab, changed)
            self._say(Seen(wanted, now, status, **found))
        except RemoteFault as fault:
            if fault.name in PASSING:
                raise
            self._say(Seen(wanted, now, refused=str(fault)))
            every = STILL
        self._pace.looked(time.monotonic(), every)
        return wanted

    def _things(self, tab: str, changed: set[str]) -> tuple[dict[str, Any], float]:
        """What is in a tab; and how long that will do without an event."""
        if tab == "jobs":
            jobs = self._jobs.look(None if self._pace.all_due(time.monotonic()) else changed)
            return {"things": jobs}, pause(jobs)
        if tab == "processes":
            return {"things": self._link.call(PROCESSES + "List", orphans=False, all=False)["processes"]}, SCAN
        method = {"locks": LOCKS, "sessions": SESSIONS}[tab] + "List"
        return {"things": self._link.call(method)[tab]}, STILL

    def _job(self, id: str) -> tuple[dict[str, Any], float]:
        job = self._link.call(JOBS + "Get", id=id)["job"]
        failed = (job.get("progress") or {}).get("failed_items")
        found = {
            "job": job,
            "explained": self._link.call(JOBS + "Explain", id=id),
            "failed": self._link.call(JOBS + "FailedItems", id=id, limit=FAILED_ITEMS)["items"] if failed else [],
            "output": end_of_output(self._link, id, OUTPUT),
        }
        return found, pause([job])

    def _say(self, news: Seen | Away) -> None:
        if not self._over.is_set():
            self._tell(news)


def _as_failure(error: Failure | JobkeepError) -> Failure:
    return error if isinstance(error, Failure) else of_client(error)


def _impatient(context: Context) -> Link:
    """It is the feed that waits, with a word about it on the screen."""
    link = context.another_link(say=lambda _: None)
    link.patience = 0.0
    return link
