"""The main thread of a worker: one run after the other."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from typing import NoReturn

import anyio
from anyio import create_task_group
from msgspec import Struct

from jobkeep.protocol.worker import FinishParameters
from jobkeep.worker.active import ActiveRun
from jobkeep.worker.begun import BegunRecord
from jobkeep.worker.calling import Call, in_loop, in_thread, prepared
from jobkeep.worker.doorbell import Doorbell
from jobkeep.worker.ending import Ending, raised, refused, stopped
from jobkeep.worker.functions import Functions
from jobkeep.worker.hygiene import Hygiene
from jobkeep.worker.link import Link
from jobkeep.worker.output import Output
from jobkeep.worker.settings import Settings
from jobkeep.worker.sources import Sources

# What the environment of the worker itself says, for jobs that are not part of a trace.
_GIVEN = {name: os.environ.get(name) for name in ("TRACEPARENT", "TRACESTATE")}

Carry = Callable[[ActiveRun, Doorbell], Awaitable[Ending]]


class Begun(Struct):
    """A run with what is to be called for it, or with the end that it has met already."""

    run: ActiveRun
    call: Call | None = None
    ending: Ending | None = None
    carry: Carry | None = None

    @property
    def is_async(self) -> bool:
        return self.carry is not None or (self.call is not None and self.call.function.is_async)


class Server:
    """Takes runs from the link and reports their ends. With `carry` they are not executed here, but that sees to it."""

    def __init__(self, settings: Settings, carry: Carry | None = None) -> None:
        self._settings = settings
        self._carry = carry
        self._record = BegunRecord(settings.begun)
        self._link = Link(settings)
        self._output = Output()
        self._sources = Sources()
        self._functions = Functions(self._sources)
        self._doorbell = Doorbell()
        self._served = 0
        self._begun_ns = 0
        self._exhausted = False  # no run may be executed here
        self._leaving = False
        self._loop_runs: Begun | None = None
        self._unsettled: Ending | None = None  # of the run in whose loop something is left
        self._upcoming: Begun | None = None

    def serve(self) -> int:
        """Until there is nothing more to do here; the exit code."""
        self._link.start()
        self._hygiene = Hygiene()
        begun = self._begin_next()
        while begun is not None:
            if begun.is_async:
                begun = self._run_loop(begun)
            else:
                self._settle(begun, begun.ending or _call(begun))
                begun = self._begin_next()
        self._link.leave()
        return self._link.exit_code

    def _begin_next(self) -> Begun | None:
        if self._leaving:
            return None
        idle_since = time.monotonic()
        run = self._link.next_run()
        if run is None:
            return None
        # A job runs again because somebody mended its code, as often as not.
        surely = run.order.function not in self._functions or run.order.number > 1
        if self._sources.changed(time.monotonic() - idle_since, surely=surely) and run.stop_reason is None:
            return self._begin_afresh(run)
        return self._begin(run)

    def _begin_afresh(self, run: ActiveRun) -> Begun:
        """What was imported is not what is on disk any more: the run is for a fresh interpreter."""
        handover = self._link.recall(run)
        if handover is None:
            return self._begin(run)
        try:
            self._settings.origin.begin_again(handover)
        except OSError as error:
            self._link.proceed()
            self._exhausted = True
            why = f"the code has changed on disk, and no fresh interpreter can be started for it: {error}"
            return Begun(run, ending=refused("OSError", why))

    def _begin(self, run: ActiveRun) -> Begun:
        self._begun_ns = time.time_ns()
        order = run.order
        os.environ["JOBKEEP_COOKIE"] = order.cookie
        os.environ["JOBKEEP_JOB"] = order.job
        os.environ["JOBKEEP_RUN"] = str(order.number)
        token = None if order.lock_token is None else str(order.lock_token)
        trace = {"TRACEPARENT": order.traceparent, "TRACESTATE": order.tracestate}
        own = {name: value or _GIVEN[name] for name, value in trace.items()}
        for name, value in {**own, "JOBKEEP_LOCK_TOKEN": token}.items():
            os.environ.pop(name, None)  # of the run before
            if value is not None:
                os.environ[name] = value
        try:
            self._record.add(order.run)
            self._output.redirect(order.stdout, order.stderr)
            if run.stop_reason is not None:
                return Begun(run, ending=stopped(run.stop_reason))
            if self._carry is not None:
                return Begun(run, carry=self._carry)
            call = prepared(order, self._functions)
        except Exception as error:  # noqa: BLE001 - the disk may be full
            return Begun(run, ending=raised(error, None))
        if isinstance(call, Ending):
            return Begun(run, ending=call)
        if call.is_new:
            self._hygiene.rebase()
        return Begun(run, call)

    # Async functions

    def _run_loop(self, begun: Begun) -> Begun | None:
        """Run it and the async runs after it in one event loop; the next run, which is no async one."""
        self._loop_runs = begun
        self._upcoming = None
        unsettled = self._serve_loop()
        if unsettled is None:
            return self._upcoming
        self._settle(self._loop_runs, unsettled)
        return self._begin_next()

    def _serve_loop(self) -> Ending | None:
        self._unsettled = None
        try:
            anyio.run(self._in_loop)
        except asyncio.CancelledError as error:  # of all tasks, by the job
            return self._unsettled or raised(error, None)
        except BaseException as error:  # noqa: BLE001 - a task that a job has left behind may end the loop
            return raised(error, self._loop_runs.run.stop_reason if self._loop_runs else None)
        return self._unsettled

    async def _in_loop(self) -> None:
        """Leaves the loop when something is left in it: closing it ends the tasks and threads of a run."""
        host = asyncio.current_task()
        assert host is not None
        assert self._loop_runs is not None
        self._host = host
        self._loop_done = asyncio.get_running_loop().create_future()
        self._context = copy_context()
        async with create_task_group() as group:
            group.start_soon(self._doorbell.serve, name="jobkeep doorbell")
            self._spawn(self._loop_runs)
            self._tasks = len(asyncio.all_tasks())
            await self._loop_done
            group.cancel_scope.cancel()

    def _spawn(self, begun: Begun) -> None:
        """Run the function in a task and a context of its own."""
        self._loop_runs = begun
        self._task = asyncio.get_running_loop().create_task(
            self._run_async(begun), name=begun.run.order.run, context=self._context.copy()
        )

    async def _run_async(self, begun: Begun) -> None:
        """One run; it starts the next one itself, so that the loop turns once a run."""
        ending = await self._await(begun)
        host = self._host
        if host.done() or host.cancelling() or self._hygiene.threads_left or len(asyncio.all_tasks()) > self._tasks:
            self._unsettled = ending
        else:
            self._settle(begun, ending)
            # Waiting for the next run blocks the loop: nothing else is in it.
            upcoming = self._begin_next()
            if upcoming is not None and upcoming.is_async:
                self._spawn(upcoming)
                return
            self._upcoming = upcoming
        if not self._loop_done.done():
            self._loop_done.set_result(None)

    async def _await(self, begun: Begun) -> Ending:
        if begun.call is not None:
            return await in_loop(begun.call, begun.run, self._doorbell)
        assert begun.carry is not None
        ending = await begun.carry(begun.run, self._doorbell)
        self._hygiene.rebase()  # what there is now belongs to what carries runs, and no job is in this process
        return ending

    # Afterwards

    def _settle(self, begun: Begun, ending: Ending) -> None:
        run = begun.run
        self._link.ended(run)
        self._output.restore()
        self._served += 1
        clean = self._hygiene.clean()
        self._sources.notice(self._begun_ns)
        retire = self._exhausted or self._served >= self._settings.run_limit
        if run.fenced:
            self._leaving = True
            return
        if not clean or retire:
            self._leaving = True
        self._link.courier.finish(
            FinishParameters(
                run=run.order.run,
                fence=run.order.fence,
                outcome=ending.outcome,
                result=ending.result,
                error=ending.error,
                reason=ending.reason,
                permanent=ending.permanent,
                clean=clean,
                retire=retire,
                silent=clean and self._output.silent,
            )
        )


def _call(begun: Begun) -> Ending:
    assert begun.call is not None
    return in_thread(begun.call, begun.run)


def leave(code: int) -> NoReturn:
    """End the process with `code`, whatever threads a job has left in it."""
    if threading.active_count() <= 1:
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
