"""Gathers the evidence of a home once the faults have stopped: from the daemon, the marks, /proc and the database."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jobkeep
from crash.judges import beside, children_of, parent_of, processes_of
from crash.torture import notes
from crash.torture.chaos import shims_of
from crash.torture.evidence import EventSeen, Evidence, JobSeen, Run, RunSeen, Started
from crash.torture.household import CLIENTS
from crash.torture.load import ask
from crash.torture.recipes import LABEL
from jobkeep.errors import NoRun
from jobkeep.protocol import jobs as wire
from jobkeep.protocol.vocabulary import LIVE_STATES
from jobkeepd.spawner import record

LASTING = ("queued", "running")  # states in which a job may be for long
ASKED_AGAIN = 60  # requests


class Gathering:
    """Fills in the evidence step by step."""

    def __init__(self, home: Path, seed: int) -> None:
        self.home = home
        self.seen = Evidence(seed=seed)

    def wait_for_ends(self, client: jobkeep.BlockingClient, since: float, soon: float, patience: float) -> float:
        """Seconds from `since` (monotonic) until no job was live. After `soon` none may be in a passing state."""
        looked = False
        while live := list(client.jobs(state=list(LIVE_STATES))):
            over = time.monotonic() - since
            if over >= soon and not looked:
                looked = True
                self.seen.stuck += [_live(job, over) for job in live if job.state not in LASTING]
            if over >= patience:
                self.seen.unended += [_live(job, over) for job in live]
                break
            time.sleep(0.1)
        return time.monotonic() - since

    def ask_daemon(self, client: jobkeep.BlockingClient) -> None:
        """All that it knows: jobs, runs, results, output, journal; and what it answers to requests of long ago."""
        seen = self.seen
        seen.acks = [note for number in range(CLIENTS) for note in notes.read(self.home / f"acks.{number}")]
        seen.kills = notes.read(self.home / "kills")
        self._read_marks()
        for job in client.jobs():
            view = client.job(job.id).info()
            seen.jobs.append(_seen(view))
            if view.state == "succeeded" and view.kind == "function":
                seen.results[view.id] = client.job(view.id).result()
            for run in view.runs:
                self._read_output(client, view.id, run.number)
        seen.events = [
            EventSeen(event.seq, event.kind, event.job, event.run, event.data) for event in client.events(after=0)
        ]
        acked = [note for note in seen.acks if note["note"] == "acked"]
        for note in acked[:: max(1, len(acked) // ASKED_AGAIN)]:
            ids = ask(client, self.home, seen.seed, note["request"], list(note["jobs"].values()))
            seen.asked_again.append((note["request"], ids))

    def _read_output(self, client: jobkeep.BlockingClient, job: str, number: int) -> None:
        for stream in ("stdout", "stderr"):
            try:
                chunks = client.job(job).logs(run=number, stream=stream, raw=True)
                self.seen.outputs[job, number, stream] = b"".join(chunk.data for chunk in chunks)
            except NoRun:
                continue  # missed by the verdict

    def _read_marks(self) -> None:
        folder = self.home / "starts"
        for name in os.listdir(folder):
            kind, *rest = name.split(".")
            if kind in ("again", "two_live"):
                self.seen.doubles.append(f"mark {name} was left")
            elif kind in ("start", "end"):
                self._read_mark(kind, (rest[0], int(rest[1])), folder / name)
            elif kind == "items":
                lines = (folder / name).read_text().splitlines()
                self.seen.items[rest[0]] = [(int(run), int(item)) for run, item in (line.split() for line in lines)]

    def _read_mark(self, kind: str, run: Run, path: Path) -> None:
        text = path.read_text().strip()
        if kind == "end":
            self.seen.ends[run] = text
        else:
            self.seen.starts[run] = Started(int(text or 0), path.stat().st_mtime)

    def wait_for_orphans(self, patience: float) -> None:
        """Nothing but the daemon's own processes may be left after that many seconds."""
        self.seen.survivors = _while_any(lambda: dict(self._orphans()), patience)

    def _orphans(self) -> Iterator[tuple[int, str]]:
        runtime = str(self.home / "run")
        shims = {pid for _, pid in shims_of(self.home)}
        workers = {child for shim in shims for child in children_of(shim)}
        spawner = record.lock_holder(record.spawner_lock(runtime))
        ours = shims | {spawner, record.lock_holder(str(self.home / "state" / "lock"))}
        ours |= beside(spawner, shims, self.home)
        for pid, command in processes_of(self.home).items():
            if pid not in ours and not (pid in workers and "jobkeep.worker" in command):
                yield pid, command

    def wait_for_silence(self, patience: float) -> None:
        """The daemon has been stopped: every process of the home goes by itself."""
        self.seen.left_behind |= _while_any(lambda: processes_of(self.home), patience)

    def look_for_leftovers(self) -> None:
        """The last daemon has found nothing to do but tidy up, and is stopped: no file is there without need."""
        for pattern in ("run/runs/*", "run/slots/*", "state/spool/*"):
            self.seen.leftovers += [f"{path} was left behind" for path in sorted(self.home.glob(pattern))]
        for path in sorted(self.home.glob("state/logs/seats/*")):
            if path.stat().st_size:
                self.seen.leftovers.append(f"{path} was left behind, with {path.stat().st_size} bytes")

    def look_into_files(self) -> None:
        """The daemon is stopped: its database is whole, and neither it nor the spawner has complained."""
        with sqlite3.connect(self.home / "state" / "jobs.sqlite") as database:
            found = [str(row) for (row,) in database.execute("PRAGMA integrity_check") if row != "ok"]
            found += [str(row) for row in database.execute("PRAGMA foreign_key_check")]
        database.close()
        self.seen.integrity += [f"the database: {each}" for each in found]
        self.seen.wrong += _complaints(self.home / "daemon.log")
        said = (self.home / "run" / "spawner.log").read_text(errors="replace").splitlines()
        self.seen.wrong += [f"the spawner says: {line}" for line in said[:20]]


def _while_any(look: Callable[[], dict[int, str]], patience: float) -> dict[int, str]:
    """What there still is by then. Of a process and its children the process is enough."""
    deadline = time.monotonic() + patience
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return {pid: command for pid, command in found.items() if _parent_of(pid) not in found}


def _parent_of(pid: int) -> int | None:
    try:
        return parent_of(pid)
    except OSError:
        return None


def _complaints(log: Path) -> list[str]:
    """What the daemon itself takes for an error."""
    found = []
    for line in log.read_text(errors="replace").splitlines():
        try:
            if json.loads(line).get("level") in ("error", "critical"):
                found.append(f"the daemon says: {line[:2000]}")
        except ValueError:
            found.append(f"the daemon says: {line[:500]}")
    return found


def _seen(job: wire.Job) -> JobSeen:
    runs = tuple(
        RunSeen(
            number=run.number,
            outcome=run.outcome,
            exit_code=run.exit_code,
            signal=run.signal,
            reason=run.reason,
            ended_at=None if run.ended_at is None else run.ended_at.timestamp(),
        )
        for run in sorted(job.runs, key=lambda run: run.number)
    )
    progress = job.progress
    return JobSeen(
        job.id, job.labels[LABEL], job.state, runs, progress.done, dict(progress.tallies), progress.failed_items
    )


def _live(job: wire.Job, over: float) -> str:
    return f"job {job.id} ({job.labels.get(LABEL)}) is {job.state} {over:.1f} s after the last fault"
