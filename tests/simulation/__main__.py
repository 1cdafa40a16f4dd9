"""`python -m simulation SEED…` or `FIRST:LAST`: play stories; those that fail are told, and the status is 1."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections import Counter

import structlog

from .world import play


def main(words: list[str]) -> int:
    level = logging.DEBUG if "-v" in words else logging.CRITICAL
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))
    seeds = [seed for word in words if word != "-v" for seed in _seeds(word)]
    told: Counter[str] = Counter()
    states: Counter[str] = Counter()
    happened: Counter[str] = Counter()
    failed, checks, seconds, began = 0, 0, 0.0, time.monotonic()
    for seed in seeds:
        try:
            report = play(seed)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            failed += 1
            print(f"seed {seed} failed; PYTHONHASHSEED=0 python -m simulation -v {seed} replays it")
            traceback.print_exception(error)
            continue
        told += report.told
        states += report.states
        happened += report.happened
        checks += report.checks
        seconds += report.seconds
    print(f"{len(seeds)} seeds, {failed} failed; {sum(states.values())} jobs, {checks} commits checked,")
    print(f"{seconds:.0f} virtual seconds in {time.monotonic() - began:.1f} s")
    print("deeds:", dict(told.most_common()))
    print("happened:", dict(happened.most_common()))
    print("ends:", dict(states.most_common()))
    return 1 if failed else 0


def _seeds(word: str) -> range:
    first, colon, last = word.partition(":")
    return range(int(first), int(last) if colon else int(first) + 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
