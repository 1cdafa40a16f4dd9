"""Where a process stands: what comes to it from itself and from those above it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct

from jobkeepd.core.sight import Claim, Evidence, Key, Known, Sight


class Standing(Struct, frozen=True, gc=False):
    """As far up as the first slot or spawner."""

    proofs: tuple[tuple[Claim, Evidence], ...] = ()  # of which runs it is; its own come first
    slot: int | None = None
    spawned: bool = False  # beneath a spawner
    root: str | None = None  # what protects it
    keep: bool = False

    def kinds(self, run: str | None) -> tuple[Evidence, ...]:
        """What proves it to be of that run."""
        return tuple(dict.fromkeys([kind for claim, kind in self.proofs if claim.run == run]))


_ALONE: Final = Standing()


class Standings:
    """Of the processes of one look. Each is found out once: a thousand take milliseconds."""

    def __init__(self, sights: Mapping[int, Sight], known: Known) -> None:
        self._sights = sights
        self._known = known
        self._found: dict[int, Standing] = {}

    def lineage(self, pid: int) -> Iterator[Sight]:
        """A process and those above it. What was seen in several moments may seem to go round: that ends it."""
        met: set[int] = set()
        while pid in self._sights and pid not in met:
            met.add(pid)
            yield self._sights[pid]
            pid = self._sights[pid].parent

    def of(self, pid: int) -> Standing:
        below: list[Sight] = []
        standing = _ALONE
        for sight in self.lineage(pid):
            found = self._found.get(sight.pid)
            if found is not None:
                standing = found
                break
            below.append(sight)
        for sight in reversed(below):
            standing = self._found[sight.pid] = self._beneath(standing, sight)
        return standing

    def _beneath(self, above: Standing, sight: Sight) -> Standing:
        known, pid, key = self._known, sight.pid, sight.key
        if pid in known.slots:
            return Standing(slot=pid, root=above.root)
        if pid in known.spawners:
            return Standing(spawned=True, root=above.root)
        proofs, root = self._proofs(sight, key), known.protected.get(key)
        if not (proofs or root or sight.keep or above.proofs):
            return above
        for claim, _ in above.proofs:
            if (claim, "descent") not in proofs:
                proofs.append((claim, "descent"))
        return Standing(tuple(proofs), above.slot, above.spawned, root or above.root, sight.keep or above.keep)

    def _proofs(self, sight: Sight, key: Key) -> list[tuple[Claim, Evidence]]:
        """What proves the process itself to be of a run."""
        known = self._known
        claims: tuple[tuple[Claim | None, Evidence], ...] = (
            (known.recorded.get(key), "record"),
            (None if sight.mark is None else known.claims.get(sight.mark), "cookie"),
            (known.members.get(sight.pid), "cgroup"),
            (known.seen.get(key), "seen"),
        )
        return [(claim, kind) for claim, kind in claims if claim is not None]
