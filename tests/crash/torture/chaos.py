"""The killer: strikes proven processes of one home, one fault of the schedule after the other, and notes what died."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from crash.judges import Held, children_of, parent_of, variable_of
from crash.torture.household import Household
from crash.torture.notes import Notes
from crash.torture.plan import Fault, Target
from jobkeepd.spawner import record

APPEARS_WITHIN = 1.0  # seconds; a fault whose target is not there by then does not take place
DIES_WITHIN = 10.0


class Quarry(dict[str, Any]):
    """What is noted of a process that is struck."""


class Chaos:
    """Strikes, and counts only what has really died of it. `kills` is by the kind of process."""

    def __init__(self, household: Household, notes: Notes) -> None:
        self._household = household
        self._home = household.home
        self._notes = notes
        self.kills: Counter[str] = Counter()
        self.together: Counter[str] = Counter()  # kills by what was struck at once
        self.missed: Counter[str] = Counter()

    def strike(self, fault: Fault) -> None:
        """Carry out one fault; the daemon is away or back after it, as the fault says."""
        if fault.deed == "stop_daemon":
            self._stop("daemon", fault)
        elif fault.deed == "stop_shim":
            self._stop("shim", fault)
        else:
            self._kill(fault)

    def _kill(self, fault: Fault) -> None:
        with ExitStack() as stack:
            struck = []
            for target in fault.targets:
                found = self._find(target, fault.choice)
                if found is None:
                    self.missed["+".join(fault.targets)] += 1
                    return
                struck.append((target, stack.enter_context(found[0]), found[1]))
            at = time.time()
            sent = [held.send(signal.SIGKILL) for _, held, _ in struck]
            if "daemon" in fault.targets:
                self._household.daemon_was_struck(fault.absence)
            died = [was_there and _died_of_it(held) for was_there, (_, held, _) in zip(sent, struck, strict=True)]
            for happened, (target, held, quarry) in zip(died, struck, strict=True):
                if happened:
                    self.kills[target] += 1
                    self._notes.add(note="killed", target=target, pid=held.pid, struck_at=at, **quarry)
            if all(died):
                self.together["+".join(fault.targets)] += 1
            else:
                self.missed["+".join(fault.targets)] += 1

    def _stop(self, target: Target, fault: Fault) -> None:
        """SIGSTOP for a while. With a shim the daemon is killed, too: the next one will not wait for its answer."""
        found = self._find(target, fault.choice)
        if found is None:
            self.missed[f"stop {target}"] += 1
            return
        held, quarry = found
        with held:
            if not held.send(signal.SIGSTOP):
                return
            at = time.time()
            if target == "shim":
                self._kill(fault._replace(targets=("daemon",), absence=0.0))
                self._household.wait(0.0, early=True)
            ended = held.ended_within(fault.length)
            held.send(signal.SIGCONT)
            self.together[f"stop {target}"] += 1
            if ended or (target == "shim" and held.ended_within(5.0)):
                self._notes.add(note="killed", target=target, pid=held.pid, struck_at=at, **quarry)

    # -- who is who -------------------------------------------------------------------------------------------------

    def _find(self, target: Target, choice: float) -> tuple[Held, Quarry] | None:
        deadline = time.monotonic() + APPEARS_WITHIN
        search: Callable[[], Iterator[tuple[int, Quarry]]] = getattr(self, f"_{target}s")
        while True:
            candidates = list(search())
            if candidates:
                pid, quarry = candidates[int(choice * len(candidates))]
                held = Held.take(pid, self._home)
                if held is not None:
                    return held, quarry
            if time.monotonic() > deadline:
                return None
            time.sleep(0.005)

    def _daemons(self) -> Iterator[tuple[int, Quarry]]:
        pid = self._household.daemon_pid
        if pid is not None:
            yield pid, Quarry()

    def _clients(self) -> Iterator[tuple[int, Quarry]]:
        for pid in self._household.client_pids:
            yield pid, Quarry()

    def _spawners(self) -> Iterator[tuple[int, Quarry]]:
        pid = record.lock_holder(record.spawner_lock(str(self._home / "run")))
        if pid is not None:
            yield pid, Quarry()

    def _shims(self) -> Iterator[tuple[int, Quarry]]:
        """Busy ones, if there are any."""
        shims = list(shims_of(self._home))
        busy = [(slot, pid) for slot, pid in shims if children_of(pid)]
        spawner = next(self._spawners(), (None, Quarry()))[0]
        for slot, pid in busy or shims:
            try:
                above = {parent_of(pid), parent_of(parent_of(pid))}  # a warden may be in between
            except OSError:
                continue
            yield pid, Quarry(slot=slot, spawner=spawner if spawner in above else None)

    def _wardens(self) -> Iterator[tuple[int, Quarry]]:
        """Those whose shim still does the work: later they are shims themselves."""
        for shim, quarry in self._shims():
            try:
                above = parent_of(shim)
            except OSError:
                continue
            if quarry["spawner"] is not None and above != quarry["spawner"]:
                yield above, quarry

    def _zygotes(self) -> Iterator[tuple[int, Quarry]]:
        """The fork of the spawner that is no slot: it is in the spawner's own session."""
        for spawner, _ in self._spawners():
            for pid in children_of(spawner):
                with suppress(OSError):
                    if os.getsid(pid) == os.getsid(spawner):
                        yield pid, Quarry()

    def _workers(self) -> Iterator[tuple[int, Quarry]]:
        return (leader for leader in self._leaders() if leader[1]["worker"])

    def _commands(self) -> Iterator[tuple[int, Quarry]]:
        return (leader for leader in self._leaders() if not leader[1]["worker"])

    def _leaders(self) -> Iterator[tuple[int, Quarry]]:
        """What runs right under a shim."""
        for slot, shim in shims_of(self._home):
            for pid in children_of(shim):
                job = variable_of(pid, "JOBKEEP_JOB")
                if job is not None or variable_of(pid, "JOBKEEP_SEAT") is not None:
                    yield pid, Quarry(slot=slot, worker=job is None)


def shims_of(home: Path) -> Iterator[tuple[str, int]]:
    """(slot, pid of its living shim), as the kernel tells who holds its lock."""
    try:
        names = sorted(name for name in os.listdir(home / "run" / "slots") if name.endswith(".lock"))
    except FileNotFoundError:
        return
    for name in names:
        pid = record.lock_holder(str(home / "run" / "slots" / name))
        if pid is not None:
            yield name.removesuffix(".lock"), pid


def _died_of_it(held: Held) -> bool:
    """A process that ended by itself right before is no fault that has happened."""
    if not held.ended_within(DIES_WITHIN):
        return False
    status = held.status()
    return status is None or status == signal.SIGKILL
