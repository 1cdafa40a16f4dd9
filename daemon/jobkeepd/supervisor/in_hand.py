"""Sessions in somebody's hands: who has one whose process dies has lost it, and is told so at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import anyio
import anyio.abc
import structlog

from jobkeep.protocol.vocabulary import ENDED_STATES
from jobkeepd.core.lease import ClientHolder, Lock, is_over
from jobkeepd.core.model import Job
from jobkeepd.core.sessions import QUEUE, key_of, name_of_key
from jobkeepd.errors import StoreError
from jobkeepd.store.changes import Note
from jobkeepd.supervisor.deathwatch import Deathwatch, Hold
from jobkeepd.supervisor.leases import Leases
from jobkeepd.supervisor.session_ports import SessionTools, last_job
from jobkeepd.supervisor.workshop import Workshop

log = structlog.get_logger()
_PAUSE: Final = 0.25  # seconds between two looks at what is left of it
DIED: Final = "session_died"  # why its lock is released


class InHand:
    """Each session that is handed out is watched until it is given back."""

    def __init__(self, tools: SessionTools, workshop: Workshop, leases: Leases, group: anyio.abc.TaskGroup) -> None:
        self._tools = tools
        self._workshop = workshop
        self._leases = leases
        self._deathwatch = Deathwatch(tools.processes, group, self._tell)
        self._heard = tools.feed.subscribe(self._hear, capacity=None)

    def watch(self, lock: Lock, job: Job) -> None:
        """It is in the hands of whoever has the lock."""
        if job.run is not None and job.run.identity is not None:
            self._deathwatch.watch(Hold(lock.name, lock.token, job.run.identity))

    async def recover_once(self, names: Iterable[str]) -> None:
        """On start: those that were handed out by an earlier daemon, and may have died when there was none."""
        store = self._workshop.store
        for name in names:
            lock = await store.lock(key_of(name))
            if lock is None or not isinstance(lock.holder, ClientHolder) or is_over(lock, self._workshop.moment()):
                continue
            job = await store.holder(key_of(name)) or await last_job(store, name)
            if job is not None and job.spec.queue == QUEUE:
                self.watch(lock, job)

    def _hear(self) -> None:
        for entry in self._heard.take():
            if entry.kind in ("lock_released", "lock_reset"):
                self._deathwatch.over(str(entry.data["lock"]), int(entry.data["token"]))

    async def _tell(self, hold: Hold) -> None:
        """Its holder hears of it by the lease; what it has left is cleaned when nothing of its tree is left."""
        name, store = name_of_key(hold.name), self._workshop.store
        try:
            job = await last_job(store, name)
            await self._leases.release(Lock(name=hold.name, token=hold.token), DIED)
            if job is not None:
                await self._clean_after(name, job)
        except StoreError as error:
            log.warning("session_not_cleaned", session=name, error=str(error))

    async def _clean_after(self, name: str, job: Job) -> None:
        log.warning("session_died", session=name, job=job.id)
        said = {"session": name, "reason": "its process has ended while somebody had it"}
        self._workshop.store.send(Note(kind="session_dead", at=self._workshop.clock.now(), job=job.id, data=said))
        within = 2 * self._workshop.grace(job.spec.grace_s) + self._tools.slack
        with anyio.move_on_after(within):
            while (await self._workshop.store.get(job.id)).state not in ENDED_STATES:  # noqa: ASYNC110 - it is rare
                await anyio.sleep(_PAUSE)
            await self._tools.orphans.clean_after(name, job)
