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

_PAUSE = 0.01  # between two passes of killing


class Fallen:
    """A slot whose shim is gone, until its tree is."""

    def __init__(self, run: str | None, leader: int, grace: float) -> None:
        self.run = run
        self.leader = leader  # 0: ended, or never started
        self.session = leader  # the number stays taken as long as the session has a member
        self._grace = grace
        self.deadline = None if leader else time.monotonic() + grace

    def leader_ended(self) -> None:
        self.leader = 0
        if self.deadline is None:
            self.deadline = time.monotonic() + self._grace


class Ring:
    """Everything under the spawner that is not a shim."""

    def __init__(self, runtime: str) -> None:
        self._runtime = runtime
        self._fallen: dict[str, Fallen] = {}
        self._owners: dict[int, set[str]] = {}  # child -> slots it may belong to
        self._warned: set[int] = set()
        self._thrown_open: dict[str, list[int]] = {}  # the ways of the fallen: a child may still be on them

    def __len__(self) -> int:
        return len(self._fallen)

    def state(self, slot: str) -> str:
        """unknown (also: all over), running, or exited."""
        fallen = self._fallen.get(slot)
        return "unknown" if fallen is None else "running" if fallen.leader else "exited"

    def signal(self, slot: str, number: int) -> bool:
        """False if the slot is not here."""
        fallen = self._fallen.get(slot)
        if fallen is not None and fallen.leader:
            tree.signal_group(fallen.leader, number)
        return fallen is not None

    def end(self, slot: str) -> bool:
        """Kill the leader now, and what is left at the next pass."""
        fallen = self._fallen.get(slot)
        if fallen is not None:
            fallen.deadline = 0.0
            if fallen.leader:
                tree.kill([fallen.leader])
        return fallen is not None

    def timeout(self) -> float | None:
        """Seconds until the next `sweep` is due, if one is."""
        dates = [fallen.deadline for fallen in self._fallen.values() if not fallen.leader]
        due = min((date for date in dates if date is not None), default=None)
        return None if due is None else max(_PAUSE, due - time.monotonic())

    def take_over(self, slot: str, ended: dict[int, Any]) -> None:
        """The shim of `slot` is dead. `ended` are the children reaped in the same pass: the leader may be one."""
        self._thrown_open[slot] = record.throw_open(self._runtime, slot)
        mine = set(tree.children()) | set(ended)
        self._fallen[slot] = Fallen(None, 0, 0.0)
        for run, begun in _undrained(self._runtime, slot):
            _, pid, ticks, _ = begun["leader"]
            is_here = pid in mine and (pid in ended or record.start_ticks(pid) == ticks)
            self._fallen[slot] = Fallen(run, pid if is_here else 0, begun["grace"])

    def reaped(self, pid: int, status: int, usage: Any) -> None:
        """A child that is no shim has ended; if it led a run, its exit goes on record."""
        self._owners.pop(pid, None)
        self._warned.discard(pid)
        for fallen in self._fallen.values():
            if fallen.leader == pid:
                fallen.leader_ended()
                self._record(fallen.run, {
                    "op": "exit", "run": fallen.run, "status": status, "ended_at": time.time(),
                    "usage": [usage.ru_utime, usage.ru_stime, usage.ru_maxrss], "writer": "spawner",
                })  # fmt: skip

    def sweep(self, children: set[int]) -> None:
        """End what belongs to ended runs only, and let go of slots of which nothing is left."""
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
        sessions = {fallen.session: slot for slot, fallen in self._fallen.items() if fallen.session}
        for pid in children - self._owners.keys():
            owner = sessions.get(os.getsid(pid))
            self._owners[pid] = {owner} if owner else set(self._fallen)

    def _let_go(self, slot: str) -> None:
        fallen = self._fallen.pop(slot)
        self._record(fallen.run, {"op": "drained", "run": fallen.run})
        record.remove_slot(self._runtime, slot)
        for fd in self._thrown_open.pop(slot):
            os.close(fd)

    def close(self) -> None:
        """In the fork that becomes a slot."""
        for opened in self._thrown_open.values():
            for fd in opened:
                os.close(fd)

    def _record(self, run: str | None, message: dict[str, Any]) -> None:
        if run is not None:
            try:
                record.append(self._runtime, run, record.encode(message))
            except OSError as error:
                os.write(2, f"no {message['op']} on record of run {run}: {error}\n".encode())


def _undrained(runtime: str, slot: str) -> list[tuple[str, dict[str, Any]]]:
    """The runs this slot began that are not known to be over: one at most, since it takes one at a time."""
    found = []
    for name in os.listdir(f"{runtime}/runs"):
        run, _, kind = name.rpartition(".")
        if kind == record.RUN:
            begun = record.read(runtime, run, record.LEADER)
            if begun is not None and begun["slot"] == slot and not record.is_drained(runtime, run):
                found.append((run, begun))
    return found
