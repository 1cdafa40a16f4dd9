"""Each public method of the clients, called once with arguments that make sense; both clients have the same names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

SPEC: list[Any] = [{"command": ["true"]}, [{"priority": n} for n in range(3)]]

CALLS: dict[str, Callable[[Any], Any]] = {
    "run": lambda jk: jk.run(["true"], env={}),
    "call": lambda jk: jk.call("m:f", {"a": 1}, env={}),
    "submit_many": lambda jk: jk.submit_many(*SPEC),
    "jobs": lambda jk: jk.jobs(state="failed"),
    "wait": lambda jk: jk.wait(["j1", "j2"]),
    "events": lambda jk: jk.events(after=0),
    "history": lambda jk: jk.history("j1"),
    "cancel_matching": lambda jk: jk.cancel_matching(queue="q"),
    "resume_matching": lambda jk: jk.resume_matching(queue="q"),
    "restart_matching": lambda jk: jk.restart_matching(queue="q"),
    "remove_matching": lambda jk: jk.remove_matching(queue="q"),
    "lock": lambda jk: jk.lock("l"),
    "locks": lambda jk: jk.locks(),
    "lock_info": lambda jk: jk.lock_info("l"),
    "reset_lock": lambda jk: jk.reset_lock("l"),
    "queues": lambda jk: jk.queues(),
    "queue_info": lambda jk: jk.queue_info("q"),
    "pause_queue": lambda jk: jk.pause_queue("q"),
    "resume_queue": lambda jk: jk.resume_queue("q"),
    "limit_queue": lambda jk: jk.limit_queue("q", 1),
    "schedules": lambda jk: jk.schedules(),
    "schedule_info": lambda jk: jk.schedule_info("s"),
    "add_schedule": lambda jk: jk.add_schedule("s", "* * * * *", ["true"]),
    "pause_schedule": lambda jk: jk.pause_schedule("s"),
    "resume_schedule": lambda jk: jk.resume_schedule("s"),
    "trigger_schedule": lambda jk: jk.trigger_schedule("s"),
    "remove_schedule": lambda jk: jk.remove_schedule("s"),
    "session": lambda jk: jk.session("s"),
    "sessions": lambda jk: jk.sessions(),
    "close_session": lambda jk: jk.close_session("s"),
    "sql": lambda jk: jk.sql("SELECT 1"),
    "status": lambda jk: jk.status(),
    "metrics": lambda jk: jk.metrics(),
    "recover": lambda jk: jk.recover(check=True),
    "processes": lambda jk: jk.processes(),
    "cleanup": lambda jk: jk.cleanup(dry_run=True),
    "drain": lambda jk: jk.drain(),
    "undrain": lambda jk: jk.undrain(),
    "info": lambda jk: jk.info(),
    "stop_daemon": lambda jk: jk.stop_daemon(),
    "reload": lambda jk: jk.reload(),
    "backup": lambda jk: jk.backup("/b"),
    "check": lambda jk: jk.check(),
    "job.info": lambda jk: jk.job("j1").info(),
    "job.wait": lambda jk: jk.job("j1").wait(),
    "job.result": lambda jk: jk.job("j1").result(),
    "job.explain": lambda jk: jk.job("j1").explain(),
    "job.cancel": lambda jk: jk.job("j1").cancel(),
    "job.resume": lambda jk: jk.job("j1").resume(),
    "job.restart": lambda jk: jk.job("j1").restart(),
    "job.remove": lambda jk: jk.job("j1").remove(),
    "job.events": lambda jk: jk.job("j1").events(),
    "job.logs": lambda jk: jk.job("j1").logs(follow=True, stream="stdout"),
    "job.failed_items": lambda jk: jk.job("j1").failed_items(),
    "job.history": lambda jk: jk.job("j1").history(),
}
ASK_NOTHING = {"job", "close"}
BLOCKS = {"lock", "session"}  # to be entered
# Asked twice they may do more than once: a connection that ends is an error.
UNSAFE = {
    "job.resume", "job.restart", "job.remove", "reset_lock", "cleanup", "drain", "stop_daemon", "backup",
    "add_schedule", "remove_schedule",
}  # fmt: skip


async def done(found: Awaitable[Any] | AsyncIterator[Any] | AbstractAsyncContextManager[Any]) -> Any:
    """What it comes to: the reply, all items, or the block entered and left."""
    if isinstance(found, AbstractAsyncContextManager):
        async with found as entered:
            return entered.name
    if isinstance(found, AsyncIterator):
        return [item async for item in found]
    return await found


def done_blocking(found: Any) -> Any:
    """The same of the other client."""
    if isinstance(found, AbstractContextManager):
        with found as entered:
            return entered.name
    return list(found) if isinstance(found, Iterator) else found
