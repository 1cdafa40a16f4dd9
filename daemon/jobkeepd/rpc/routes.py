"""Every method of the wire: what decodes its parameters, what handles it, and how it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from msgspec import Raw, Struct

from jobkeep.protocol.registry import INTERFACES
from jobkeepd.rpc.handlers import (
    admin,
    bulk,
    events,
    jobs,
    locks,
    logs,
    metrics,
    processes,
    queues,
    recovery,
    run,
    schedules,
    sessions,
    submit,
    worker,
)
from jobkeepd.rpc.handlers import service as about
from jobkeepd.rpc.load import LARGE
from jobkeepd.rpc.parameters import decoder
from jobkeepd.rpc.services import Services

# A handler takes (parameters, peer), that of a stream (parameters, peer, outlet). It answers at once with a Struct
# or with encoded parameters, or with a latch or a coroutine for them, or for the frame; a stream with a coroutine for
# nothing.
Handler = Callable[..., Any]


class Route(Struct, frozen=True):
    decode: Callable[[Raw], Any]
    handle: Handler
    stream: bool = False
    leave: bool = False  # pointless once the caller is gone; all other calls run to their end
    cost: int = 0  # bytes that a reply takes while it is made, where that may be much
    slow: bool = False  # it may take seconds: nobody who wants something quick waits for its turn


SCHEDULES: Mapping[str, Callable[..., Any]] = {
    "org.jobkeep.Schedules.List": schedules.listed,
    "org.jobkeep.Schedules.Show": schedules.show,
    "org.jobkeep.Schedules.Add": schedules.add,
    "org.jobkeep.Schedules.Pause": schedules.pause,
    "org.jobkeep.Schedules.Resume": schedules.resume,
    "org.jobkeep.Schedules.Trigger": schedules.trigger,
    "org.jobkeep.Schedules.Remove": schedules.remove,
}
ADMIN: Mapping[str, Callable[..., Any]] = {
    "org.jobkeep.Admin.Recover": recovery.recover,
    "org.jobkeep.Admin.Status": admin.status,
    "org.jobkeep.Admin.Metrics": metrics.metrics,
    "org.jobkeep.Admin.Stop": admin.stop,
    "org.jobkeep.Admin.Reload": admin.reload,
    "org.jobkeep.Admin.Drain": admin.drain,
    "org.jobkeep.Admin.Undrain": admin.undrain,
    "org.jobkeep.Admin.Backup": admin.backup,
    "org.jobkeep.Admin.Check": admin.check,
    "org.jobkeep.Admin.Sql": admin.sql,
}


QUEUES: Mapping[str, Callable[..., Any]] = {
    "org.jobkeep.Queues.List": queues.all_queues,
    "org.jobkeep.Queues.Show": queues.show,
    "org.jobkeep.Queues.Pause": queues.pause,
    "org.jobkeep.Queues.Resume": queues.resume,
    "org.jobkeep.Queues.Limit": queues.limit,
}
BULK: Mapping[str, Callable[..., Any]] = {
    "org.jobkeep.Jobs.CancelMatching": bulk.cancel,
    "org.jobkeep.Jobs.ResumeMatching": bulk.resume,
    "org.jobkeep.Jobs.RestartMatching": bulk.restart,
    "org.jobkeep.Jobs.RemoveMatching": bulk.remove,
}


def handlers(services: Services) -> dict[str, Handler]:
    """Every method of every interface."""
    reading = jobs.Reading(services)
    bound: dict[str, Callable[..., Any]] = {
        "org.varlink.service.GetInfo": about.info,
        "org.varlink.service.GetInterfaceDescription": about.describe,
        "org.jobkeep.Jobs.Submit": submit.submit,
        "org.jobkeep.Jobs.SubmitMany": submit.submit_many,
        "org.jobkeep.Jobs.Cancel": jobs.cancel,
        "org.jobkeep.Jobs.Resume": jobs.resume,
        "org.jobkeep.Jobs.Restart": jobs.restart,
        "org.jobkeep.Jobs.Remove": jobs.remove,
        **BULK,
        "org.jobkeep.Jobs.Logs": logs.logs,
        "org.jobkeep.Jobs.Explain": recovery.explain_job,
        "org.jobkeep.Locks.Acquire": locks.acquire,
        "org.jobkeep.Locks.Renew": locks.renew,
        "org.jobkeep.Locks.Release": locks.release,
        "org.jobkeep.Locks.GiveUp": locks.give_up,
        "org.jobkeep.Locks.List": locks.held,
        "org.jobkeep.Locks.Show": locks.show,
        "org.jobkeep.Locks.Reset": locks.reset,
        "org.jobkeep.Processes.List": processes.listed,
        "org.jobkeep.Processes.Cleanup": processes.clean_up,
        **QUEUES,
        **SCHEDULES,
        **ADMIN,
        "org.jobkeep.Run.Progress": run.progress,
        "org.jobkeep.Run.LoadCheckpoint": run.load_checkpoint,
        "org.jobkeep.Run.SaveCheckpoint": run.save_checkpoint,
        "org.jobkeep.Sessions.Open": sessions.open_session,
        "org.jobkeep.Sessions.List": sessions.listed,
        "org.jobkeep.Sessions.Close": sessions.close,
        "org.jobkeep.Worker.Attach": worker.attach,
        "org.jobkeep.Worker.Beat": worker.beat,
        "org.jobkeep.Worker.Progress": worker.progress,
        "org.jobkeep.Worker.Checkpoint": worker.checkpoint,
        "org.jobkeep.Worker.SaveStep": worker.save_step,
        "org.jobkeep.Worker.Finish": worker.finish,
        "org.jobkeep.Worker.FailedKeys": worker.failed_keys,
        "org.jobkeep.Worker.StepResult": worker.step_result,
    }
    return {method: partial(handler, services) for method, handler in bound.items()} | {
        "org.jobkeep.Jobs.Events": events.Events(services).events,
        "org.jobkeep.Jobs.Get": reading.get,
        "org.jobkeep.Jobs.List": reading.list,
        "org.jobkeep.Jobs.Wait": reading.wait,
        "org.jobkeep.Jobs.Result": reading.result,
        "org.jobkeep.Jobs.History": reading.history,
        "org.jobkeep.Jobs.FailedItems": reading.failed_items,
    }


LEAVING = frozenset(
    {
        "org.jobkeep.Jobs.Wait",
        "org.jobkeep.Admin.Drain",
        "org.jobkeep.Admin.Sql",
        "org.jobkeep.Locks.Acquire",
        "org.jobkeep.Locks.Renew",
        "org.jobkeep.Sessions.Open",
    }
)
COSTS: Mapping[str, int] = {  # all of them change nothing
    "org.jobkeep.Jobs.Get": LARGE // 4,
    "org.jobkeep.Jobs.Result": LARGE // 4,
    "org.jobkeep.Jobs.Explain": LARGE // 4,
    "org.jobkeep.Jobs.List": LARGE,
    "org.jobkeep.Jobs.History": LARGE,
    "org.jobkeep.Jobs.FailedItems": LARGE,
    "org.jobkeep.Schedules.List": LARGE,
    "org.jobkeep.Locks.List": LARGE,
    "org.jobkeep.Run.LoadCheckpoint": LARGE // 4,
    "org.jobkeep.Worker.FailedKeys": LARGE,
    "org.jobkeep.Worker.StepResult": LARGE // 4,
}
SLOW: Mapping[str, int] = {
    "org.jobkeep.Admin.Sql": 2 * LARGE,
    "org.jobkeep.Admin.Recover": LARGE,
    "org.jobkeep.Processes.List": LARGE,
    "org.jobkeep.Processes.Cleanup": LARGE,
    **dict.fromkeys(BULK, LARGE),
}


def routes(services: Services) -> Mapping[str, Route]:
    handle = handlers(services)
    costs = {**COSTS, **SLOW}
    return {
        name: Route(
            decoder(method.parameters),
            handle[name],
            stream=method.more,
            leave=name in LEAVING or name in COSTS,
            cost=costs.get(name, 0),
            slow=name in SLOW,
        )
        for interface in INTERFACES.values()
        for method in interface.methods
        for name in (f"{interface.name}.{method.name}",)
    }
