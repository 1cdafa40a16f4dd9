"""Evidence as an honest daemon leaves it, job by job: what the verdict must not complain of."""

from __future__ import annotations

from typing import Any

from crash.torture.evidence import EventSeen, Evidence, JobSeen, RunSeen, Started
from crash.torture.recipes import Kind, Recipe, draw

SEED = 1
NOON = 1_800_000_000.0


def recipe_of(kind: Kind, **wanted: object) -> Recipe:
    """The first one of that kind, with such fields."""
    recipes = (draw(SEED, f"0.{step}.0") for step in range(10_000))
    return next(each for each in recipes if each.kind == kind and wanted.items() <= each._asdict().items())


class World:
    """Evidence as an honest daemon leaves it, job by job."""

    def __init__(self) -> None:
        self.seen = Evidence(seed=SEED)
        self._pids = 100

    def journal(self, kind: str, job: str | None, run: int | None = None, **data: Any) -> None:
        self.seen.events.append(EventSeen(len(self.seen.events) + 1, kind, job, run, data))

    def submit(self, job: str, recipe: Recipe) -> None:
        request = f"torture-{job}"
        self.seen.acks += [
            {"note": "asks", "request": request, "labels": [recipe.label]},
            {"note": "acked", "request": request, "jobs": {job: recipe.label}},
        ]
        self.seen.asked_again.append((request, [job]))
        self.journal("submitted", job)

    def start(self, job: str, recipe: Recipe, number: int = 1, words: str | None = None) -> None:
        self._pids += 1
        self.seen.starts[job, number] = Started(self._pids, NOON)
        if words is not None:
            self.seen.ends[job, number] = words
        for stream in ("stdout", "stderr"):
            whole = recipe.output(stream, number)
            self.seen.outputs[job, number, stream] = whole if words is not None else whole[: len(whole) // 2]
        self.journal("started", job, number, seat=f"slot-{job}")

    def end(self, job: str, recipe: Recipe, state: str, *runs: RunSeen, **counts: Any) -> None:
        self.seen.jobs.append(JobSeen(job, recipe.label, state, runs, **counts))
        last = runs[-1]
        self.seen.acks.append({
            "note": "told", "id": job, "state": state, "attempt": last.number, "outcome": last.outcome,
            "exit_code": last.exit_code, "signal": last.signal,
        })  # fmt: skip

    def over(self, job: str, number: int, outcome: str, then: str) -> None:
        self.journal("ended", job, number, outcome=outcome)
        self.journal(then, job, number)

    def kill(self, target: str, **more: Any) -> None:
        self.seen.kills.append({"note": "killed", "target": target, "struck_at": NOON + 1, **more})


def add_command(world: World, job: str, recipe: Recipe) -> None:
    """It ends by itself."""
    words = recipe.last_words()
    assert words is not None
    code = None if words.startswith("signal") else recipe.code
    outcome = "succeeded" if code == 0 else "failed"
    world.submit(job, recipe)
    world.start(job, recipe, words=words)
    world.over(job, 1, outcome, outcome)
    signal = 9 if code is None else None
    world.end(job, recipe, outcome, RunSeen(1, outcome, code, signal, ended_at=NOON + 2))


def add_batch(world: World, job: str, recipe: Recipe) -> None:
    """Its worker was killed, and another one has gone on."""
    world.submit(job, recipe)
    world.start(job, recipe, 1)
    world.kill("worker", pid=world.seen.starts[job, 1].pid, slot=f"slot-{job}", worker=True)
    world.over(job, 1, "failed", "retry")
    world.journal("due", job)
    world.start(job, recipe, 2, words="returned")
    world.over(job, 2, "succeeded", "succeeded")
    half = recipe.items // 2
    world.seen.items[job] = [(1, item) for item in range(half)] + [(2, item) for item in range(half - 3, recipe.items)]
    world.seen.results[job] = recipe.tallies()
    runs = (
        RunSeen(1, "failed", None, 9, "worker ended by signal 9 (SIGKILL)", NOON + 2),
        RunSeen(2, "succeeded", ended_at=NOON + 3),
    )
    failed = recipe.tallies().get("failed", 0)
    world.end(job, recipe, "succeeded", *runs, done=recipe.items, tallies=recipe.tallies(), failed_items=failed)


def add_echo(world: World, job: str, recipe: Recipe) -> None:
    """Its first start never reached a seat."""
    world.submit(job, recipe)
    world.over(job, 1, "interrupted", "requeued")
    world.start(job, recipe, 2, words="returned")
    world.over(job, 2, "succeeded", "succeeded")
    world.seen.results[job] = recipe.label
    never = RunSeen(1, "interrupted", reason="never started: its seat was lost", ended_at=NOON)
    world.end(job, recipe, "succeeded", never, RunSeen(2, "succeeded", ended_at=NOON + 1))


def add_killed(world: World, job: str, recipe: Recipe) -> None:
    """Its process was killed before it had left a mark."""
    world.submit(job, recipe)
    world.journal("started", job, 1, seat=f"slot-{job}")
    world.kill("command", pid=12, slot=f"slot-{job}")
    world.over(job, 1, "failed", "failed")
    world.end(job, recipe, "failed", RunSeen(1, "failed", None, 9, ended_at=NOON + 1))


def add_cancelled(world: World, job: str, recipe: Recipe) -> None:
    """It would never end by itself."""
    world.submit(job, recipe)
    world.start(job, recipe)
    world.seen.acks.append({"note": "granted", "verb": "cancel", "id": job})
    world.journal("cancel_requested", job, 1, stop="cancelled")
    world.journal("signalled", job, 1, start_ticks=7, evidence=["record"])
    world.over(job, 1, "cancelled", "cancelled")
    world.end(job, recipe, "cancelled", RunSeen(1, "cancelled", None, 9, ended_at=NOON + 2))


def add_lost(world: World, job: str, recipe: Recipe) -> None:
    """Its shim was killed together with the spawner, and so nobody saw its end."""
    world.submit(job, recipe)
    world.start(job, recipe, words=recipe.last_words())
    world.kill("shim", pid=11, slot=f"slot-{job}", spawner=10)
    world.kill("spawner", pid=10)
    world.over(job, 1, "lost", "failed")
    world.end(job, recipe, "failed", RunSeen(1, "lost", reason="lost: nobody saw its end", ended_at=NOON + 2))


def add_refused(world: World, job: str, recipe: Recipe) -> None:
    """Its slot was killed right after exec had been refused."""
    world.submit(job, recipe)
    world.journal("started", job, 1, seat=f"slot-{job}")
    world.kill("shim", pid=13, slot=f"slot-{job}", spawner=14)
    world.over(job, 1, "lost", "failed")
    world.end(job, recipe, "failed", RunSeen(1, "lost", reason="lost: nobody saw its end", ended_at=NOON + 2))


def honest_world() -> World:
    """Jobs of all kinds, with kills, losses and second runs."""
    world = World()
    add_command(world, "good", recipe_of("plain", code=0, lines=5))
    add_command(world, "bad", recipe_of("plain", code=7))
    add_command(world, "self", recipe_of("killed_by_itself"))
    add_batch(world, "batch", recipe_of("batch", concurrency=3))
    add_echo(world, "echo", recipe_of("echo"))
    add_cancelled(world, "deaf", recipe_of("ignores_term"))
    add_killed(world, "victim", recipe_of("plain", code=255))
    add_lost(world, "lost", recipe_of("plain", code=1))
    add_refused(world, "refused", recipe_of("missing"))
    bare = recipe_of("leaves_children", bare=True)
    add_lost(world, "bare", bare)
    world.seen.survivors[13] = world.seen.left_behind[13] = f"sh -c sleep /tmp/home/left.{bare.label}"
    return world
