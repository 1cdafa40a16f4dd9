"""What is left of a run once its leader has ended: warned once, then killed until nothing is left.

Who wants to stay, and says so in its environment, is spared: the slot keeps it, and takes no other run.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobkeepd.spawner import record, tree
else:
    import record
    import tree

TOLD = 32  # of those that were signalled, so many are named; the others are counted
REPORT_AFTER = 5.0  # seconds after the first kill
_AGAIN = 0.02  # seconds until a second look proves that only keepers are left


class Leftovers:
    """Of one run. `killing` is set from the first kill on."""

    def __init__(self) -> None:
        self.killing = False
        self.pause: float | None = None  # seconds until the next look, if one is called for
        self._warned: set[int] = set()  # unreaped children that got TERM
        self._backoff = 0.0
        self._quiet = 0  # looks in a row that found keepers alone, and between which nobody ended
        self._signalled = Signalled()
        self._killed_at = 0.0
        self._reported = False

    @property
    def kept(self) -> bool:
        """Whether keepers alone are left. The list of children is exact as long as none of them ends."""
        return self._quiet >= 2

    def warn(self) -> None:
        """TERM for all that have not had it yet."""
        fresh = set(self._look(0)) - self._warned
        self._warned |= fresh
        self._signalled.note(fresh, 15)
        tree.terminate(fresh)

    def kill(self, leader: int) -> None:
        """One pass. Deaths wake the loop before the next one, that only covers orphans that come silently."""
        self.killing = True
        pids = self._look(leader)
        self._signalled.note((pid for pid in pids if pid != leader), 9)
        if leader:
            self._signalled.watch(leader)
        tree.kill(pids)
        self._backoff = min(self._backoff * 2 + 0.001, 0.5)
        self.pause = _AGAIN if self._quiet else self._backoff

    def _look(self, leader: int) -> list[int]:
        """The children that do not stay."""
        children = tree.children()
        leaving = [pid for pid in children if pid == leader or not tree.keeps(pid)]
        self._quiet = self._quiet + 1 if children and not leaving else 0
        self.pause = _AGAIN if self._quiet else None
        return leaving

    def reaped(self, pid: int) -> None:
        self._backoff = 0.0
        self._quiet = 0
        self._warned.discard(pid)
        self._signalled.ended(pid)

    def survivors(self, run: str) -> bytes:
        """Once, some time after the first kill: whom even that has not ended, which is for people to look at."""
        now = time.monotonic()
        self._killed_at = self._killed_at or now
        if self._reported or now - self._killed_at < REPORT_AFTER:
            return b""
        self._reported = True
        living = [[*known[:4], tree.state_of(known[0])] for known in self._signalled.living()]
        return record.encode({"op": "survivors", "run": run, "told": living[:TOLD]})

    def told(self) -> bytes:
        """What is added to the line that says that nothing is left."""
        fields = self._signalled.fields()
        return b"," + record.encode(fields)[1:-2] if fields else b""


class Signalled:
    """Who got which signals: for the record, since a signal leaves no other trace."""

    def __init__(self) -> None:
        self._count = 0
        self._told: list[list[Any]] = []  # pid, start ticks, inode of a pidfd, name, signals
        self._living: dict[int, list[Any]] = {}

    def note(self, pids: Any, number: int) -> None:
        for pid in pids:
            known = self._living.get(pid)
            if known is None:
                self._count += 1
                known = self._living[pid] = []
                if len(self._told) < TOLD and _identify(pid, known):
                    self._told.append(known)
            if known and number not in known[4]:
                known[4].append(number)

    def watch(self, pid: int) -> None:
        """Somebody else has put its signal on record."""
        if pid not in self._living:
            self._living[pid] = []
            _identify(pid, self._living[pid])

    def living(self) -> list[list[Any]]:
        return [known for known in self._living.values() if known]

    def ended(self, pid: int) -> None:
        self._living.pop(pid, None)

    def fields(self) -> dict[str, Any]:
        """What is added to the message that nothing is left."""
        return {"left": {"count": self._count, "told": self._told}} if self._count else {}


def _identify(pid: int, known: list[Any]) -> bool:
    """A child that is not reaped yet keeps its pid, whatever it does."""
    try:
        known += [pid, record.start_ticks(pid), record.pidfd_inode(pid), tree.name_of(pid), []]
    except (OSError, ValueError):
        return False
    return True
