"""Calls the function of a run; whatever it returns or raises is how the run ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from anyio import CancelScope
from msgspec import Struct

from jobkeep.protocol.worker import RunOrder
from jobkeep.sdk.blocking import BlockingJobContext
from jobkeep.sdk.context import JobContext
from jobkeep.sdk.port import DRAIN
from jobkeep.worker.active import ActiveRun
from jobkeep.worker.doorbell import Doorbell
from jobkeep.worker.ending import Ending, raised, refused, returned, stopped
from jobkeep.worker.functions import Function, Functions, UnknownFunction


class Call(Struct):
    """A function with its arguments, which fit."""

    function: Function
    arguments: dict[str, Any]
    is_new: bool  # the function was looked up for this call

    def invoke(self, run: ActiveRun, context: Callable[[Any, Any], object]) -> Any:
        if self.function.wants_context:
            return self.function.call(context(run.order, run.port), **self.arguments)
        return self.function.call(**self.arguments)


def prepared(order: RunOrder, functions: Functions) -> Call | Ending:
    """What the order names, ready to be called; or how the run ends, since it cannot be."""
    try:
        function, is_new = functions.get(order.function)
        return Call(function, function.bind(order.arguments), is_new)
    except (UnknownFunction, TypeError) as error:  # ours, so that our frames would tell nothing
        return refused(type(error).__name__, str(error))
    except Exception as error:  # noqa: BLE001 - the module's own code runs here
        return raised(error, None)


def in_thread(call: Call, run: ActiveRun) -> Ending:
    """Call a plain function, in this thread."""
    try:
        return returned(call.invoke(run, BlockingJobContext))
    except BaseException as error:  # noqa: BLE001 - whatever a job raises is its end, never ours
        return raised(error, run.stop_reason)


async def in_loop(call: Call, run: ActiveRun, doorbell: Doorbell) -> Ending:
    """Call an async function in a scope, which a request to stop cancels."""
    try:
        with CancelScope() as scope:
            run.enter_loop(doorbell, scope)
            return returned(await call.invoke(run, JobContext))
    except asyncio.CancelledError:
        if run.stop_reason in (None, DRAIN):
            return refused("asyncio.CancelledError", "the function has cancelled its own task")
    except BaseException as error:  # noqa: BLE001 - whatever a job raises is its end, never ours
        return raised(error, run.stop_reason)
    finally:
        run.leave()
    return stopped(run.stop_reason or "cancelled")
