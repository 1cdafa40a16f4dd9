"""A submitting client under torture: it submits, waits and interferes, and notes what was acknowledged.

Run as `python -m crash.torture.load HOME NUMBER SEED`. It may be killed at any time: the next one goes on where the
notes end, and asks again, by its request id, for what was never acknowledged.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jobkeep
from crash.torture import notes, recipes
from jobkeep.errors import (
    ActionRefused,
    ConnectionLost,
    DaemonUnreachable,
    JobkeepError,
    OutcomeUnknown,
    ShuttingDown,
    TimedOut,
)
from jobkeep.protocol.jobs import Job

OUTSTANDING = 6  # jobs of one submitter that have not ended, before it waits
PATIENCE = 0.5  # seconds before a job that does not end by itself is cancelled
_AWAY = (DaemonUnreachable, ConnectionLost, OutcomeUnknown, ShuttingDown)  # what came of it is unknown, no more


class Submitter:
    """One client. Each step is a function of the seed, its number and the step's; what it meets is not."""

    def __init__(self, client: jobkeep.BlockingClient, home: Path, number: int, seed: int) -> None:
        self._client = client
        self._home = home
        self._name = f"{number}"
        self._seed = seed
        path = home / f"acks.{number}"
        self._notes = notes.Notes(path)
        self._step = 0
        self._recipes: dict[str, recipes.Recipe] = {}  # by id, of all jobs that were acknowledged
        self._outstanding: dict[str, float] = {}  # id -> since when, of those that have not ended
        self._ended: list[str] = []  # failed or cancelled
        self._remember(notes.read(path))

    def _remember(self, before: list[dict[str, Any]]) -> None:
        for note in before:
            match note["note"]:
                case "asks":
                    self._step = note["step"]
                case "acked":
                    self._accept(note["jobs"], 0.0)
                    self._step = note["step"] + 1
                case "told":
                    self._outstanding.pop(note["id"], None)
                case "wishes":  # whether that arrived nobody knows
                    self._step = note["step"] + 1

    def run(self, over: Path) -> None:
        """Until the file `over` is there; then only what would never end is ended."""
        while not over.exists():
            if len(self._outstanding) >= OUTSTANDING:
                self._wait(1.0)
            self._end_the_endless(PATIENCE)
            if len(self._outstanding) < OUTSTANDING:
                self._go_on(random.Random(f"{self._seed} {self._name} {self._step}"))
                self._step += 1
        while any(not self._recipes[id].ends_by_itself for id in self._outstanding):
            self._end_the_endless(0.0)
            self._wait(1.0)

    def _accept(self, jobs: Mapping[str, str], since: float) -> None:
        for id, label in jobs.items():
            self._recipes[id] = recipes.draw(self._seed, label)
            self._outstanding[id] = since

    def _go_on(self, random_: random.Random) -> None:
        deed = random_.choices(("one", "many", "cancel", "restart", "resume"), (70, 15, 5, 6, 4))[0]
        if deed in ("one", "many"):
            self._submit(random_.randint(2, 5) if deed == "many" else 1)
        elif deed == "resume" and self._ended:
            self._wish(deed, self._ended.pop(random_.randrange(len(self._ended))), random_)
        elif deed != "resume" and self._outstanding:
            self._wish(deed, random_.choice(list(self._outstanding)), random_)

    def _submit(self, count: int) -> None:
        """Until it is acknowledged: an error means no more than that nobody knows."""
        labels = [f"{self._name}.{self._step}.{item}" for item in range(count)]
        request = f"torture-{self._name}.{self._step}"
        self._notes.add(note="asks", step=self._step, request=request, labels=labels)
        while True:
            try:
                ids = ask(self._client, self._home, self._seed, request, labels)
                break
            except _AWAY:
                continue
            except JobkeepError as error:
                self._notes.add(note="wrong", what=f"submit {request}: {error!r}")
                return
        jobs = dict(zip(ids, labels, strict=True))
        self._notes.add(note="acked", step=self._step, request=request, jobs=jobs)
        self._accept(jobs, time.monotonic())

    def _wish(self, verb: str, id: str, random_: random.Random) -> None:
        self._notes.add(note="wishes", step=self._step, verb=verb, id=id)
        handle = self._client.job(id)
        try:
            if verb == "cancel":
                handle.cancel(force=random_.random() < 0.3)
            elif verb == "restart":
                handle.restart(from_start=random_.random() < 0.2)
            else:
                handle.resume()
        except (ActionRefused, *_AWAY):
            return
        except JobkeepError as error:
            self._notes.add(note="wrong", what=f"{verb} {id}: {error!r}")
            return
        self._notes.add(note="granted", verb=verb, id=id)
        if verb == "resume":
            self._outstanding[id] = time.monotonic()

    def _wait(self, seconds: float) -> None:
        """Note what has ended, as it was told."""
        if not self._outstanding:
            return
        try:
            ended = self._client.wait(list(self._outstanding), any=True, timeout=seconds)
        except (TimedOut, *_AWAY):
            return
        except JobkeepError as error:
            self._notes.add(note="wrong", what=f"wait: {error!r}")
            time.sleep(seconds)
            return
        for job in ended:
            self._notes.add(note="told", **told(job))
            del self._outstanding[job.id]
            if job.state != "succeeded":
                self._ended.append(job.id)

    def _end_the_endless(self, patience: float) -> None:
        now = time.monotonic()
        for id, since in list(self._outstanding.items()):
            if self._recipes[id].ends_by_itself or now < since + patience:
                continue
            try:
                self._client.job(id).cancel()
                self._notes.add(note="granted", verb="cancel", id=id)
                self._outstanding[id] = now
            except (ActionRefused, *_AWAY):
                continue
            except JobkeepError as error:
                self._notes.add(note="wrong", what=f"cancel {id}: {error!r}")


def told(job: Job) -> dict[str, Any]:
    """What an ended job's outcome is to a client."""
    outcome = job.outcome
    return {
        "id": job.id,
        "state": job.state,
        "attempt": job.attempt,
        "outcome": outcome.kind if outcome else None,
        "exit_code": outcome.exit_code if outcome else None,
        "signal": outcome.signal if outcome else None,
    }


def ask(client: jobkeep.BlockingClient, home: Path, seed: int, request: str, labels: list[str]) -> list[str]:
    """Submit the jobs of a request, as often as you like: the ids are the same each time."""
    specs = [recipes.options(recipes.draw(seed, label), home) for label in labels]
    if len(specs) > 1:
        return [handle.id for handle in client.submit_many({"python": recipes.PYTHON}, specs, request_id=request)]
    spec = specs[0]
    if "command" in spec:
        return [client.run(spec.pop("command"), request_id=request, **spec).id]
    return [client.call(spec.pop("function"), spec.pop("arguments"), request_id=request, **spec).id]


def main(arguments: list[str]) -> None:
    home, number, seed = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    with _connect(str(home / "run" / "socket")) as client:
        Submitter(client, home, number, seed).run(home / "over")


def _connect(socket: str) -> jobkeep.BlockingClient:
    while True:
        try:
            return jobkeep.connect_blocking(socket, autostart=False)
        except DaemonUnreachable:
            time.sleep(0.02)


if __name__ == "__main__":
    main(sys.argv[1:])
