"""`python -m crash.torture`: campaigns until the kills are done; status 1 if any of them found a violation."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from crash.torture import campaign


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make torture ARGS=…", description="Kills at random, under load, and judges.")
    parser.add_argument("--kills", type=int, default=1000, help="how many processes are to be killed (1000)")
    parser.add_argument("--seed", type=int, help="of the first campaign; the same seed gives the same schedule")
    parser.add_argument("--minutes", type=float, default=60.0, help="the longest that it may take (60)")
    parser.add_argument("--each", type=int, default=250, help="kills of one campaign, in a home of its own (250)")
    asked = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(1_000_000) if asked.seed is None else asked.seed
    deadline = time.monotonic() + asked.minutes * 60
    left, bad = asked.kills, 0
    while left > 0 and time.monotonic() < deadline:
        size = campaign.Size(min(left, asked.each), deadline - time.monotonic())
        report = campaign.run(Path(tempfile.mkdtemp(prefix="jkt-")), seed, size, lambda text: print(f"   {text}"))
        left, bad, seed = left - report.kills, bad + bool(report.violations), seed + 1
        show(report)
    return 1 if bad else 0


def show(report: campaign.Report) -> None:
    print(f"== seed {report.seed}")
    for line in report.figures:
        print(f"   {line}")
    print(f"   {len(report.violations)} violations" if report.violations else "   no violation")
    for line in report.violations:
        print(f"   ✗ {line}")
    if report.violations:
        print(f"   the home is kept: {report.home}; again: make torture ARGS='--seed {report.seed}'", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
