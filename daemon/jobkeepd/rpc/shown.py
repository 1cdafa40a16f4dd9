"""Jobs as they are shown, with their runs and signs of life. What does not change is made only once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Raw, Struct

from jobkeep.protocol import jobs as wire
from jobkeepd.core.authz import Role, hands_off
from jobkeepd.core.model import Job, Peer, Run
from jobkeepd.rpc.frames import encode
from jobkeepd.rpc.services import Services
from jobkeepd.rpc.views import DRAINING, Hold, job_view, refreshed, withheld

_KEPT: Final = 512  # views
_KEPT_SIZE: Final = 16 << 10  # bytes of one, at most
_HELD: Final = frozenset({"queued", "scheduled"})  # states in which it matters what is not started


class Look(Struct):
    """The moment of one reply, for whom it is, and why nothing of which queue is started then."""

    now: float
    uid: int
    role: Role
    holds: dict[str, Hold] = {}


class ShownJobs:
    """Of one daemon. What is kept belongs to one Job object: every change of a job makes another one."""

    def __init__(self, services: Services) -> None:
        self._jobs = services.jobs
        self._drains = services.drains
        self._queues = services.queues
        self._store = services.store
        self._clock = services.clock
        self._kept: dict[str, tuple[Job, wire.Job, bytes]] = {}  # a view and its encoding, as when it was made

    def look(self, peer: Peer, role: Role) -> Look:
        return Look(self._clock.now(), peer.uid, role)

    def reply(self, job: Job, look: Look) -> Raw | None:
        """A JobReply, encoded; None where its runs have to be read first."""
        encoded = self.encoded(job, look)
        return None if encoded is None else Raw(b'{"job":%b}' % encoded)

    def encoded(self, job: Job, look: Look) -> bytes | None:
        """The view, encoded; None where its runs have to be read first."""
        kept, refused = self._kept.get(job.id), hands_off(look.role, look.uid, job.owner)
        if kept is not None and kept[0] is job:
            _, view, encoded = kept
            now = refreshed(view, job, self._jobs.live(job), look.now, self._hold(job, look))
            if refused is not None:
                return encode(withheld(now, refused))
            return encoded if now is view else encode(now)
        runs = known_runs(job)
        if runs is None:
            return None
        view = self._view(job, runs, look)
        encoded = encode(view)
        if len(encoded) <= _KEPT_SIZE and self._store.cached(job.id) is job:
            self._keep(job, view, encoded)
        return encoded if refused is None else encode(withheld(view, refused))

    async def read(self, job: Job, look: Look) -> wire.Job:
        """The view, whatever has to be read for it."""
        runs = known_runs(job)
        view = self._view(job, await self._store.runs(job.id) if runs is None else runs, look)
        refused = hands_off(look.role, look.uid, job.owner)
        return view if refused is None else withheld(view, refused)

    def _view(self, job: Job, runs: Sequence[Run], look: Look) -> wire.Job:
        return job_view(job, runs, self._jobs.live(job), look.now, self._hold(job, look))

    def _hold(self, job: Job, look: Look) -> Hold:
        """Why jobs like it are not started."""
        if job.state not in _HELD:
            return None
        name = job.spec.queue
        if name not in look.holds:
            look.holds[name] = self._hold_of(name)
        return look.holds[name]

    def _hold_of(self, name: str) -> Hold:
        if self._drains.since is not None:
            return DRAINING
        queue = self._queues.get(name)
        return None if queue is None or queue.control.paused is None else f"its queue {name} is paused"

    def _keep(self, job: Job, view: wire.Job, encoded: bytes) -> None:
        if job.id not in self._kept and len(self._kept) >= _KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[job.id] = (job, view, encoded)


def known_runs(job: Job) -> Sequence[Run] | None:
    """The runs of a job that has at most one; None where there are more than the job itself holds."""
    if job.run is None:
        return ()
    return (job.run,) if job.run.number == 1 else None
