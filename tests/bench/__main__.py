"""`python -m bench [--only NAME…] [--rounds N] [--json FILE] [--check]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench import report, rpc
from bench.cold_start import ColdStart
from bench.commands import Commands, CommandsVsSequence
from bench.functions import Functions
from bench.idle import Idle
from bench.measure import Figure, Measure, interleave
from bench.rig import Rig
from bench.submit import Submit

MEASURES: tuple[type[Measure], ...] = (
    rpc.DaemonRead,
    rpc.BytesRead,
    rpc.OldJobRead,
    rpc.BlockingRead,
    rpc.AsyncioRead,
    rpc.AsyncioReadVsBlocking,
    Submit,
    Commands,
    CommandsVsSequence,
    Functions,
    ColdStart,
    Idle,
)
NAMES = [measure.name for measure in MEASURES]


def main() -> int:
    options = arguments()
    chosen = [measure() for measure in MEASURES if not options.only or measure.name in options.only]
    figures = run(chosen, options.rounds, options.dir)
    print(report.table(figures))
    text = report.as_json(figures, options.rounds)
    if options.json:
        Path(options.json).write_text(text + "\n", encoding="utf-8")
    else:
        print("\n" + text)
    missed = [figure.name for figure in figures if figure.held is False]
    if missed:
        print(f"missed: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed and options.check else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Ratios to raw limits, in one interleaved run.")
    parser.add_argument("--only", nargs="+", choices=NAMES, metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--rounds", type=int, default=5, help="of which the medians are taken (default 5)")
    parser.add_argument("--dir", help="a folder on a real disk (default: the system's temporary folder)")
    parser.add_argument("--json", metavar="FILE", help="write the JSON there instead of printing it")
    parser.add_argument("--check", action="store_true", help="exit 1 if a promise is missed")
    return parser.parse_args()


def run(measures: list[Measure], rounds: int, disk: str | None) -> list[Figure]:
    def told(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    rig = Rig(disk)
    try:
        for measure in measures:
            told(f"prepare: {measure.name}")
            measure.prepare(rig)
        return interleave(measures, rounds, told)
    finally:
        rig.close()


if __name__ == "__main__":
    sys.exit(main())
