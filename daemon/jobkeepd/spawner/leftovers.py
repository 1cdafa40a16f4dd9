"""What is left of a run once its leader has ended: warned once, then killed until nothing is left."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobkeepd.spawner import tree
else:
    import tree


class Leftovers:
    """Of one run. `killing` is set from the first kill on."""

    def __init__(self) -> None:
        self.killing = False
        self._warned: set[int] = set()  # unreaped children that got TERM
        self._pause = 0.0  # seconds before the next pass of killing

    def warn(self) -> None:
        """TERM for all that have not had it yet."""
        fresh = set(tree.children()) - self._warned
        self._warned |= fresh
        tree.terminate(fresh)

    def kill(self) -> float:
        """One pass; when to make the next. Deaths wake the loop before, this only covers orphans that come silently."""
        self.killing = True
        tree.kill(tree.children())
        self._pause = min(self._pause * 2 + 0.001, 0.5)
        return self._pause

    def reaped(self, pid: int) -> None:
        self._pause = 0.0
        self._warned.discard(pid)
