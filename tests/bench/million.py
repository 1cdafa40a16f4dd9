"""`python -m bench.million`: what a call, a start and a dispatch cost with a million jobs, against a thousand."""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from bench import backlog, report
from bench.measure import Bound, Measure, Sample, interleave
from bench.memory import private
from bench.rig import Rig
from bench.wire import timed
from jobkeep.protocol import admin, jobs, queues
from jobkeep.protocol.interface import Nothing

FEW, MANY = 1_000, 1_000_000
BURST = 40
CONFIG = """\
[daemon]
socket = "{run}/socket"
state_dir = "{state}"
runtime_dir = "{run}"
log_level = "warning"

[queues.default]
limit = 2
[queues.wide]
limit = 2
[queues.fair]
limit = 2
fair = "client"
[queues.limited]
limit = 2
[queues.done]
limit = 2

[limits.account]
max_running = 1
"""
Call = Callable[["Side"], object]


class Side:
    """One of the two daemons, and where its jobs are."""

    def __init__(self, rig: Rig, count: int) -> None:
        self.count = count
        self.daemon = rig.fresh_daemon(config=CONFIG, fill=lambda state: backlog.fill(state / "jobs.sqlite", count))
        self.client = self.daemon.client()
        self.numbers = itertools.cycle(range(0, count, 7))  # of the queue `wide`, and others
        self.cancelled = (n for n in itertools.count(count - 1, -1) if n % 100 < 70)

    def ask(self, method: str, parameters: Any, answer: Any) -> Any:
        return self.client.call(f"org.jobkeep.{method}", parameters, answer)

    def restart(self) -> None:
        self.daemon.kill()
        self.daemon.start()
        self.client = self.daemon.client()

    def list(self, **where: Any) -> jobs.ListReply:
        found: jobs.ListReply = self.ask("Jobs.List", jobs.ListParameters(limit=10, **where), jobs.ListReply)
        return found

    def submit(self, **spec: Any) -> str:
        return self.client.submit(jobs.JobSpec(command=["true"], cwd="/", **spec))

    def control(self, verb: str, queue: str) -> None:
        self.ask(f"Queues.{verb}", queues.ControlParameters(queue), queues.QueueReply)


class Flat:
    """A call whose cost must not grow with the backlog."""

    unit = "µs"
    bound = Bound(ratio_at_most=1.5)

    def __init__(self, name: str, what: str, call: Call) -> None:
        self.name, self.what, self._call = name, what, call
        self.sides: tuple[Side, Side]

    def prepare(self, rig: Rig) -> None:
        self.sides = sides(rig)

    def round(self) -> Sample:
        few, many = self.sides
        costs: tuple[list[float], list[float]] = ([], [])
        for _ in range(BURST):  # in turns
            for side, cost in zip((few, many), costs, strict=True):
                cost += timed(lambda: self._call(side), 1)  # noqa: B023 - called at once
        return Sample(statistics.median(costs[0]), statistics.median(costs[1]))


_sides: dict[Rig, tuple[Side, Side]] = {}


def sides(rig: Rig) -> tuple[Side, Side]:
    if rig not in _sides:
        _sides[rig] = (Side(rig, FEW), Side(rig, MANY))
    return _sides[rig]


def _show(side: Side) -> object:
    return side.ask("Jobs.Get", jobs.JobParameters(backlog.id_of(next(side.numbers))), jobs.JobReply)


def _show_prefix(side: Side) -> object:
    return side.ask("Jobs.Get", jobs.JobParameters(backlog.id_of(next(side.numbers))[:12]), jobs.JobReply)


def _explain(side: Side) -> object:
    number = next(n for n in side.numbers if n % 100 < 70)
    return side.ask("Jobs.Explain", jobs.JobParameters(backlog.id_of(number)), jobs.ExplainReply)


def _cancel(side: Side) -> object:
    id = backlog.id_of(next(side.cancelled))
    return side.ask("Jobs.Cancel", jobs.CancelParameters(id), jobs.StateReply)


def _middle(side: Side) -> int:
    return side.count // 2


GOLD = {"tier": "gold"}
CALLS: tuple[tuple[str, str, Call], ...] = (
    ("submit", "a submit", lambda side: side.submit(queue="wide")),
    ("submit_fair", "a submit to a queue with turns", lambda side: side.submit(queue="fair", labels={"client": "c1"})),
    ("submit_limited", "a submit under a limit", lambda side: side.submit(queue="limited", labels={"account": "a1"})),
    ("show", "show by id", _show),
    ("show_prefix", "show by prefix", _show_prefix),
    ("explain", "explain of a queued job", _explain),
    ("ls", "the first page", lambda side: side.list()),
    ("ls_later", "a page in the middle", lambda side: side.list(before=_middle(side))),
    ("ls_state", "by state", lambda side: side.list(state=["queued"])),
    ("ls_state_later", "by state, in the middle", lambda side: side.list(state=["queued"], before=_middle(side))),
    ("ls_failed", "failed, in the middle", lambda side: side.list(state=["failed"], before=_middle(side))),
    ("ls_queue", "by queue", lambda side: side.list(queue="limited")),
    ("ls_queue_later", "by queue, in the middle", lambda side: side.list(queue="limited", before=_middle(side))),
    ("ls_label", "by label", lambda side: side.list(label=GOLD)),
    ("ls_label_later", "by label, in the middle", lambda side: side.list(label=GOLD, before=_middle(side))),
    ("ls_label_none", "by label and a state without any", lambda side: side.list(label=GOLD, state=["running"])),
    ("ls_label_failed", "by label and state", lambda side: side.list(label=GOLD, state=["failed"])),
    ("ls_label_queue", "by label and a queue without any", lambda side: side.list(label=GOLD, queue="default")),
    ("ls_since", "of the last minute", lambda side: side.list(since_s=60.0)),
    ("ls_failed_since", "failed in the last minute", lambda side: side.list(state=["failed"], since_s=60.0)),
    ("status", "daemon status", lambda side: side.ask("Admin.Status", Nothing(), admin.StatusReply)),
    ("queues", "queue ls", lambda side: side.ask("Queues.List", Nothing(), queues.ListReply)),
    ("cancel", "cancel of a queued job", _cancel),
)


class Start:
    """After SIGKILL, with a WAL as long as it gets."""

    name = "start"
    what = "from exec to the first answer, after SIGKILL"
    unit = "ms"
    bound = Bound(ratio_at_most=1.5, at_most=2000)

    def prepare(self, rig: Rig) -> None:
        self._sides = sides(rig)

    def round(self) -> Sample:
        took = []
        for side in self._sides:
            for _ in range(200):
                side.submit(queue="default", labels={"tier": "none"}, name="x" * 100, delay_s=3e7)
            side.daemon.kill()
            began = time.perf_counter()
            side.daemon.start()
            took.append((time.perf_counter() - began) * 1e3)
            side.client = side.daemon.client()
        return Sample(*took)


class Memory:
    """Of the daemon, after all that the rounds have asked of it."""

    name = "memory"
    what = "private memory of the daemon"
    unit = "KiB"
    bound = Bound(at_most=150 * 1024)

    def prepare(self, rig: Rig) -> None:
        self._sides = sides(rig)

    def round(self) -> Sample:
        few, many = (private(side.daemon.pid) for side in self._sides)
        return Sample(few, many)


class Dispatch:
    """Jobs of a queue that run while the rest of it waits."""

    unit = "ms"
    bound = Bound(ratio_at_most=1.5)
    JOBS = 30

    def __init__(self, queue: str) -> None:
        self.name, self._queue = f"dispatch_{queue}", queue
        self.what = f"{self.JOBS} jobs of the queue {queue} run, in the order of their turns"

    def prepare(self, rig: Rig) -> None:
        self._sides = sides(rig)

    def round(self) -> Sample:
        few, many = (self._run(side) for side in self._sides)
        return Sample(few, many)

    def _run(self, side: Side) -> float:
        wanted = self._ended(side) + self.JOBS
        began = time.perf_counter()
        side.control("Resume", self._queue)
        while self._ended(side) < wanted:
            time.sleep(0.002)
        took = time.perf_counter() - began
        side.control("Pause", self._queue)
        return took * 1e3

    def _ended(self, side: Side) -> int:
        found = side.ask("Admin.Status", Nothing(), admin.StatusReply)
        return int(found.jobs["succeeded"])


MEASURES: tuple[Measure, ...] = (
    *(Flat(name, what, call) for name, what, call in CALLS),
    *(Dispatch(queue) for queue in ("wide", "fair", "limited")),
    Memory(),
    Start(),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.million", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--dir", help="a folder for both databases, 1 GiB (default: the system's temporary folder)")
    options = parser.parse_args()
    rig = Rig(options.dir)
    chosen = [measure for measure in MEASURES if not options.only or measure.name in options.only]
    try:
        for measure in chosen:
            measure.prepare(rig)
        figures = interleave(chosen, options.rounds, lambda text: print(text, file=sys.stderr, flush=True))
    finally:
        rig.close()
    print(report.table(figures, {}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
