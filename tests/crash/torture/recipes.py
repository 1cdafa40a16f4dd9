"""What each job of the load does, and what must come of it: both follow from the seed and the job's label alone."""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Literal, NamedTuple

from crash.judges import StartLog

Kind = Literal[
    "plain", "killed_by_itself", "leaves_children", "ignores_term", "times_out", "missing",
    "batch", "plain_batch", "echo", "raises",
]  # fmt: skip
LABEL = "torture"
GRACE = 0.5  # seconds, of every job
EVERY = 5
PYTHON = f"{sys.prefix}/bin/python"  # sys.executable depends on how a process was called


class Recipe(NamedTuple):
    """One job. `label` is SUBMITTER.STEP.ITEM."""

    label: str
    kind: Kind
    code: int = 0
    lines: int = 0
    pause: float = 0.0
    bare: bool = False  # children that it leaves have an empty environment
    items: int = 0
    concurrency: int = 1

    @property
    def is_function(self) -> bool:
        return self.kind in ("batch", "plain_batch", "echo", "raises")

    @property
    def is_batch(self) -> bool:
        return self.kind in ("batch", "plain_batch")

    @property
    def ends_by_itself(self) -> bool:
        return self.kind != "ignores_term"

    def last_words(self) -> str | None:
        """What a command writes into its end marker right before its end; None for one that has no end of its own."""
        if self.kind in ("ignores_term", "times_out", "missing") or self.is_function:
            return None
        return "signal 9" if self.kind == "killed_by_itself" else f"exit {self.code}"

    def output(self, stream: str, run: int) -> bytes:
        """Every byte that a run prints that comes to its end."""
        if self.kind == "missing":
            return b""
        head = f"{self.label} run {run} {stream}\n"
        if self.is_function or stream == "stderr":
            return head.encode()
        return (head + "".join(f"{self.label} {line}\n" for line in range(1, self.lines + 1))).encode()

    def tallies(self) -> dict[str, int]:
        """Of an uninterrupted pass."""
        return dict(Counter(outcome_of(item) for item in range(self.items)))


def outcome_of(item: int) -> str:
    """The same as in functions.py, which a worker imports by itself."""
    return "failed" if item % 10 == 3 else "even" if item % 2 == 0 else "odd"


def draw(seed: int, label: str) -> Recipe:
    """Which job goes by this label."""
    random_ = random.Random(f"{seed} {label}")
    kinds: dict[Kind, int] = {
        "plain": 40, "killed_by_itself": 4, "leaves_children": 10, "ignores_term": 3, "times_out": 3, "missing": 2,
        "batch": 14, "plain_batch": 6, "echo": 12, "raises": 3,
    }  # fmt: skip
    return Recipe(
        label=label,
        kind=random_.choices(list(kinds), list(kinds.values()))[0],
        code=random_.choice((0, 0, 0, 1, 2, 7, 125, 255)),
        lines=random_.choice((0, 1, 5, 5, 2000)),
        pause=random_.choice((0.0, 0.0, random_.uniform(0.0, 0.3))),
        bare=random_.random() < 0.3,
        items=random_.randint(10, 50),
        concurrency=random_.choice((1, 1, 3)),
    )


def options(recipe: Recipe, home: Path) -> dict[str, Any]:
    """What to submit, with the names of the client's options."""
    common: dict[str, Any] = {"label": {LABEL: recipe.label}, "grace": GRACE, "cwd": home}
    width = recipe.concurrency
    function = {"function": f"functions:{recipe.kind}", "python": PYTHON}
    given = {"label": recipe.label, "log": str(home / "starts")}
    if recipe.is_batch:
        return {
            **common, **function, "on_lost": "resume", "retries": 1000, "backoff": 0,
            "arguments": {**given, "count": recipe.items, "pause": recipe.pause / 20, "concurrency": width},
        }  # fmt: skip
    if recipe.is_function:
        return {**common, **function, "arguments": {**given, "pause": recipe.pause}}
    if recipe.kind == "missing":
        return {**common, "command": [f"{home}/no-such-command"]}
    if recipe.kind == "times_out":
        common["timeout"] = 0.3
    return {**common, "command": StartLog(home / "starts").command(_body(recipe, home))}


def _body(recipe: Recipe, home: Path) -> str:
    head = f'echo "{recipe.label} run $JOBKEEP_RUN stdout"; echo "{recipe.label} run $JOBKEEP_RUN stderr" >&2'
    steps = [head]
    if recipe.pause:
        steps.append(f"sleep {recipe.pause:.3f}")
    if recipe.lines:
        steps.append(f'seq -f "{recipe.label} %.0f" 1 {recipe.lines}')
    if recipe.kind == "leaves_children":
        steps.append(_leave_a_child(recipe, home))
    last = recipe.last_words()
    if last is None:
        return "\n".join([*steps, "trap '' TERM", "while :; do sleep 0.05; done"])
    steps.append(f'echo "{last}" > "$0/end.$run"')
    steps.append("kill -9 $$" if recipe.kind == "killed_by_itself" else f"exit {recipe.code}")
    return "\n".join(steps)


def _leave_a_child(recipe: Recipe, home: Path) -> str:
    """Twice forked, in a session of its own, deaf to TERM. Its arguments name the home and the label for the judge."""
    script = 'trap "" TERM; while :; do sleep 1; done'
    clean = "env -i " if recipe.bare else ""
    return f"( {clean}setsid sh -c '{script}' {home}/left.{recipe.label} & )"
