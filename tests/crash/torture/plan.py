"""The schedule of faults: what is struck, after which pause. The same seed gives the same schedule."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Literal, NamedTuple

Target = Literal["daemon", "spawner", "zygote", "warden", "shim", "worker", "command", "client"]
Deed = Literal["kill", "stop_daemon", "stop_shim"]

# (what is struck at once, how often in a hundred)
_WEIGHTS: dict[tuple[Target, ...], int] = {
    ("daemon",): 32,
    ("shim",): 15,
    ("worker",): 13,
    ("command",): 8,
    ("spawner",): 7,
    ("warden",): 7,
    ("zygote",): 5,
    ("client",): 5,
    ("daemon", "shim"): 4,
    ("daemon", "spawner"): 4,
    ("daemon", "warden"): 2,
    ("zygote", "shim"): 1,
    ("daemon", "worker"): 4,
    ("daemon", "client"): 2,
    ("spawner", "shim"): 3,
    ("daemon", "spawner", "shim"): 2,
    ("shim", "worker"): 1,
}
_STOPS = 0.03  # of all faults: somebody is stopped and goes on later


class Fault(NamedTuple):
    """`early`: if the daemon has just been started, do not wait until it answers."""

    deed: Deed
    targets: tuple[Target, ...]
    pause: float  # seconds before it, counted from when the daemon answers, or from its start if `early`
    early: bool
    absence: float  # seconds that the daemon stays away, if it is struck
    length: float  # seconds that somebody is stopped
    choice: float  # in [0, 1): which of several


def faults(seed: int) -> Iterator[Fault]:
    """Without end."""
    random_ = random.Random(f"faults {seed}")
    while True:
        deed: Deed = "kill"
        if random_.random() < _STOPS:
            deed = random_.choice(("stop_daemon", "stop_shim"))
        yield Fault(
            deed=deed,
            targets=random_.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0],
            pause=random_.choices((0.0, random_.uniform(0.0, 0.5), random_.uniform(0.5, 2.0)), (15, 55, 30))[0],
            early=random_.random() < 0.3,
            absence=random_.choices((0.0, random_.uniform(0.0, 0.5), random_.uniform(0.5, 2.0)), (50, 40, 10))[0],
            length=random_.uniform(0.1, 3.0),
            choice=random_.random(),
        )
