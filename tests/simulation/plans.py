"""What the jobs of a story do, drawn with the story: how long they take, and how they misbehave."""

from __future__ import annotations

import random

from msgspec import Struct

from jobkeep.protocol.jobs import JobSpec

NEVER = 1e9


class Plan(Struct, frozen=True):
    """Of one job. A run of a command takes `items * pace` seconds; each item of a function is an effect."""

    spec: JobSpec
    items: int
    pace: float
    every: int = 3
    exit_code: int = 0
    fails_until: int = 0  # runs up to this one fail at their last item
    deaf: bool = False  # it swallows cancellations, or ignores SIGTERM
    blocks: bool = False  # its loop never turns
    stalls_at: int | None = None  # the item at which the first run gets stuck for ever
    leftover: float = 0.0  # seconds that a child outlives a command's leader

    @property
    def is_function(self) -> bool:
        return self.spec.function is not None


def draw_plan(rng: random.Random, number: int) -> Plan:
    function = rng.random() < 0.55
    stalls = rng.random() < 0.12
    spec = JobSpec(
        command=None if function else ["true"],
        function=f"m:f{number}" if function else None,
        queue=rng.choice(["default", "default", "single"]),
        lock=rng.choice([None, None, None, "crm", "disk"]),
        key=rng.choice([None, None, None, "refresh", "import"]),
        priority=rng.choice([0, 0, 0, 1, -1]),
        retries=rng.choice([0, 0, 1, 3]),
        backoff_s=rng.choice([0.1, 1.0, 3.0]),
        grace_s=rng.choice([0.5, 2.0]),
        on_lost=rng.choice([None, "fail", "resume"]),
        timeout_s=rng.choice([None] * 6 + [3.0, 10.0]),
        queue_timeout_s=rng.choice([None] * 7 + [2.0, 8.0]),
        stall_after_s=3.0 if stalls or rng.random() < 0.2 else None,
        on_stall=rng.choice([None, "alert", "cancel", "restart", "restart"]),
    )
    return Plan(
        spec,
        items=rng.randint(0, 12),
        pace=rng.choice([0.01, 0.1, 0.4, 0.8]),
        every=rng.randint(1, 4),
        exit_code=0 if rng.random() < 0.9 else rng.choice([1, 3]),
        fails_until=rng.choice([0] * 6 + [1, 2]),
        deaf=rng.random() < 0.2,
        blocks=function and rng.random() < 0.1,
        stalls_at=rng.randint(0, 3) if stalls else None,
        leftover=rng.choice([0.0, 0.0, 0.3]),
    )
