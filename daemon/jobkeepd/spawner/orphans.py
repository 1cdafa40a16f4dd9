"""The second ring: what a killed shim left behind, seen by the spawner that inherits it.

The leader goes on under the spawner, which waits for it and records its exit; then the rest of the slot's tree is
ended. Whose an orphan is can be ambiguous when several shims were killed: such an orphan is spared until every run
it may belong to has ended.

The list of direct children is exact here: entries leave it only when this single-threaded process reaps, and a tree
that still lives has at least one member in it. But a shim has two threads, and what it leaves behind falls to us as
its last one ends, a moment before its own death can be seen.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobkeepd.spawner import cgroup, leftovers, record, tree
else:
    import cgroup
    import leftovers
    import record
    import tree

_PAUSE = 0.01  # between two passes of killing
_REFUSED = "the command cannot be executed; its slot was killed before it could say why"
_UNCLAIMED_FOR = 10.0  # seconds; the death of a shim is seen at once, unless somebody traces it


class Fallen:
    """A slot whose shim is gone, until its tree is."""

    def __init__(self, run: str | None, leader: int, grace: float) -> None:
        self.run = run
        self.leader = leader  # 0: ended, or never started
        self.session = leader  # the number stays taken as long as the session has a member
        self._grace = grace
        self.deadline = None if leader else time.monotonic() + grace
        self.signalled = leftovers.Signalled()

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
        self._unclaimed: dict[int, tuple[float, dict[str, Any]]] = {}  # of children: date and end, oldest first
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

    def take_over(self, slot: str) -> None:
        """The shim of `slot` is dead."""
        self._thrown_open[slot] = record.throw_open(self._runtime, slot)
        mine = set(tree.children())
        self._fallen[slot] = Fallen(None, 0, 0.0)
        for run, begun in _undrained(self._runtime, slot):
            _, pid, ticks, _ = begun["leader"]
            is_here = pid in mine and record.start_ticks(pid) == ticks
            self._fallen[slot] = Fallen(run, pid if is_here else 0, begun["grace"])
            if not is_here and pid in self._unclaimed:  # the shim itself records an end before it reaps
                self._record(run, self._unclaimed.pop(pid)[1])

    def reaped(self, pid: int, status: int, usage: Any, ran: bool) -> None:
        """A child that is no shim has ended; if it led a run, its end goes on record.

        One that exec has refused exits by itself, with a status that could be a command's own: but nothing `ran`.
        """
        end: dict[str, Any] = {
            "op": "exit", "status": status, "ended_at": time.time(),
            "usage": [usage.ru_utime, usage.ru_stime, usage.ru_maxrss], "writer": "spawner",
        }  # fmt: skip
        if not ran and os.WIFEXITED(status):
            end = {"op": "failed", "failed": {"stage": "exec", "errno": None, "message": _REFUSED}}
        self._warned.discard(pid)
        led = [(slot, fallen) for slot, fallen in self._fallen.items() if fallen.leader == pid]
        for slot, fallen in led:
            fallen.leader_ended()
            oom_kills = cgroup.oom_kills(slot)
            self._record(fallen.run, {**end, "oom": oom_kills} if oom_kills else end)
        if self._owners.pop(pid, None) is None and not led:
            self._keep(pid, end)

    def _keep(self, pid: int, end: dict[str, Any]) -> None:
        """It may have led the run of a shim whose death is not seen yet."""
        now = time.monotonic()
        for old in [old for old, (date, _) in self._unclaimed.items() if date < now - _UNCLAIMED_FOR]:
            del self._unclaimed[old]
        self._unclaimed[pid] = (now, end)

    def sweep(self, children: set[int]) -> None:
        """End what belongs to ended runs only, and let go of slots of which nothing is left."""
        children = {pid for pid in children if not tree.keeps(pid)}  # who wants to stay is nobody's from now on
        self._assign(children)
        now = time.monotonic()
        over = {slot for slot, fallen in self._fallen.items() if not fallen.leader}
        late = {slot for slot in over if now >= (self._fallen[slot].deadline or 0.0)}
        theirs = {pid for pid in children if self._owners[pid] <= over}
        self._note(theirs - self._warned, 15)
        tree.terminate(theirs - self._warned)
        self._warned |= theirs
        overdue = {pid for pid in theirs if self._owners[pid] <= late}
        self._note(overdue, 9)
        tree.kill(overdue)
        for slot in over - set().union(*(self._owners[pid] for pid in children)):
            self._let_go(slot)

    def _assign(self, children: set[int]) -> None:
        sessions = {fallen.session: slot for slot, fallen in self._fallen.items() if fallen.session}
        for pid in children - self._owners.keys():
            owner = sessions.get(os.getsid(pid))
            self._owners[pid] = {owner} if owner else set(self._fallen)

    def _note(self, pids: set[int], number: int) -> None:
        for pid in pids:  # of several whose it may be, one has it on record
            self._fallen[min(self._owners[pid])].signalled.note((pid,), number)

    def _let_go(self, slot: str) -> None:
        fallen = self._fallen.pop(slot)
        self._record(fallen.run, {"op": "drained", **fallen.signalled.fields()})
        record.remove_slot(self._runtime, slot)
        cgroup.leave(slot)
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
                record.append(self._runtime, run, record.encode({"run": run, **message}))
            except FileNotFoundError:
                pass  # the daemon has no use for the run any more
            except OSError as error:
                os.write(2, f"no {message['op']} on record of run {run}: {error}\n".encode())


def collect() -> tuple[int, int, Any, bool] | None:
    """A child that has ended, for `reaped`: pid, raw wait status, usage, and whether it was a program of its own."""
    try:
        child = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    if child is None:
        return None
    ran = _has_run(child.si_pid)  # to be asked while it is still there
    return (*os.wait4(child.si_pid, 0), ran)


def _has_run(pid: int) -> bool:
    try:
        return record.came_to_exec(pid)
    except OSError:  # hidden from us, as another user's: so it has become one
        return True


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
