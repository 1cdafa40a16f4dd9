"""One campaign: load and faults by one seed, an end to the faults, and the verdict."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jobkeep
from crash.torture.chaos import Chaos
from crash.torture.evidence import Evidence
from crash.torture.gathering import Gathering
from crash.torture.household import Household
from crash.torture.notes import Notes
from crash.torture.plan import faults
from crash.torture.verdict import violations

SOON = 10.0  # seconds from the last fault until no job may be in a passing state
PATIENCE = 90.0  # … and until all have ended
ORPHANS_FOR = 15.0  # seconds: grace, and five more, on a busy host
SILENCE_AFTER = 100.0  # seconds from the daemon's end until slots and spawner have gone, too
REPORT_EVERY = 10.0


class Size(NamedTuple):
    """How much of it: it ends with the first that is reached. `tidy`: see that one more daemon leaves no file."""

    kills: int
    seconds: float
    tidy: bool = True


class Report(NamedTuple):
    seed: int
    home: Path
    kills: int
    figures: list[str]
    violations: list[str]


def run(home: Path, seed: int, size: Size, say: Callable[[str], None]) -> Report:
    """Torture the daemon of `home`. The home is removed if there are no violations."""
    began = time.monotonic()
    household = Household(home, seed)
    chaos = Chaos(household, Notes(home / "kills"))
    gathering = Gathering(home, seed)
    shutil.copy(Path(__file__).with_name("functions.py"), home)
    try:
        household.start_daemon()
        household.until_answered()
        household.start_clients()
        _strike(household, chaos, seed, size, say)
        struck_for = time.monotonic() - began
        settled = _settle(household, gathering, size.tidy)
    finally:
        household.end_all()
    figures = _figures(gathering.seen, chaos, household)
    figures.append(f"{struck_for:.0f} s of faults, {settled:.1f} s until the last job had ended")
    gathering.seen.wrong += household.wrong
    found = violations(gathering.seen)
    if not found:
        shutil.rmtree(home)
    return Report(seed, home, chaos.kills.total(), figures, found)


def _strike(household: Household, chaos: Chaos, seed: int, size: Size, say: Callable[[str], None]) -> None:
    deadline = time.monotonic() + size.seconds
    said_at = time.monotonic()
    for fault in faults(seed):
        if chaos.kills.total() >= size.kills or time.monotonic() >= deadline:
            return
        household.wait(fault.pause, fault.early)
        chaos.strike(fault)
        if time.monotonic() > said_at + REPORT_EVERY:
            said_at = time.monotonic()
            say(f"seed {seed}: {chaos.kills.total()} kills of {size.kills}")


def _settle(household: Household, gathering: Gathering, tidy: bool) -> float:
    """From the end of the faults to the end of everything; seconds until the last job had ended."""
    household.wait(0.0, early=True)
    since = time.monotonic()
    household.tell_clients_that_it_is_over()
    household.until_answered()
    with jobkeep.connect_blocking(household.socket, autostart=False) as client:
        settled = gathering.wait_for_ends(client, since, SOON, PATIENCE)
        household.end_clients(PATIENCE)
        gathering.wait_for_orphans(ORPHANS_FOR)
        gathering.ask_daemon(client)
    household.look()
    household.stop_daemon()
    gathering.wait_for_silence(SILENCE_AFTER)
    if tidy:
        household.start_daemon()  # the dead have left files behind
        household.until_answered()
        household.stop_daemon()
        gathering.wait_for_silence(SILENCE_AFTER)
        gathering.look_for_leftovers()
    gathering.look_into_files()
    return settled


def _figures(seen: Evidence, chaos: Chaos, household: Household) -> list[str]:
    acked = sum(len(note["jobs"]) for note in seen.acks if note["note"] == "acked")
    runs = sum(len(job.runs) for job in seen.jobs)
    outcomes = {
        outcome: sum(run.outcome == outcome for job in seen.jobs for run in job.runs)
        for outcome in ("succeeded", "failed", "cancelled", "interrupted", "lost")
    }
    items = sum(map(len, seen.items.values()))
    return [
        f"{chaos.kills.total()} kills: {_listed(chaos.kills)}",
        f"at once: {_listed(chaos.together)}; did not take place: {_listed(chaos.missed)}",
        f"{household.starts} starts of the daemon, the slowest took {household.slowest_start:.1f} s",
        f"{acked} jobs acknowledged, {len(seen.starts)} starts, {runs} runs: {_listed(outcomes)}",
        f"{items} items of batches; {len(seen.outputs)} outputs compared; {len(seen.events)} events replayed",
    ]


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items(), key=lambda each: -each[1])) or "none"
