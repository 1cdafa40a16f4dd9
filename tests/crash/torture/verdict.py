"""The verdict on one home: evidence in, violations out, one sentence each. Pure, so that planted ones can prove it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from typing import Any

from crash.torture import journal, runs
from crash.torture.evidence import Evidence, JobSeen, Run
from crash.torture.recipes import EVERY, Recipe, draw

_ENDED = ("succeeded", "failed", "cancelled")
_REQUESTED = {"cancel": "cancel_requested", "restart": "restart_requested", "resume": "resumed"}


def violations(seen: Evidence) -> list[str]:
    """All of them; an empty list is what torture is for."""
    case = Case(seen)
    judges = (
        case.submits, case.starts, case.runs, case.outputs, case.batches, case.words, case.wishes, case.journal,
        case.ends, case.processes,
    )  # fmt: skip
    found = [f"{judge.__name__}: {each}" for judge in judges for each in judge()]
    return found + [f"wrong: {each}" for each in (*seen.wrong, *seen.integrity)]


class Case:
    """The evidence, indexed; one method for each kind of promise."""

    def __init__(self, seen: Evidence) -> None:
        self.seen = seen
        self.jobs = {job.id: job for job in seen.jobs}
        self.records = {(job.id, run.number): run for job in seen.jobs for run in job.runs}

    def recipe(self, job: JobSeen) -> Recipe:
        return draw(self.seen.seed, job.label)

    @cached_property
    def acked(self) -> dict[str, str]:
        """Id -> label of each job whose submit was acknowledged."""
        return {id: label for note in self._notes("acked") for id, label in note["jobs"].items()}

    def _notes(self, kind: str) -> Iterator[dict[str, Any]]:
        return (note for note in self.seen.acks if note["note"] == kind)

    # -- contract 1, 2 ----------------------------------------------------------------------------------------------

    def submits(self) -> Iterator[str]:
        """No acknowledged submit is lost, none became two jobs, none was invented."""
        asked = {label for note in self._notes("asks") for label in note["labels"]}
        for id, label in self.acked.items():
            if id not in self.jobs:
                yield f"job {id} ({label}) was acknowledged, and is lost"
            elif self.jobs[id].label != label:
                yield f"job {id} was acknowledged as {label}, and is {self.jobs[id].label}"
        for label, count in Counter(job.label for job in self.seen.jobs).items():
            if count > 1:
                yield f"{label} was submitted once, and is {count} jobs"
            if label not in asked:
                yield f"nobody has submitted {label}"
        first = {note["request"]: list(note["jobs"]) for note in self._notes("acked")}
        for request, ids in self.seen.asked_again:
            if first.get(request) != ids:
                yield f"request {request} gave {first.get(request)}, and when asked again {ids}"

    # -- contract 3, 4, 5 -------------------------------------------------------------------------------------------

    def starts(self) -> Iterator[str]:
        """Each run starts once, no job has two live runs, no start is unknown or denied."""
        yield from self.seen.doubles
        journalled = journal.seats(self.seen.events).keys()
        for run in self.seen.starts:
            if run not in self.records:
                yield f"run {_named(run)} has started, and nobody knows of it"
            elif run not in journalled:
                yield f"run {_named(run)} has started, and the journal does not say so"
        for job in self.seen.jobs:
            for before, after in pairwise(job.runs):
                if after.number <= before.number:
                    yield f"job {job.id} has run {after.number} after run {before.number}"

    def runs(self) -> Iterator[str]:
        """What is on record of each run is what its own marks say; `lost` only where nobody was left to see the end."""
        stops = journal.stops(self.seen.events)
        seats = journal.seats(self.seen.events)
        kills = runs.Kills(self.seen.kills)
        for job in self.seen.jobs:
            recipe = self.recipe(job)
            for record in job.runs:
                run = (job.id, record.number)
                marks = runs.Marks(
                    start=self.seen.starts.get(run),
                    end=self.seen.ends.get(run),
                    stop=stops.get(run),
                    seat=seats.get(run),
                )
                for why in runs.judge(recipe, record, marks, kills):
                    yield f"run {_named(run)} ({recipe.kind} {job.label}): {why}"

    def outputs(self) -> Iterator[str]:
        """Output is byte-identical; that of a run which was ended is what it had come to."""
        for (job, number, stream), data in self.seen.outputs.items():
            if job not in self.jobs:
                continue
            if (job, number) not in self.seen.starts:
                if data:
                    yield f"run {job}.{number} never began, and has written to {stream}: {data[:80]!r}"
                continue
            whole = self.recipe(self.jobs[job]).output(stream, number)
            has_ended = (job, number) in self.seen.ends
            if data != whole and (has_ended or not whole.startswith(data)):
                yield f"{stream} of run {job}.{number} has {len(data)} bytes instead of {len(whole)}: {data[:80]!r}"
        for run in self.seen.starts.keys() & self.records.keys():
            for stream in ("stdout", "stderr"):
                if (*run, stream) not in self.seen.outputs:
                    yield f"{stream} of run {_named(run)} is gone"

    # -- contract 10 ------------------------------------------------------------------------------------------------

    def batches(self) -> Iterator[str]:
        """Tallies are those of an uninterrupted pass; no item is skipped, few are repeated."""
        anew = Counter(event.job for event in self.seen.events if event.data.get("stop") == "restart_from_start")
        begun = Counter(job for job, _ in self.seen.starts)
        for job in self.seen.jobs:
            recipe = self.recipe(job)
            if not recipe.is_batch:
                continue
            items = [item for _, item in self.seen.items.get(job.id, ())]
            repeats = len(items) - len(set(items))
            width = recipe.concurrency if recipe.kind == "batch" else 1
            bound = (begun[job.id] - 1) * (EVERY - 1 + width) + anew[job.id] * recipe.items
            if repeats > max(bound, 0):
                yield f"job {job.id} repeated {repeats} items in {begun[job.id]} runs, {bound} at most were to be"
            if sum(job.tallies.values()) != job.done or job.tallies.get("failed", 0) != job.failed_items:
                yield f"job {job.id} has done {job.done} items, {job.failed_items} failed, and tallies {job.tallies}"
            if job.done > len(set(items)):
                yield f"job {job.id} counts {job.done} items, and began {len(set(items))}"
            if job.state == "succeeded":
                yield from self._passed(job, recipe, set(items))
            elif job.state == "failed":
                yield f"batch {job.id} has failed, which nothing makes it do"

    def _passed(self, job: JobSeen, recipe: Recipe, items: set[int]) -> Iterator[str]:
        skipped = set(range(recipe.items)) - items
        if skipped:
            yield f"job {job.id} skipped the items {sorted(skipped)}"
        for what, tallies in (("tallies", job.tallies), ("result", self.seen.results.get(job.id))):
            if tallies != recipe.tallies():
                yield f"the {what} of job {job.id} are {tallies}, those of an uninterrupted pass {recipe.tallies()}"

    # -- what clients were told -------------------------------------------------------------------------------------

    def words(self) -> Iterator[str]:
        """An end that a client was told of stays what it was."""
        for note in self._notes("told"):
            record = self.records.get((note["id"], note["attempt"]))
            if note["id"] not in self.jobs:
                yield f"job {note['id']} was told of, and is lost"
                continue
            if record is None:
                if note["attempt"]:
                    yield f"run {note['id']}.{note['attempt']} was told of, and is lost"
            elif note["exit_code"] != record.exit_code and note["outcome"] == record.outcome:
                yield f"run {_named((note['id'], record.number))} was told of as {note}, and is {record}"
            if note["state"] == "succeeded" and self.jobs[note["id"]].state != "succeeded":
                yield f"job {note['id']} had succeeded, and is {self.jobs[note['id']].state}"
        for note in self._notes("wrong"):
            yield str(note["what"])

    def wishes(self) -> Iterator[str]:
        """Every cancel, restart and resume that was granted is in the journal."""
        granted = Counter((note["id"], _REQUESTED[note["verb"]]) for note in self._notes("granted"))
        journalled = Counter((event.job, event.kind) for event in self.seen.events)
        for (job, kind), count in granted.items():
            if journalled[job, kind] < count:
                yield f"{count} × {kind} was granted for job {job}, the journal has {journalled[job, kind]}"

    def journal(self) -> Iterator[str]:
        """The journal has no gap, and leads each job to the state it is in."""
        yield from journal.gaps(self.seen.events)
        histories = defaultdict(list)
        for event in self.seen.events:
            if event.job is not None:
                histories[event.job].append(event)
        for job in self.seen.jobs:
            yield from journal.replay(job, histories.pop(job.id, []))
        for lost in histories:
            yield f"the journal tells of job {lost}, which there is not"

    # -- contract 7, 14 ---------------------------------------------------------------------------------------------

    def ends(self) -> Iterator[str]:
        """When faults stop, every job comes to an end."""
        yield from self.seen.stuck
        yield from self.seen.unended
        for job in self.seen.jobs:
            if job.state in _ENDED and any(run.outcome is None for run in job.runs):
                yield f"job {job.id} is {job.state}, and a run of it is open"

    def processes(self) -> Iterator[str]:
        """Nothing of a job remains after its end, and nothing at all after the daemon's."""
        for pid, command in self.seen.survivors.items():
            if not self._is_out_of_reach(command):
                yield f"process {pid} belongs to nobody: {command}"
        for pid, command in self.seen.left_behind.items():
            if not self._is_out_of_reach(command):
                yield f"process {pid} has outlived the daemon: {command}"
        yield from self.seen.leftovers

    def _is_out_of_reach(self, command: str) -> bool:
        """Whether it has cleared its environment, and all who could have inherited it were killed: a known gap."""
        label = command.rpartition("/left.")[2]
        seats, kills = journal.seats(self.seen.events), runs.Kills(self.seen.kills)
        for job in self.seen.jobs:
            if job.label == label and self.recipe(job).bare:
                ended = ((seats.get((job.id, run.number)), run.ended_at or 0.0) for run in job.runs)
                return any(kills.took_heirs(seat, ended_at) for seat, ended_at in ended)
        return False


def _named(run: Run) -> str:
    return f"{run[0]}.{run[1]}"
