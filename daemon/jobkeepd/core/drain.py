"""What a drain does with each job that is on its way or runs: pure."""

from __future__ import annotations

from typing import Literal

from jobkeep.protocol.vocabulary import DrainCommands

# revoke: its start was not sent, and is not going to be. interrupt: at its next checkpoint. wait: for its own end.
# leave: it goes on, and nobody waits.
DrainFate = Literal["revoke", "interrupt", "wait", "leave"]


def decide_drain(*, sent: bool, is_function: bool, stopping: bool, commands: DrainCommands) -> DrainFate:
    """`stopping`: somebody, or its timeout, is ending the run already, which no drain may soften."""
    if not sent:
        return "revoke"
    if stopping:
        return "wait"
    if is_function:
        return "interrupt"
    return commands
