"""What a drain does with each job."""

from __future__ import annotations

from itertools import product

import pytest

from jobkeepd.core.drain import decide_drain

CASES = list(product((True, False), (True, False), ("wait", "leave")))


@pytest.mark.parametrize(("is_function", "stopping", "commands"), CASES)
def test_what_was_not_sent_is_never_sent(is_function: bool, stopping: bool, commands: str) -> None:
    """Whatever it is."""
    assert decide_drain(sent=False, is_function=is_function, stopping=stopping, commands=commands) == "revoke"


def test_functions_are_interrupted_and_commands_are_not() -> None:
    """A command has no checkpoint: it is waited for, or left."""
    assert decide_drain(sent=True, is_function=True, stopping=False, commands="leave") == "interrupt"
    assert decide_drain(sent=True, is_function=False, stopping=False, commands="leave") == "leave"
    assert decide_drain(sent=True, is_function=False, stopping=False, commands="wait") == "wait"


@pytest.mark.parametrize("is_function", [True, False])
def test_what_is_being_stopped_is_waited_for(is_function: bool) -> None:
    """A drain softens no cancellation."""
    assert decide_drain(sent=True, is_function=is_function, stopping=True, commands="leave") == "wait"
