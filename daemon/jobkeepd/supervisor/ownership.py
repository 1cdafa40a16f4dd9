"""Looks at all processes of the host now and then, says whose they are, and remembers what only a witness can know."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeAlias

import anyio.lowlevel
from msgspec.structs import replace

from jobkeepd.clock import Clock
from jobkeepd.core.families import Families
from jobkeepd.core.model import Identity
from jobkeepd.core.ownership import Finding, Ownership
from jobkeepd.core.sight import OLD_ENOUGH, Claim, Key, Known, Sight
from jobkeepd.runner.base import HostLook, Lookout
from jobkeepd.supervisor.claims import Claims

Asker: TypeAlias = Callable[[], Awaitable[Mapping[Identity, str]]]
_AT_ONCE = 50  # processes judged before others have their turn


class Owners:
    """What other parts protect, they say here: a process, and with it all that is beneath it."""

    def __init__(
        self, lookout: Lookout, claims: Claims, families: Families, uid: int, orphaned_for: float, clock: Clock
    ) -> None:
        self.families = families
        self._lookout = lookout
        self._claims = claims
        self._uid = uid
        self._orphaned_for = orphaned_for
        self._protected: dict[Identity, str] = {}
        self._askers: list[Asker] = []
        self._asked: dict[Identity, str] = {}  # what they have said last
        self.now = 0.0  # of the last look, in seconds since the boot
        self._clock = clock
        self._awake = 0.0  # of the last look as well, by the clock that stops while the host sleeps
        # By earlier looks, of what lives still.
        self._seen: Mapping[Key, Claim] = {}
        self._driven: frozenset[Key] = frozenset()
        self._parented: Mapping[Key, float] = {}

    def configure(self, families: Families, orphaned_for: float) -> None:
        """Other families, from the next look on."""
        self.families, self._orphaned_for = families, orphaned_for

    @property
    def protected(self) -> Mapping[Identity, str]:
        """The roots, and what to call each."""
        return {**self._asked, **self._protected}

    def protect(self, root: Identity, what: str) -> None:
        """Such as `session browser, in use`: nothing beneath it is touched until `expose`."""
        self._protected[root] = what

    def expose(self, root: Identity) -> None:
        self._protected.pop(root, None)

    def ask(self, asker: Asker) -> None:
        """Whoever knows of roots is asked before each look."""
        self._askers.append(asker)

    async def look(self, closely: bool = False) -> list[Finding]:
        """One for each process, in the order of pids. `closely`: all anew, with the command lines of ours."""
        self._asked = {root: what for asker in self._askers for root, what in (await asker()).items()}
        seen = await self._lookout.look(self.families.by_arguments, afresh=closely)
        self._pass_over_sleep(seen.now)
        known = await self._known(seen)
        sights = dict(seen.sights)
        ownership = Ownership(sights, known)
        findings = {finding.sight.pid: finding for finding in await self._judged(ownership, sights)}
        matter = _that_matter(ownership, findings.values(), closely)
        if matter:
            sights |= {sight.pid: sight for sight in await self._lookout.closer(list(matter.values()))}
            known = await self._known(replace(seen, sights=sights))  # somebody may have come, or be another program
            ownership = Ownership(sights, known)
            for finding in await self._judged(ownership, matter):
                findings[finding.sight.pid] = finding
        self._remember(ownership, findings.values(), known)
        return list(findings.values())

    def _pass_over_sleep(self, now: float) -> None:
        """Nobody has been an orphan for longer because the host was suspended: its new parent slept as well."""
        awake = self._clock.monotonic()
        slept = max((now - self.now) - (awake - self._awake), 0.0)
        self._parented = {key: at + slept for key, at in self._parented.items()}
        self.now, self._awake = now, awake

    async def _judged(self, ownership: Ownership, pids: Iterable[int]) -> list[Finding]:
        found = []
        for count, pid in enumerate(sorted(pids)):
            if count % _AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()
            found.append(ownership.judge(pid))
        return found

    async def _known(self, seen: HostLook) -> Known:
        marks = [sight.mark for sight in seen.sights.values() if sight.mark is not None]
        names = set(seen.slots.values())
        claims = await self._claims.of(marks, names)
        runs = self._claims.runs()
        return Known(
            uid=self._uid,
            now=seen.now,
            daemon=seen.daemon,
            cgroup=seen.cgroup,
            spawners=seen.spawners,
            slots={pid: runs.get(name) for pid, name in seen.slots.items()},
            claims=claims,
            recorded=self._claims.leaders(),
            members={
                pid: Claim(runs.get(name, f"slot-{name}"), name in names or name in runs)
                for pid, name in seen.members.items()
            },
            seen=await self._as_now(self._seen),
            protected=self._roots(seen.boot_id),
            families=self.families,
            driven=self._driven,
            parented=self._parented,
            orphaned_for=self._orphaned_for,
        )

    async def _as_now(self, seen: Mapping[Key, Claim]) -> dict[Key, Claim]:
        """With runs that have ended since."""
        live = await self._claims.still_live(claim.run for claim in seen.values())
        return {key: Claim(claim.run, claim.run in live) for key, claim in seen.items()}

    def _roots(self, boot_id: str) -> dict[Key, str]:
        return {
            (who.pid, who.start_ticks): what for who, what in self.protected.items() if who.boot_id == boot_id
        }

    def _remember(self, ownership: Ownership, findings: Iterable[Finding], known: Known) -> None:
        seen, driven, parented = {}, set(), {}
        for finding in findings:
            sight = finding.sight
            if finding.run is not None and known.now - sight.born >= OLD_ENOUGH:
                live = finding.verdict == "owned"
                seen[sight.key] = Claim(finding.run, live)
            if finding.family is not None:
                if ownership.driver_of(sight) is not None or sight.key in self._driven:
                    driven.add(sight.key)
                if not ownership.is_orphaned(sight):
                    parented[sight.key] = known.now
                elif sight.key in self._parented:
                    parented[sight.key] = self._parented[sight.key]
        self._seen, self._driven, self._parented = seen, frozenset(driven), parented


def _that_matter(ownership: Ownership, findings: Iterable[Finding], closely: bool) -> dict[int, Sight]:
    """What must be known for certain: who would be ended, and all above them, which may speak against that."""
    matter: dict[int, Sight] = {}
    for finding in findings:
        if finding.fate == "end":
            matter.update((sight.pid, sight) for sight in ownership.lineage(finding.sight.pid))
        elif closely and (finding.verdict in ("owned", "orphan") or finding.family is not None):
            matter[finding.sight.pid] = finding.sight
    return matter
