"""A run as it is sent to a worker."""

from __future__ import annotations

from msgspec import Raw, json

from jobkeep.protocol import worker as wire
from jobkeep.protocol.jobs import Progress
from jobkeepd.runner.base import Launch
from jobkeepd.runner.surroundings import Surroundings


def run_order(launch: Launch, seat: str, surroundings: Surroundings) -> wire.RunOrder:
    job = launch.job
    run = job.run
    assert run is not None and job.spec.function is not None
    stdout, stderr = surroundings.outputs.begin(seat, job.ref)
    progress: Progress = job.progress
    arguments = {**job.spec.arguments, **launch.arguments} if launch.arguments else job.spec.arguments
    return wire.RunOrder(
        run=job.ref.id,
        fence=run.fence,
        function=job.spec.function,
        arguments=Raw(json.encode(arguments)),
        job=job.id,
        name=job.spec.name or job.spec.function,
        number=run.number,
        cookie=run.cookie,
        lock_token=run.lock_token,
        stdout=stdout,
        stderr=stderr,
        cursor=launch.checkpoint.cursor,
        state=launch.checkpoint.state,
        checkpoint_seq=launch.checkpoint.seq,
        tallies=progress.tallies,
        done=progress.done,
        total=progress.total,
        failed_items=progress.failed_items,
        only_failed=job.only_failed,
        checkpoint_every=surroundings.checkpoint_every,
        traceparent=job.spec.traceparent,
        tracestate=job.spec.tracestate,
        steps=list(launch.steps),
    )
