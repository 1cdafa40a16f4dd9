"""Which processes live, by what the kernel says of them: the demo's own check, which asks nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Seen(NamedTuple):
    """A process that was there: its number alone proves nothing later, with its start it does."""

    who: str
    pid: int
    start_ticks: int


def look(log: Path) -> list[Seen]:
    """The processes that a log names, one `WHO… PID` per line, of those that live now."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    named = [(who, int(pid)) for who, _, pid in (line.rpartition(" ") for line in lines)]
    return [Seen(who, pid, ticks) for who, pid in named if (ticks := start_ticks(pid)) is not None]


def alive(seen: Seen) -> bool:
    """That very process lives."""
    return start_ticks(seen.pid) == seen.start_ticks


def start_ticks(pid: int) -> int | None:
    """When the process of this number was started; None if there is none that lives."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
