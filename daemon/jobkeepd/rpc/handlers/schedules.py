"""org.jobkeep.Schedules: jobs by the calendar."""

from __future__ import annotations

from jobkeep.protocol import schedules as wire
from jobkeep.protocol.interface import Nothing
from jobkeepd.core.firing import Order, Schedule, Terms
from jobkeepd.core.model import Peer
from jobkeepd.core.schedule import in_fields
from jobkeepd.rpc.handlers.submit import Answer, Batch, checked_conflict
from jobkeepd.rpc.services import Services
from jobkeepd.rpc.views import deed_view, utc


async def listed(services: Services, asked: Nothing, peer: Peer) -> wire.ListReply:
    return wire.ListReply([_view(services, schedule) for schedule in services.schedules.all()])


async def show(services: Services, asked: wire.ScheduleParameters, peer: Peer) -> wire.ScheduleReply:
    return _reply(services, services.schedules.get(asked.name))


async def add(services: Services, asked: wire.AddParameters, peer: Peer) -> wire.ScheduleReply:
    checked_conflict(asked.on_conflict, asked.spec)
    batch = Batch(services, None)
    batch.add(asked.spec, "spec.")
    (job,) = batch.jobs
    terms = Terms(
        cron=in_fields(asked.cron),  # an older daemon knows only these
        timezone=asked.timezone,
        spec=job.spec,
        environment=job.environment,
        owner=peer,
        missed=asked.missed,
        on_conflict=asked.on_conflict,
    )
    environments = tuple(batch.environments.items())
    return _reply(services, await services.schedules.add(asked.name, terms, environments, peer, replace=asked.replace))


async def pause(services: Services, asked: wire.ControlParameters, peer: Peer) -> wire.ScheduleReply:
    return await _controlled(services, asked, "pause", peer)


async def resume(services: Services, asked: wire.ControlParameters, peer: Peer) -> wire.ScheduleReply:
    return await _controlled(services, asked, "resume", peer)


async def remove(services: Services, asked: wire.ControlParameters, peer: Peer) -> wire.ScheduleReply:
    return _reply(services, await services.schedules.remove(asked.name, peer, asked.reason))


def trigger(services: Services, asked: wire.TriggerParameters, peer: Peer) -> Answer:
    schedule = services.schedules.get(asked.name)
    batch = Batch(services, asked.request_id)
    job = services.schedules.job_of(schedule, "")
    batch.add_kept(job.spec, job.environment)
    return batch.submit(
        peer,
        schedule.terms.on_conflict,
        lambda done: wire.TriggerReply(done.ids[0], done.state, done.created),
        others=schedule.terms.others,
    )


async def _controlled(
    services: Services, asked: wire.ControlParameters, order: Order, peer: Peer
) -> wire.ScheduleReply:
    return _reply(services, await services.schedules.control(asked.name, order, peer, asked.reason))


def _reply(services: Services, schedule: Schedule) -> wire.ScheduleReply:
    return wire.ScheduleReply(_view(services, schedule))


def _view(services: Services, schedule: Schedule) -> wire.Schedule:
    terms, last = schedule.terms, None
    if schedule.last_at is not None and schedule.last_job is not None:
        last = wire.Fired(utc(schedule.last_at), schedule.last_job)
    return wire.Schedule(
        name=schedule.name,
        cron=terms.cron,
        timezone=terms.timezone,
        missed=terms.missed,
        on_conflict=terms.on_conflict,
        configured=terms.configured,
        paused=deed_view(schedule.paused),
        next=[utc(at) for at in services.schedules.upcoming(schedule)],
        last=last,
        spec=terms.spec,
    )
