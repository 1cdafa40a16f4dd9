"""The main thread of a worker: one run after the other."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NoReturn

import anyio
import msgspec
from anyio import CancelScope, create_task_group, get_running_tasks
from anyio.from_thread import BlockingPortal
from msgspec import Raw, Struct

from jobkeep.errors import Stopped
from jobkeep.protocol.jobs import ErrorInfo
from jobkeep.protocol.vocabulary import ERROR_LIMIT, RESULT_LIMIT
from jobkeep.protocol.worker import FinishParameters, Outcome
from jobkeep.sdk.blocking import BlockingJobContext
from jobkeep.sdk.context import JobContext
from jobkeep.sdk.failures import bounded, error_info
from jobkeep.worker.active import ActiveRun
from jobkeep.worker.functions import Function, Functions, UnknownFunction
from jobkeep.worker.hygiene import Hygiene, Sources
from jobkeep.worker.link import Link
from jobkeep.worker.output import Output
from jobkeep.worker.settings import Settings

_encode = msgspec.json.Encoder().encode
_HERE: Final = os.path.dirname(__file__)


class Ending(Struct):
    """How a run has ended, before anybody looked at what it left behind."""

    outcome: Outcome
    result: Raw = Raw(b"null")
    error: ErrorInfo | None = None
    reason: str | None = None


class Begun(Struct):
    """A run with its function and arguments, or with the end that it has met already."""

    run: ActiveRun
    function: Function | None = None
    arguments: dict[str, Any] = {}
    ending: Ending | None = None

    @property
    def is_async(self) -> bool:
        return self.function is not None and self.function.is_async


class Server:
    """Takes runs from the link and reports their ends."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._link = Link(settings)
        self._output = Output()
        self._functions = Functions()
        self._served = 0
        self._leaving = False
        self._loop_runs: Begun | None = None

    def serve(self) -> int:
        """Until there is nothing more to do here; the exit code."""
        self._link.start()
        self._hygiene = Hygiene()
        self._sources = Sources()
        begun = self._begin_next()
        while begun is not None:
            if begun.is_async:
                begun = self._run_loop(begun)
            else:
                self._settle(begun, begun.ending or self._call(begun))
                begun = self._begin_next()
        self._link.leave()
        return self._link.exit_code

    def _begin_next(self) -> Begun | None:
        if self._leaving:
            return None
        run = self._link.inbox.get()
        return None if run is None else self._begin(run)

    def _begin(self, run: ActiveRun) -> Begun:
        order = run.order
        os.environ["JOBKEEP_COOKIE"] = order.cookie
        os.environ["JOBKEEP_JOB"] = order.job
        os.environ["JOBKEEP_RUN"] = order.run
        try:
            self._output.redirect(order.stdout, order.stderr)
            if run.stop_reason is not None:
                return Begun(run, ending=_stopped(run.stop_reason))
            function, is_new = self._functions.get(order.function)
            if is_new:
                self._hygiene.rebase()
            return Begun(run, function, function.bind(order.arguments))
        except (UnknownFunction, TypeError) as error:  # ours, so that our frames would tell nothing
            info = bounded(_name(error), str(error), None, ERROR_LIMIT)
            return Begun(run, ending=Ending("failed", error=info))
        except Exception as error:  # noqa: BLE001 - the module's own code runs here, and the disk may be full
            return Begun(run, ending=_failed(error))

    # Plain functions

    def _call(self, begun: Begun) -> Ending:
        assert begun.function is not None
        try:
            return _succeeded(_invoke(begun, BlockingJobContext))
        except BaseException as error:  # noqa: BLE001 - whatever a job raises is its end, never ours
            return _ended(error, begun.run)

    # Async functions

    def _run_loop(self, begun: Begun) -> Begun | None:
        """Run it and the async runs after it in one event loop; the next run, which is no async one."""
        self._loop_runs = begun
        try:
            unsettled, upcoming = anyio.run(self._in_loop)
        except BaseException as error:  # noqa: BLE001 - a task that a job has left behind may end the loop
            unsettled, upcoming = _ended(error, self._loop_runs.run), None
        if unsettled is None:
            return upcoming
        self._settle(self._loop_runs, unsettled)
        return self._begin_next()

    async def _in_loop(self) -> tuple[Ending | None, Begun | None]:
        """Leaves the loop when something is left in it: closing it ends the tasks and threads of a run."""
        begun = self._loop_runs
        assert begun is not None
        portal = BlockingPortal()
        async with portal:
            tasks = len(get_running_tasks())
            while True:
                ending = await _await(begun, portal)
                if len(get_running_tasks()) > tasks or self._hygiene.threads_left:
                    break
                self._settle(begun, ending)
                # Waiting for the next run blocks the loop: nothing else is in it.
                upcoming = self._begin_next()
                if upcoming is None or not upcoming.is_async:
                    return None, upcoming
                self._loop_runs = begun = upcoming
            await portal.stop(cancel_remaining=True)
        return ending, None

    # Afterwards

    def _settle(self, begun: Begun, ending: Ending) -> None:
        run = begun.run
        self._link.ended(run)
        self._output.restore()
        self._served += 1
        clean = self._hygiene.clean()
        retire = self._served >= self._settings.run_limit or self._sources.changed()
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
                clean=clean,
                retire=retire,
            )
        )


async def _await(begun: Begun, portal: BlockingPortal) -> Ending:
    """Run the function in a task of its own, which a request to stop cancels."""
    run = begun.run
    endings: list[Ending] = []

    async def body() -> None:
        with CancelScope() as scope:
            run.enter_loop(portal, scope)
            try:
                endings.append(_succeeded(await _invoke(begun, JobContext)))
            except anyio.get_cancelled_exc_class():
                raise
            except BaseException as error:  # noqa: BLE001 - whatever a job raises is its end, never ours
                endings.append(_ended(error, run))
            finally:
                run.leave()

    async with create_task_group() as group:
        group.start_soon(body, name=run.order.run)
    if endings:
        return endings[0]
    if run.stop_reason is not None:
        return _stopped(run.stop_reason)
    error = ErrorInfo("asyncio.CancelledError", "the function has cancelled its own task")
    return Ending("failed", error=error)


def _invoke(begun: Begun, context: Callable[[Any, Any], object]) -> Any:
    function, run = begun.function, begun.run
    assert function is not None
    if function.wants_context:
        return function.call(context(run.order, run), **begun.arguments)
    return function.call(**begun.arguments)


def _succeeded(value: Any) -> Ending:
    if value is None:
        return Ending("succeeded")
    try:
        result = _encode(value)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        info = bounded("TypeError", f"the result cannot be JSON: {error}", None, ERROR_LIMIT)
        return Ending("failed", error=info)
    if len(result) > RESULT_LIMIT:
        message = f"the result is {len(result)} bytes as JSON, over the limit of {RESULT_LIMIT}"
        return Ending("failed", error=ErrorInfo("jobkeep.errors.TooLarge", message))
    return Ending("succeeded", result=Raw(result))


def _ended(error: BaseException, run: ActiveRun) -> Ending:
    if _means_stop(error):
        return _stopped(run.stop_reason or "cancelled")
    return _failed(error)


def _means_stop(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_means_stop(part) for part in error.exceptions)
    return isinstance(error, Stopped)


def _stopped(reason: str) -> Ending:
    return Ending("cancelled" if reason in ("cancelled", "timeout") else "interrupted", reason=reason)


def _failed(error: BaseException) -> Ending:
    return Ending("failed", error=error_info(error, ERROR_LIMIT, skip=_HERE))


def _name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def leave(code: int) -> NoReturn:
    """End the process with `code`, whatever threads a job has left in it."""
    if threading.active_count() <= 1:
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
