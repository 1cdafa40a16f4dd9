"""What leaders do: commands take their time, workers take runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobkeepd.runner.base import LeaderOrder

from .plans import NEVER
from .processes import Process, Program

if TYPE_CHECKING:
    from .host import Host


def program_for(host: Host, order: LeaderOrder) -> Program:
    """By the name of the run: `worker-SEAT`, or `JOB.NUMBER` of a command."""
    from .worker import FakeWorker  # it dials the daemon, which knows of the host

    job, _, number = order.run.partition(".")
    if not number:
        cookie = order.env["JOBKEEP_COOKIE"]
        seat = order.run.removeprefix("worker-")
        return lambda process: FakeWorker(host, process, seat, cookie).main()
    return lambda process: _command(host, process, job, int(number))


async def _command(host: Host, process: Process, job: str, number: int) -> int:
    plan = host.plans[job]
    with host.judge.run(job, number, plan.spec.lock, plan.spec.queue):
        if plan.stalls_at is not None and number == 1:
            await process.sleep(NEVER)
        await process.sleep(plan.items * plan.pace)
        code = 1 if number <= plan.fails_until else plan.exit_code
        if not code:
            host.judge.achieve(job, number)
        return code
