"""What has to be true at the end of the demo."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from jobkeep.demo.screen import tally_text
from jobkeep.demo.story import Ending
from jobkeep.demo.witness import finished_twice


class Claim(NamedTuple):
    """A sentence, whether it holds, and the figures behind it."""

    sentence: str
    holds: bool
    details: list[str]


def check(ending: Ending, plain: dict[str, int], every: int) -> list[Claim]:
    """Compare the job with a plain pass and with the start log."""
    return [
        succeeded(ending),
        tallies_equal(ending, plain),
        nothing_skipped(ending),
        failures_kept(ending),
        *little_repeated(ending, every),
    ]


def succeeded(ending: Ending) -> Claim:
    runs = [f"run {run.number}: {run.outcome}" for run in ending.job.runs]
    return Claim("The job succeeded.", ending.job.state == "succeeded", runs)


def tallies_equal(ending: Ending, plain: dict[str, int]) -> Claim:
    kept = dict(ending.job.progress.tallies)
    return Claim(
        "Its tallies equal those of an uninterrupted pass.",
        kept == plain == ending.result and sum(kept.values()) == len(ending.files),
        [f"killed twice   {tally_text(kept)}", f"uninterrupted  {tally_text(plain)}"],
    )


def nothing_skipped(ending: Ending) -> Claim:
    started = {start.item for start in ending.starts}
    missing = sum(item not in started for item in ending.files)
    return Claim("Every file was visited.", missing == 0, [f"{missing} of {len(ending.files)} were left out"])


def failures_kept(ending: Ending) -> Claim:
    """Each item that failed is on record once, with its error."""
    count = ending.job.progress.tallies.get("failed", 0)
    keys = {item.key for item in ending.failed}
    shown = [f"{Path(item.key).name}: {item.error.type}: {item.error.message}"[:100] for item in ending.failed[:3]]
    more = [f"and {count - len(shown)} more"] if count > len(shown) else []
    return Claim(f"Its {count} failed files are on record.", len(keys) == len(ending.failed) == count, shown + more)


def little_repeated(ending: Ending, every: int) -> list[Claim]:
    claims = []
    for death in ending.deaths:
        twice = finished_twice(ending.starts[: death.cut], ending.starts[death.cut :])
        claims.append(
            Claim(
                f"The death of the {death.victim} cost fewer than {every} items.",
                twice < every,
                [f"{twice} finished items were done twice"],
            )
        )
    return claims
