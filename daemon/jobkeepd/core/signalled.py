"""What is put on record of a signal that was sent: to whom, by which evidence, why and for whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from msgspec import Struct

from jobkeepd.core.model import Identity, Peer
from jobkeepd.core.ownership import Finding

NAMES = {1: "SIGHUP", 2: "SIGINT", 9: "SIGKILL", 15: "SIGTERM", 18: "SIGCONT", 19: "SIGSTOP"}


class Survived(Struct, frozen=True):
    """Processes that SIGKILL has not ended for a while: in the kernel's hands, and for people to look at."""

    processes: Sequence[Mapping[str, Any]]
    job: str | None = None
    run: int | None = None
    by: Peer | None = None

    kind: ClassVar[str] = "survived"

    @property
    def data(self) -> dict[str, Any]:
        return {"processes": list(self.processes)}


class Signalled(Struct, frozen=True):
    """`scope`: only that process, its group, or everything beneath it (or its slot)."""

    who: Identity
    numbers: tuple[int, ...]
    reason: str
    evidence: Sequence[str]
    command: str = ""
    scope: str = "process"
    job: str | None = None
    run: int | None = None
    by: Peer | None = None
    more: dict[str, Any] = {}

    kind: ClassVar[str] = "signalled"

    @property
    def data(self) -> dict[str, Any]:
        """As the journal has it."""
        who = self.who
        return {
            "signal": ",".join(NAMES.get(number, str(number)) for number in self.numbers),
            "pid": who.pid,
            "boot_id": who.boot_id,
            "start_ticks": who.start_ticks,
            "pidfd_inode": who.pidfd_inode,
            "scope": self.scope,
            "command": self.command[:COMMAND_KEPT],
            "evidence": list(self.evidence),
            "reason": self.reason,
            **self.more,
        }


COMMAND_KEPT = 256


def of_finding(
    finding: Finding, who: Identity, numbers: tuple[int, ...], reason: str, cause: str, by: Peer | None
) -> Signalled:
    """Of a process that was found by a look at all of them."""
    job, run = run_of(finding.run)
    more = {"cause": cause} if finding.family is None else {"cause": cause, "family": finding.family}
    return Signalled(
        who, numbers, reason, finding.evidence, finding.sight.command, job=job, run=run, by=by, more=more
    )


def left_behind(left: Mapping[str, Any], boot_id: str, job: str | None, run: int | None) -> list[Signalled]:
    """What a slot or the spawner says of those that it has signalled once the leader had ended (spawner/leftovers.py):
    its unreaped children, which cannot be anybody else.
    """
    found = []
    told = left.get("told", [])
    others = int(left.get("count", 0)) - len(told)
    for pid, ticks, inode, name, numbers in told:
        more = {"others": others} if others > 0 and pid == told[-1][0] else {}
        who, why = Identity(boot_id, pid, ticks, inode), "its run has ended, and has left it behind"
        found.append(Signalled(who, tuple(numbers), why, ("slot",), name, job=job, run=run, more=more))
    return found


def survivors(told: Sequence[Sequence[Any]], job: str | None, run: int | None) -> Survived:
    """As a slot tells of them."""
    names = ("pid", "start_ticks", "pidfd_inode", "command", "state")
    return Survived([dict(zip(names, each, strict=False)) for each in told], job, run)


def run_of(name: str | None) -> tuple[str | None, int | None]:
    """Job and number of a run's name; a worker's has none."""
    job, _, number = (name or "").rpartition(".")
    return (job, int(number)) if job and number.isdigit() else (None, None)
