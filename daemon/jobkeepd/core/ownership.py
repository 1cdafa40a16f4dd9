"""Whose a process is: evidence in, one finding out. Pure.

Strong evidence proves that a process is of a run: it is beneath that run's live slot, has its cookie, is its leader on
record, was seen beneath it before, is in its slot's control group, or descends from such a one. A name, and having lost
its parent, are weak: only together, with our uid, and for some time do they make an orphan, and only of a family that
is configured. Whatever protects a process beats all that speaks for its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from jobkeepd.core.families import Family, Pattern
from jobkeepd.core.sight import OLD_ENOUGH, Evidence, Known, Sight
from jobkeepd.core.standing import Standing, Standings
from jobkeepd.core.wording import occupied

Verdict = Literal["owned", "orphan", "foreign", "unverifiable"]
Fate = Literal["protect", "end", "leave"]
Role = Literal["daemon", "spawner", "slot"]

_ADOPTERS: Final = ("systemd",)  # besides process 1, to whom orphans fall


class Finding(Struct, frozen=True, gc=False):
    """`reason` says why, for people."""

    sight: Sight
    verdict: Verdict
    fate: Fate
    reason: str
    evidence: tuple[Evidence, ...] = ()
    run: str | None = None
    family: str | None = None
    role: Role | None = None


class Ownership:
    """Judges the processes of one look, one by one."""

    def __init__(self, sights: Mapping[int, Sight], known: Known) -> None:
        self._sights = sights
        self._known = known
        self._standings = Standings(sights, known)
        self._above_us = {sight.pid for sight in self.lineage(known.daemon)}

    def judge(self, pid: int) -> Finding:
        sight, standing = self._sights[pid], self._standings.of(pid)
        matched = self._known.families.of(sight.names, sight.command)
        found = self._ours(sight) or self._protected(sight, standing) or self._left_behind(sight, standing)
        if found is None:
            return self._relative(sight, standing, matched)
        return found if matched is None else replace(found, family=matched[0].name)

    def lineage(self, pid: int) -> Iterator[Sight]:
        """A process and those above it."""
        return self._standings.lineage(pid)

    def driver_of(self, sight: Sight) -> Sight | None:
        """The nearest process above it that is of the family its own is children of."""
        matched = self._known.families.of(sight.names, sight.command)
        driver = None if matched is None else self._known.families.named(matched[0].child_of)
        if driver is None:
            return None
        above = list(self.lineage(sight.pid))[1:]
        return next((each for each in above if driver.matched_by(each.names, each.command)), None)

    def is_orphaned(self, sight: Sight) -> bool:
        """Whether its parent is one to whom orphans fall."""
        above = self._sights.get(sight.parent)
        return sight.parent <= 1 or (above is not None and any(name in _ADOPTERS for name in above.names))

    # -- what must not be touched ------------------------------------------------------------------------------------

    def _ours(self, sight: Sight) -> Finding | None:
        pid, known = sight.pid, self._known
        if pid == known.daemon or pid in known.spawners:
            role: Role = "daemon" if pid == known.daemon else "spawner"
            return Finding(sight, "owned", "protect", f"it is the {role}", ("record",), role=role)
        if pid in known.slots:
            return Finding(sight, "owned", "protect", "it is a slot", ("record",), known.slots[pid], role="slot")
        if pid in self._above_us or pid <= 1:
            why = "it is process 1" if pid <= 1 else "the daemon descends from it"
            return Finding(sight, "foreign", "protect", why)
        return None

    def _protected(self, sight: Sight, standing: Standing) -> Finding | None:
        """By a session in use, a live slot, or a run that has not ended."""
        live = next((claim.run for claim, _ in standing.proofs if claim.live), None)
        run = live if standing.slot is None else self._known.slots[standing.slot] or live
        if standing.root is not None:
            return Finding(sight, "owned", "protect", f"it is of {standing.root}", ("session",), run)
        if standing.slot is not None:
            return Finding(sight, "owned", "protect", occupied(run), ("slot", *standing.kinds(run)), run)
        if live is not None:
            return Finding(sight, "owned", "protect", occupied(live), standing.kinds(live), live)
        return None

    # -- what nobody owns --------------------------------------------------------------------------------------------

    def _left_behind(self, sight: Sight, standing: Standing) -> Finding | None:
        """Proven to be of a run that has ended."""
        if not standing.proofs:
            return None
        run = standing.proofs[0][0].run
        spared = self._spared(sight, standing)
        fate: Fate = "end" if spared is None else "leave"
        return Finding(sight, "orphan", fate, spared or f"run {run} has ended", standing.kinds(run), run)

    def _spared(self, sight: Sight, standing: Standing) -> str | None:
        """Why an orphan is left alone all the same."""
        if standing.keep:
            return "it wants to stay (JOBKEEP_KEEP)"
        if sight.uid != self._known.uid:
            return "it runs as another user"
        if self._known.now - sight.born < OLD_ENOUGH:
            return "it has only just begun"
        return None

    def _relative(self, sight: Sight, standing: Standing, matched: tuple[Family, Pattern] | None) -> Finding:
        """Nothing proves it ours: what its name, and where it stands, say."""
        if standing.spawned:
            return Finding(sight, "owned", "leave", "a slot has left it behind: its spawner sees to it", ("descent",))
        if matched is not None:
            found = self._member(sight, standing, *matched)
            return replace(found, family=matched[0].name)
        if sight.mark is not None:
            return Finding(sight, "unverifiable", "leave", "its cookie is of no run on record")
        if not sight.readable and sight.uid == self._known.uid:
            return Finding(sight, "unverifiable", "leave", "the kernel does not show its environment")
        return Finding(sight, "foreign", "leave", "nothing says that it is ours")

    def _member(self, sight: Sight, standing: Standing, family: Family, pattern: Pattern) -> Finding:
        named: Evidence = "arguments" if pattern.by_arguments else "name"
        driver = self.driver_of(sight)
        lost = self._lost(sight if driver is None else driver)
        if driver is not None and lost is not None:
            return Finding(sight, "foreign", "leave", f"its driver, process {driver.pid}, {lost}", (named, "driver"))
        if lost is not None:
            return Finding(sight, "foreign", "leave", f"its name alone proves nothing: it {lost}", (named,))
        if driver is None and not (
            family.child_of is None or pattern.by_arguments or sight.key in self._known.driven
        ):
            return Finding(sight, "foreign", "leave", f"nobody has seen its {family.child_of}", (named, "orphaned"))
        spared = self._spared(sight, standing)
        why = f"its driver, process {driver.pid}, is an orphan" if driver is not None else "it has lost its parent"
        kinds: tuple[Evidence, ...] = (named, "driver" if driver is not None else "orphaned", "uid")
        return Finding(sight, "orphan", "end" if spared is None else "leave", spared or why, kinds)

    def _lost(self, sight: Sight) -> str | None:
        """None for one that has been an orphan for long enough; else what it is instead."""
        known = self._known
        if not self.is_orphaned(sight):
            return f"belongs to process {sight.parent}"
        if sight.uid != known.uid:
            return "runs as another user"
        if is_service(sight.cgroup) and sight.cgroup != known.cgroup:
            return f"is of another service ({sight.cgroup})"
        since = max(sight.born, known.parented.get(sight.key, 0.0))
        if known.now - since < known.orphaned_for:
            return f"has been an orphan for {max(known.now - since, 0.0):.0f} s only"
        return None


def is_service(cgroup: str) -> bool:
    """Of systemd, which starts services itself: what has process 1 for a parent there is no orphan."""
    last = cgroup.rstrip("/").rpartition("/")[2]
    return last.endswith(".service") or (last.startswith("app-") and last.endswith(".scope"))
