"""What is wrong with a value, as people are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from jobkeep.client.routes import INTERFACES
from jobkeep.protocol.jobs import JobSpec
from jobkeep.protocol.mistakes import form, in_words


def patterns(schema: Any) -> Iterator[str]:
    """All that a JSON schema has."""
    if isinstance(schema, dict):
        yield from (value for name, value in schema.items() if name == "pattern" and isinstance(value, str))
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list | tuple) else ():
        yield from patterns(part)


def test_each_form_that_the_wire_asks_for_has_words() -> None:
    """Nobody is shown a regular expression."""
    found = {
        pattern
        for interface in INTERFACES
        for method in interface.methods
        for pattern in patterns(msgspec.json.schema_components([method.parameters]))
    }
    assert len(found) > 5
    assert [pattern for pattern in found if "text that matches" in form(repr(pattern))] == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"function": "fn.add"}, "Expected MODULE:FUNCTION, such as crm.tasks:refresh - at `$.function`"),
        ({"labels": {"a b": "c"}}, "Expected a name of letters, digits and ._:@/+- only - at `key` in `$.labels`"),
        ({"lock": "a\nb"}, "Expected a name of letters, digits and ._:@/+- only - at `$.lock`"),
        ({"retries": -1}, "Expected `int` >= 0 - at `$.retries`"),
    ],
)
def test_a_message_says_what_is_expected_and_where(given: dict[str, Any], said: str) -> None:
    """What has no regular expression stays as it is."""
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(given, JobSpec)
    assert in_words(str(refused.value)) == said
