"""`python -m bench [--only NAME…] [--rounds N] [--json FILE] [--chart FILE] [--check]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench import chart, report, rpc
from bench.batches import Durable, FlatMemory, NullStore, NullStorePlain
from bench.clusters import MapMemory, MapOverhead
from bench.cold_start import ColdLs, ColdRun, ColdShow
from bench.commands import Commands, CommandsVsSequence, CommandsVsSpooler
from bench.dashboard import FirstPage, ManyPages, Storm, StormyPage
from bench.functions import Functions, FunctionsVsDbos, FunctionsVsHuey, FunctionsVsRq
from bench.idle import Idle
from bench.listing import Listing
from bench.many import Clients, InFlight
from bench.measure import Figure, Measure, NotHere, interleave
from bench.memory import CommandMemory, DaemonMemory
from bench.ownership import Ownership, OwnershipFirst, OwnershipPause
from bench.rig import Rig
from bench.slot import Slots
from bench.submit import Submit
from bench.submits import SubmitBulk, SubmitClients
from bench.watchers import Watchers

MEASURES: tuple[type[Measure], ...] = (
    rpc.DaemonRead,
    rpc.AsyncioRead,
    rpc.BlockingRead,
    InFlight,
    Clients,
    Submit,
    SubmitClients,
    SubmitBulk,
    Commands,
    CommandsVsSpooler,
    Watchers,
    FunctionsVsHuey,
    FunctionsVsRq,
    FunctionsVsDbos,
    NullStore,
    NullStorePlain,
    Durable,
    FlatMemory,
    MapOverhead,
    MapMemory,
    rpc.OldJobRead,
    rpc.ListRead,
    Listing,
    ColdLs,
    ColdShow,
    ColdRun,
    Idle,
    CommandMemory,
    Slots,
    FirstPage,
    Storm,
    StormyPage,
    ManyPages,
    Ownership,
    OwnershipPause,
    # for information
    OwnershipFirst,
    rpc.BytesRead,
    rpc.AsyncioReadVsBlocking,
    CommandsVsSequence,
    Functions,
    DaemonMemory,
)
NAMES = [measure.name for measure in MEASURES]


CHART = Path(__file__).parents[1] / "bench/chart.svg"


def main() -> int:
    options = arguments()
    chosen = [measure() for measure in MEASURES if not options.only or measure.name in options.only]
    conditions = report.Conditions.now(options.rounds)
    figures, absent = run(chosen, options.rounds, options.dir)
    print(report.table(figures, absent))
    print(conditions)
    text = report.as_json(figures, absent, conditions)
    if options.json:
        Path(options.json).write_text(text + "\n", encoding="utf-8")
    else:
        print("\n" + text)
    if path := options.chart or (None if options.only else CHART):
        Path(path).write_text(chart.svg(chart.bars(figures), str(conditions)), encoding="utf-8")
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
    parser.add_argument("--chart", metavar="FILE", help="draw the chart there (default without --only: README's)")
    parser.add_argument("--check", action="store_true", help="exit 1 if a promise is missed")
    return parser.parse_args()


def run(measures: list[Measure], rounds: int, disk: str | None) -> tuple[list[Figure], dict[str, str]]:
    """The figures, and why there are none of some measures."""

    def told(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    rig = Rig(disk)
    ready: list[Measure] = []
    absent: dict[str, str] = {}
    try:
        for measure in measures:
            told(f"prepare: {measure.name}")
            try:
                measure.prepare(rig)
            except NotHere as why:
                absent[measure.name] = str(why)
            else:
                ready.append(measure)
        return interleave(ready, rounds, told), absent
    finally:
        rig.close()


if __name__ == "__main__":
    sys.exit(main())
