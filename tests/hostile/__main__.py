"""The long form: `python -m hostile [--messages N] [--seconds S] [--only WORD…]`; it exits 1 if a promise is broken."""

from __future__ import annotations

import argparse
import sys

from hostile.scene import GROWTH, MIB, Outcome, Scene, scene

P99 = 0.1  # seconds that another client's calls take at most, all but one of a hundred


def plan(messages: int) -> dict[str, list[list[str]]]:
    """What attacks at the same time."""
    each = str(messages // 2)
    return {
        "5,000 idle connections": [["idle", "5000"]],
        "1,000 slow writers": [["slow", "1000"]],
        "200 that never read": [["deaf", "200", "100"]],
        "1,000 half open": [["half", "1000"]],
        "50 that flood": [["flood", "50"]],
        f"{messages:,} damaged messages": [["fuzz", each, "1"], ["fuzz", each, "2"]],
        "all of it": [
            ["idle", "1000"], ["slow", "300"], ["deaf", "100", "50"], ["half", "300"], ["flood", "20"],
            ["fuzz", str(min(messages, 20_000)), "3"],
        ],
    }  # fmt: skip


def broken(outcome: Outcome) -> list[str]:
    found = []
    if outcome.grown >= GROWTH:
        found.append(f"{outcome.name}: the daemon has grown by {outcome.grown / MIB:.1f} MiB")
    if outcome.at(0.99) >= P99:
        found.append(f"{outcome.name}: p99 of another client is {outcome.at(0.99) * 1e3:.0f} ms")
    return found


def run(place: Scene, asked: argparse.Namespace) -> list[str]:
    found: list[str] = []
    for name, attackers in {"nobody": [["idle", "0"]], **plan(asked.messages)}.items():
        if asked.only and not any(word in name for word in asked.only):
            continue
        outcome = place.attack(name, *attackers, seconds=asked.seconds)
        print(outcome, flush=True)
        found += broken(outcome)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="hostile", description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each attack")
    parser.add_argument("--only", nargs="*", metavar="WORD", help="attacks with one of these words in their names")
    asked = parser.parse_args()
    with scene() as place:
        before = place.daemon.pid
        found = run(place, asked)
        if place.daemon.pid != before:
            found.append("the daemon has not survived")
    for each in found:
        print(f"broken: {each}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
