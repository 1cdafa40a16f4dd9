"""What becomes of a submit whose key a live job has: pure.

A key has two slots among the live jobs: 0 holds it, 1 waits for it. So at most one job of a key runs, and at most one
more waits behind it.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from jobkeep.protocol.vocabulary import OnConflict

Party = Literal["holder", "waiter"]


class Resolution(Struct, frozen=True):
    """`insert` the new job into `slot`, after `cancel` was done; or answer with, or refuse because of, `party`."""

    verdict: Literal["insert", "answer", "refuse"]
    slot: int = 0
    cancel: tuple[Party, ...] = ()
    party: Party = "holder"


FREE: Final = Resolution("insert")


def resolve(on_conflict: OnConflict, holder_runs: bool | None, has_waiter: bool) -> Resolution:
    """`holder_runs`: None when nobody has the key; True when the holder's run is open."""
    if holder_runs is None:
        return FREE
    others: tuple[Party, ...] = ("waiter",) if has_waiter else ()
    match on_conflict:
        case "reject":
            return Resolution("refuse")
        case "return":
            return Resolution("answer")
        case "queue":
            return Resolution("refuse", party="waiter") if has_waiter else Resolution("insert", slot=1)
        case "replace_queued":  # the newest request is what waits; what runs goes on
            if holder_runs:
                return Resolution("insert", slot=1, cancel=others)
            return Resolution("insert", cancel=("holder", *others))
        case "cancel_running":
            return Resolution("insert", slot=1 if holder_runs else 0, cancel=("holder", *others))
