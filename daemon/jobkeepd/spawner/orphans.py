"""The second ring: what a killed shim left behind, seen by the spawner that inherits it.

The leader goes on under the spawner, which waits for it and records its exit; then the rest of the slot's tree is
ended. Whose an orphan is can be ambiguous when several shims were killed: such an orphan is spared until every run
it may belong to has ended.

The list of direct children is exact here: entries leave it only when this single-threaded process reaps, and a tree
that still lives has at least one member in it.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobkeepd.spawner import record, tree
else:
    import record
    import tree

_GRACE = 5.0  # the order's own grace went down with the shim
_PAUSE = 0.01  # between two passes of killing


class Fallen:
    """A slot whose shim is gone, until its tree is."""

    def __init__(self, run: str | None, leader: int) -> None:
        self.run = run
        self.leader = leader  # 0: ended, or never started
        self.deadline = time.monotonic() + _GRACE if not leader else None

    def leader_ended(self) -> None:
        self.leader = 0
        if self.deadline is None:
            self.deadline = time.monotonic() + _GRACE


class Ring:
    """Everything under the spawner that is not a shim."""

    def __init__(self, runtime: str) -> None:
        self._runtime = runtime
        self._fallen: dict[str, Fallen] = {}
        self._owners: dict[int, set[str]] = {}  # child -> slots it may belong to
        self._warned: set[int] = set()

    def __len__(self) -> int:
        return len(self._fallen)

    def state(self, slot: str) -> str:
        """unknown (also: all over), running, or exited."""
        fallen = self._fallen.get(slot)
        return "unknown" if fallen is None else "running" if fallen.leader else "exited"

    def signal(self, slot: str, number: int) -> None:
        fallen = self._fallen.get(slot)
        if fallen is not None and fallen.leader:
            tree.signal_group(fallen.leader, number)

    def end(self, slot: str) -> None:
        """Kill the leader now, and what is left at the next pass."""
        fallen = self._fallen.get(slot)
        if fallen is not None:
            fallen.deadline = 0.0
            if fallen.leader:
                tree.kill([fallen.leader])

    def timeout(self) -> float | None:
        """Seconds until the next `sweep` is due, if one is."""
        dates = [fallen.deadline for fallen in self._fallen.values() if not fallen.leader]
        due = min((date for date in dates if date is not None), default=None)
        return None if due is None else max(_PAUSE, due - time.monotonic())

    def take_over(self, slot: str, ended: dict[int, Any]) -> None:
        """The shim of `slot` is dead. `ended` are the children reaped in the same pass: the leader may be one."""
        mine = set(tree.children()) | set(ended)
        for run, pid, ticks in _leaders(self._runtime, slot):
            if pid in mine and (pid in ended or record.start_ticks(pid) == ticks):
                self._fallen[slot] = Fallen(run, pid)
                return
        self._fallen[slot] = Fallen(_undrained(self._runtime, slot), 0)

    def reaped(self, pid: int, status: int, usage: Any) -> None:
        """A child that is no shim has ended; if it led a run, its exit goes on record."""
        self._owners.pop(pid, None)
        self._warned.discard(pid)
        for fallen in self._fallen.values():
            if fallen.leader == pid:
                fallen.leader_ended()
                self._record(fallen.run, record.EXIT, {
                    "op": "exit", "run": fallen.run, "status": status, "ended_at": time.time(),
                    "usage": [usage.ru_utime, usage.ru_stime, usage.ru_maxrss], "writer": "spawner",
                })  # fmt: skip

    def sweep(self, shims: dict[int, str]) -> None:
        """End what belongs to ended runs only, and let go of slots of which nothing is left."""
        if not self._fallen:
            return
        children = set(tree.children()) - shims.keys()
        self._assign(children)
        now = time.monotonic()
        over = {slot for slot, fallen in self._fallen.items() if not fallen.leader}
        late = {slot for slot in over if now >= (self._fallen[slot].deadline or 0.0)}
        theirs = {pid for pid in children if self._owners[pid] <= over}
        tree.terminate(theirs - self._warned)
        self._warned |= theirs
        tree.kill(pid for pid in theirs if self._owners[pid] <= late)
        for slot in over - set().union(*(self._owners[pid] for pid in children)):
            self._let_go(slot)

    def _assign(self, children: set[int]) -> None:
        leaders = {fallen.leader: slot for slot, fallen in self._fallen.items() if fallen.leader}
        for pid in children - self._owners.keys():
            owner = leaders.get(pid) or leaders.get(os.getsid(pid))
            self._owners[pid] = {owner} if owner else set(self._fallen)

    def _let_go(self, slot: str) -> None:
        fallen = self._fallen.pop(slot)
        self._record(fallen.run, record.DRAINED, {"op": "drained", "run": fallen.run})
        for path in (record.slot_socket(self._runtime, slot), record.slot_lock(self._runtime, slot)):
            if os.path.lexists(path):
                os.unlink(path)

    def _record(self, run: str | None, kind: str, message: dict[str, Any]) -> None:
        if run is not None:
            try:
                record.write_first(self._runtime, run, kind, record.encode(message))
            except OSError as error:
                os.write(2, f"no {kind} record of run {run}: {error}\n".encode())


def _leaders(runtime: str, slot: str) -> list[tuple[str, int, int]]:
    """The leaders this slot began, of whose drained state nothing is on record."""
    found = []
    for name in os.listdir(f"{runtime}/runs"):
        run, _, kind = name.rpartition(".")
        if kind == record.LEADER:
            begun = record.read(runtime, run, record.LEADER)
            if begun is not None and begun["slot"] == slot and not record.is_drained(runtime, run):
                found.append((run, int(begun["leader"][1]), int(begun["leader"][2])))
    return found


def _undrained(runtime: str, slot: str) -> str | None:
    return next((run for run, _, _ in _leaders(runtime, slot)), None)
