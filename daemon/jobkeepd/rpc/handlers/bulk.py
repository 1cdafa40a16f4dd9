"""Verbs for all jobs that match: a page of them per call, so that nobody waits for the rest."""

from __future__ import annotations

from jobkeep.protocol import jobs as wire
from jobkeepd.core.bulk import Accepted, Cancel, Refused, Remove, Restart, Resume, Verb, become, refusals, states
from jobkeepd.core.model import Peer
from jobkeepd.rpc.faults import invalid
from jobkeepd.rpc.services import Services
from jobkeepd.store.base import JobFilter
from jobkeepd.supervisor.bulk import dry_run


async def cancel(
    services: Services, asked: wire.CancelMatchingParameters, peer: Peer, *, own: bool = False
) -> wire.MatchingReply:
    return await _act(services, Cancel(asked.force), asked, peer, own)


async def resume(
    services: Services, asked: wire.ResumeMatchingParameters, peer: Peer, *, own: bool = False
) -> wire.MatchingReply:
    return await _act(services, Resume(asked.failed_items), asked, peer, own)


async def restart(
    services: Services, asked: wire.RestartMatchingParameters, peer: Peer, *, own: bool = False
) -> wire.MatchingReply:
    return await _act(services, Restart(asked.from_start), asked, peer, own)


async def remove(
    services: Services, asked: wire.MatchingParameters, peer: Peer, *, own: bool = False
) -> wire.MatchingReply:
    return await _act(services, Remove(), asked, peer, own)


async def _act(
    services: Services, verb: Verb, asked: wire.MatchingParameters, peer: Peer, own: bool
) -> wire.MatchingReply:
    """`own`: those of others are refused one by one, since the caller is no operator."""
    page = await services.store.list(_where(services, verb, asked))
    theirs = [job for job in page if own and job.owner != peer.uid]
    mine = [job for job in page if not own or job.owner == peer.uid]
    as_of = None if asked.as_of is None else asked.as_of.timestamp()
    if asked.dry_run:
        answers = dry_run(verb, mine, as_of)
    else:
        answers = await services.jobs.act(verb, mine, peer, asked.reason, as_of)
    answers += [Refused(job.id, "it is another user's: this is for operators") for job in theirs]
    return wire.MatchingReply(
        ids=[answer.job for answer in answers if isinstance(answer, Accepted)],
        states=become(answers),
        refused=[wire.Refusal(group.reason, group.count, group.job) for group in refusals(answers)],
        next=page[-1].seq if len(page) == asked.limit else None,
    )


def _where(services: Services, verb: Verb, asked: wire.MatchingParameters) -> JobFilter:
    named = asked.state or asked.queue or asked.label or asked.since_s is not None
    if not (named or asked.all):
        raise invalid("all", "no condition is given; all=true means every job")
    return JobFilter(
        states=tuple(asked.state) if asked.state else states(verb),
        queue=asked.queue,
        labels=tuple((asked.label or {}).items()),
        since=None if asked.since_s is None else services.clock.now() - asked.since_s,
        before=asked.before,
        limit=asked.limit,
    )
