"""Stories drawn from a seed, in virtual time: the real supervisor and seats on a host where anything may happen."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobkeepd.core import lease
from jobkeepd.core.ending import Gone
from jobkeepd.failures import leaves
from jobkeepd.runner.worker_seat import WorkerSeat
from jobkeepd.store import lock_steps, run_steps, steps
from jobkeepd.supervisor.lane import Lane
from simulation.judge import Violation
from simulation.world import play

TESTS = Path(__file__).resolve().parents[1]
SHORT, LONG = 50, 2000
FIRST = int(os.environ.get("JOBKEEP_FIRST_SEED", "1"))
# What has to happen in any fifty stories: a fault that never strikes proves nothing.
FAULTS = (
    "recovered adopt", "recovered record_exit", "recovered record_result", "recovered requeue", "recovered rebooted",
    "ended lost", "ended interrupted", "fenced", "stalled", "retry", "resumed", "restart_requested", "drain_started",
    "blocked", "unblocked", "lock_reset", "lock_acquired",
)  # fmt: skip


def tell(count: int, timeout: float) -> str:
    """Play so many stories in two processes; what they say. Sets are iterated as by a fixed seed of hashes."""
    middle, last = FIRST + count // 2, FIRST + count
    teller = [sys.executable, "-m", "simulation"]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    telling = [
        subprocess.Popen(
            [*teller, f"{first}:{end}"], cwd=TESTS, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for first, end in ((FIRST, middle), (middle, last))
    ]  # fmt: skip
    said = "".join(each.communicate(timeout=timeout)[0] for each in telling)
    print(said)
    assert [each.returncode for each in telling] == [0, 0], said[-4000:]
    return said


def test_no_story_of_fifty_breaks_a_rule() -> None:
    """And all the faults have really happened in them."""
    said = tell(SHORT, timeout=500)
    missing = [fault for fault in FAULTS if not re.search(rf"'{fault}': [1-9]", said)]
    assert missing == []


@pytest.mark.long
def test_no_story_of_thousands_breaks_a_rule() -> None:
    """JOBKEEP_FIRST_SEED chooses others."""
    tell(LONG, timeout=7200)


def test_a_seed_tells_the_same_story_again() -> None:
    """Entry by entry: so a failing one can be looked into."""
    first, second = play(3), play(3)
    assert len(first.trace) > 100
    assert first == second
    assert first.trace != play(4).trace


def pass_no_lock_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_steps, "pass_on", lambda *_: None)


def free_the_lock_of_a_fenced_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def fence_run(change: Any, ledger: Any) -> Any:
        fenced = run_steps.fence_run(change, ledger)
        if fenced.spec.lock is not None:
            ledger.put_lock(lease.let_go(ledger.lock(fenced.spec.lock)))
            lock_steps.pass_on(fenced.spec.lock, ledger, change.at)
        return fenced

    monkeypatch.setitem(steps._STEPS, run_steps.FenceRun, fence_run)  # type: ignore[arg-type]


def end_a_fenced_run_before_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    fence = WorkerSeat.fence

    def too_early(self: WorkerSeat, run: Any) -> bool:
        is_fenced = fence(self, run)
        if is_fenced:
            self.currents[run.id].ended.set(Gone(0.0))
            self._broken = False
        return is_fenced

    monkeypatch.setattr(WorkerSeat, "fence", too_early)


def start_one_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    running = property(lambda self: max(0, len(self._places) + len(self._pending) - 1))
    monkeypatch.setattr(Lane, "running", running)


@pytest.mark.parametrize(
    "mistake",
    [pass_no_lock_on, free_the_lock_of_a_fenced_run, end_a_fenced_run_before_its_process, start_one_too_many],
)
def test_a_mistake_would_be_noticed(
    mistake: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The judge is judged: with a rule broken on purpose, stories fail."""
    mistake(monkeypatch)
    with pytest.raises((Violation, ExceptionGroup)) as told:  # noqa: PT012 - whichever story it is
        for seed in range(1, 40):
            play(seed)
    assert {type(each) for each in leaves(told.value)} == {Violation}
