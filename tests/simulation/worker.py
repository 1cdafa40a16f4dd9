"""A worker of the host: dials the daemon, takes runs, keeps what it could not say, and ends when it is fenced."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import trio
from msgspec import Raw, json

from jobkeep.protocol import worker as wire
from jobkeepd.errors import StaleToken, UnknownWorker
from jobkeepd.runner.spool import Spooled

from .link import Active, Link
from .plans import NEVER
from .processes import Process

if TYPE_CHECKING:
    from .host import Host

FENCED_EXIT = 3
STARTS_WITHIN = 0.3
FENCED_WITHIN = 2.0
BEAT = 1.0
PATIENCE = 3.0  # without a daemon and without a run


class Fenced(Exception):
    """Nothing that this process says counts any more."""


class FakeWorker:
    """`held` is what the daemon has not acknowledged."""

    def __init__(self, host: Host, process: Process, seat: str, cookie: str) -> None:
        self._host = host
        self._process = process
        self._begun = host.begun.setdefault(f"worker-{seat}", [])
        self._seat = seat
        self._cookie = cookie
        self._link: Link | None = None
        self._queue: deque[Active] = deque()
        self._current: Active | None = None
        self._held: dict[str, Spooled] = {}
        self._news = trio.Event()
        self._retires = False
        self._fenced = trio.Event()
        self._alone_since = 0.0

    async def main(self) -> int:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_link)
            nursery.start_soon(self._keep_beating)
            nursery.start_soon(self._end_if_fenced, nursery.cancel_scope)
            await self._serve()
            while self._held and not self._fenced.is_set():  # the last words
                await self._wait_for_news()
            nursery.cancel_scope.cancel()
        return FENCED_EXIT if self._fenced.is_set() else 0

    # -- the connection --------------------------------------------------------------------------------------------

    async def _keep_link(self) -> None:
        await self._process.sleep(STARTS_WITHIN * (0.5 + self._host.rng.random() / 2))
        self._alone_since = trio.current_time()
        while not self._fenced.is_set():
            await self._host.latency()
            await self._process.awake()
            if not self._dial():
                if self._is_forsaken():
                    self._retires = True
                    self._tell()
                await self._process.sleep(0.2)
                continue
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._say_again)
                await self._obey()
                nursery.cancel_scope.cancel()
            self._link = None
            self._alone_since = trio.current_time()
            self._queue.clear()  # what has not begun dies with its connection
            self._host.spool.update({run: _copy(held) for run, held in self._held.items()})

    def _is_forsaken(self) -> bool:
        idle = self._current is None and not self._queue
        return idle and trio.current_time() - self._alone_since > PATIENCE

    def _dial(self) -> bool:
        daemon = self._host.daemon
        if daemon is None:
            return False
        run, fence = None, 0
        if self._current is not None:
            run, fence = self._current.order.run, self._current.order.fence
        elif self._held:
            run, held = next(reversed(self._held.items()))
            report = held.finish or held.checkpoint
            assert report is not None
            fence = report.fence
        pid = self._process.identity.pid
        hello = wire.AttachParameters(self._seat, self._cookie, pid, wire.PROTOCOL, run, fence)
        link = Link()
        try:
            daemon.attach(hello, link, self._process)
        except (StaleToken, UnknownWorker):
            self._be_fenced()
            return False
        self._link = link
        return True

    async def _obey(self) -> None:
        link = self._link
        assert link is not None
        while not link.closed.is_set():
            await self._process.until(link.bell)
            link.bell = trio.Event()
            await self._host.latency()
            await self._process.awake()
            while link.orders:  # also when it was closed meanwhile: that was in the socket
                self._heed(link.orders.popleft())
            if link.closed.is_set():
                return

    def _heed(self, order: wire.Order) -> None:
        if order.kind == "run" and order.run is not None and not self._retires:
            self._queue.append(Active(order.run))
        elif order.kind == "stop":
            for active in [*self._queue, *([self._current] if self._current else [])]:
                if active.order.run == order.target:
                    active.ask_to_stop(order.reason or "cancelled")
        elif order.kind == "retire":
            self._retires = True
        self._tell()

    def _tell(self) -> None:
        self._news.set()

    async def _wait_for_news(self) -> None:
        self._news = trio.Event()
        await self._process.until(self._news)

    def _be_fenced(self) -> None:
        self._fenced.set()
        self._held.clear()
        self._tell()
        if self._current is not None:
            self._current.ask_to_stop("lease lost")

    async def _end_if_fenced(self, scope: trio.CancelScope) -> None:
        await self._fenced.wait()
        await self._process.sleep(FENCED_WITHIN if self._current is not None else 0)
        scope.cancel()

    async def _keep_beating(self) -> None:
        while True:
            await self._process.sleep(BEAT)
            active, daemon = self._current, self._host.daemon
            if active is None or self._link is None or daemon is None or self._link.closed.is_set():
                continue
            if not self._host.plans[active.order.job].blocks:
                active.ticks += 1
            daemon.tell("beat", wire.BeatParameters(active.order.run, active.order.fence, active.ticks))

    # -- reports -----------------------------------------------------------------------------------------------------

    async def _call(self, method: str, report: Any) -> bool:
        """Whether it arrived, and is durable."""
        link, daemon = self._link, self._host.daemon
        if link is None or daemon is None or link.closed.is_set():
            return False
        await self._host.latency()
        await self._process.awake()
        if link.closed.is_set():
            return False
        try:
            done = daemon.call(method, report, link)
        except (StaleToken, UnknownWorker):
            self._be_fenced()
            return False
        arrived = await done.wait_or(link.closed)
        await self._process.awake()
        if isinstance(arrived, StaleToken | UnknownWorker):
            self._be_fenced()
            return False
        return arrived is True

    async def _say_again(self) -> None:
        for run, held in list(self._held.items()):
            if held.checkpoint is not None:
                await self._deliver(run, held.checkpoint)
            if held.finish is not None:
                await self._deliver(run, held.finish)

    async def _deliver(self, run: str, report: wire.CheckpointParameters | wire.FinishParameters) -> None:
        is_finish = isinstance(report, wire.FinishParameters)
        if await self._call("finish" if is_finish else "checkpoint", report):
            held = self._held.get(run)
            if held is not None and is_finish:
                held.finish = None
            elif held is not None and held.checkpoint is report:
                held.checkpoint = None
            if held is not None and held.checkpoint is None and held.finish is None:
                self._held.pop(run, None)
                self._host.spool.pop(run, None)
        self._tell()

    # -- runs ----------------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        while not self._fenced.is_set():
            if self._queue:
                self._current = active = self._queue.popleft()
                active.begun = True
                try:
                    await self._run(active)
                finally:
                    self._current = None
            elif self._retires:
                return
            else:
                await self._wait_for_news()

    async def _run(self, active: Active) -> None:
        order = active.order
        plan = self._host.plans[order.job]
        self._begun.append(order.run)
        with self._host.judge.run(order.job, order.number, plan.spec.lock, plan.spec.queue):
            outcome = await self._work(active)
            if outcome == "succeeded":
                self._host.judge.achieve(order.job, order.number)
        if self._fenced.is_set():
            return
        finish = wire.FinishParameters(
            run=order.run, fence=order.fence, outcome=outcome, reason=active.stop, silent=True
        )
        held = self._held.setdefault(order.run, Spooled())
        held.finish = finish
        await self._deliver(order.run, finish)
        if self._link is None and not self._fenced.is_set():
            self._host.spool[order.run] = _copy(held)

    async def _work(self, active: Active) -> wire.Outcome:
        """The items that are left, with a checkpoint every few."""
        order, host = active.order, self._host
        plan, seq = host.plans[order.job], order.checkpoint_seq
        done = json.decode(order.cursor) or 0
        for item in range(done, plan.items + 1):
            if item == plan.stalls_at and order.number == 1:
                await self._pause(active, NEVER)
            await self._pause(active, plan.pace)
            if active.stopping.is_set() and not (plan.deaf and active.stop != "lease lost"):
                return "cancelled" if active.stop in ("cancelled", "timeout") else "interrupted"
            if item == plan.items:
                break
            host.judge.item(order.job, item)
            if (item + 1 - done) % plan.every == 0:
                seq += 1
                await self._checkpoint(active, seq, item + 1)
                if active.stop == "drain":
                    return "interrupted"
        return "failed" if order.number <= plan.fails_until else "succeeded"

    async def _pause(self, active: Active, seconds: float) -> None:
        """Unless it is asked to stop, and listens."""
        if self._host.plans[active.order.job].deaf:
            await self._process.sleep(seconds)
            return
        with trio.move_on_after(seconds):
            await active.stopping.wait()
        await self._process.awake()

    async def _checkpoint(self, active: Active, seq: int, done: int) -> None:
        order = active.order
        report = wire.CheckpointParameters(
            run=order.run, fence=order.fence, seq=seq, cursor=Raw(json.encode(done)), done=done
        )
        held = self._held.setdefault(order.run, Spooled())
        held.checkpoint = report
        while held.checkpoint is report and not self._fenced.is_set():
            await self._deliver(order.run, report)
            if self._link is None:  # the spool makes it durable
                self._host.spool[order.run] = _copy(held)
                return
            if held.checkpoint is report:
                await self._process.sleep(0.05)


def _copy(held: Spooled) -> Spooled:
    return Spooled([], held.checkpoint, held.finish)
