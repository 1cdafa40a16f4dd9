"""Every command line that running text names is one that there is."""

from __future__ import annotations

import shlex

import pytest

from .commands import is_command, refusal_of
from .exceptions import NO_COMMAND
from .pages import PAGES, phrases_of

PHRASES = sorted({phrase for page in PAGES for phrase in phrases_of(page) if is_command(phrase)})


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_command_line_of_the_text_is_one(phrase: str) -> None:
    """The parser takes it as it stands, with something for its placeholders."""
    if phrase not in NO_COMMAND:
        assert refusal_of(shlex.split(phrase)) is None


def test_there_are_command_lines_and_no_exception_is_left_over() -> None:
    """Or the test above would prove nothing."""
    assert len(PHRASES) > 90
    assert {*NO_COMMAND} <= {*PHRASES}
