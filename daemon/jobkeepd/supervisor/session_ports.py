"""What sessions are made with: ports to the supervisor and to clean-up, and the job that runs a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

from jobkeep.protocol.jobs import JobSpec
from jobkeepd.core.model import Job, Peer
from jobkeepd.core.sessions import QUEUE, Process, key_of, process_of
from jobkeepd.runner.base import Probing, Processes
from jobkeepd.store.base import JobFilter, Store
from jobkeepd.store.changes import NewJob, Submitted
from jobkeepd.supervisor.feed import Feed
from jobkeepd.supervisor.settings import SessionSettings


class Jobs(Protocol):
    """What sessions need of the supervisor."""

    def held(self) -> str | None:
        """Why none would be started now."""

    async def submit(self, job: NewJob, environment: tuple[str, bytes], by: Peer) -> Submitted | Exception: ...

    async def end(self, job: str, by: Peer | None, reason: str, within: float) -> bool:
        """End its run for sure; False where that takes longer."""


class Orphans(Protocol):
    """Clean-up, as sessions need it."""

    async def clean_after(self, session: str, job: Job) -> None:
        """End what the dead process of a session has left behind outside of its tree, which has ended already."""


class SessionTools(Struct, frozen=True):
    """What sessions are made with. `environment` is the daemon's own, cleaned, and by (hash, encoded)."""

    jobs: Jobs
    probes: Probing
    orphans: Orphans
    processes: Processes
    feed: Feed
    owner: Peer  # of the jobs: the daemon itself
    base: Mapping[str, str]
    environment: tuple[str, bytes]
    new_id: Callable[[], str]
    slack: float = 10.0  # seconds beyond its grace that the end of a process may take

    def process(self, job: Job | None) -> Process:
        """What there is of a session's process, by the job that runs it and by the kernel."""
        identity = None if job is None or job.run is None else job.run.identity
        return process_of(job, None if identity is None else self.processes.alive(identity))


def spec_of(name: str, settings: SessionSettings) -> JobSpec:
    """Of the job that runs the session: the key keeps a second one from being started."""
    return JobSpec(
        command=list(settings.command),
        name=key_of(name),
        key=key_of(name),
        queue=QUEUE,
        labels={"session": name},
        cwd=settings.cwd or None,
        env={**settings.env, "JOBKEEP_SESSION": name},
        grace_s=settings.grace,
        stall_after_s=0.0,
        on_lost="fail",
    )


async def last_job(store: Store, name: str) -> Job | None:
    """The one that runs the session, or has run it last."""
    found = await store.list(JobFilter(queue=QUEUE, labels=(("session", name),), limit=1))
    return found[0] if found else None
