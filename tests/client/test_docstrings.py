"""What the library says of itself: shapes, units and errors, the same of both clients."""

from __future__ import annotations

import inspect
import re

import pytest

import jobkeep
from jobkeep.errors import JobkeepError

from .test_parity import public

# They raise only what any call may raise, which the client's own docstring lists; `job` asks nothing.
PLAIN = {
    "locks", "queues", "schedules", "sessions", "status", "metrics", "processes", "cleanup", "undrain", "info",
    "stop_daemon", "reload", "check",
}  # fmt: skip
# A block is left in another way where it can be cancelled.
APART = {"lock", "session"}
NAMES = sorted(public(jobkeep.Client, jobkeep.JobHandle))


def said(name: str, blocking: bool = False) -> str:
    client = jobkeep.BlockingClient if blocking else jobkeep.Client
    handle = jobkeep.BlockingJobHandle if blocking else jobkeep.JobHandle
    found = getattr(handle if name.startswith("job.") else client, name.removeprefix("job."))
    return inspect.getdoc(found) or ""


def errors_in(text: str) -> set[str]:
    """The names of exceptions in it."""
    return {word for word in re.findall(r"\b[A-Z]\w+\b", text) if word in dir(jobkeep) and is_error(word)}


def is_error(name: str) -> bool:
    kind = getattr(jobkeep, name)
    return isinstance(kind, type) and issubclass(kind, JobkeepError)


@pytest.mark.parametrize("name", NAMES)
def test_a_method_names_its_errors(name: str) -> None:
    """Each of them is one that can be caught as jobkeep.NAME."""
    text = said(name)
    if name in PLAIN:
        assert "Raises" not in text
    else:
        assert errors_in(text.partition("aises")[2]) or "what `run` does" in text, text


@pytest.mark.parametrize("name", sorted({*NAMES} - APART))
def test_both_clients_say_the_same(name: str) -> None:
    """Word by word, so that neither is forgotten."""
    assert said(name) == said(name, blocking=True)


@pytest.mark.parametrize("client", [jobkeep.Client, jobkeep.BlockingClient])
def test_what_any_call_may_raise_is_said_once(client: type) -> None:
    """By the client itself."""
    common = {"DaemonUnreachable", "ConnectionLost", "ShuttingDown", "OutcomeUnknown", "NotPermitted", "ProtocolError"}
    assert common <= errors_in(inspect.getdoc(client) or "")


@pytest.mark.parametrize("name", sorted({*jobkeep.__all__} - {"__version__"}))
def test_every_public_name_has_a_docstring_of_its_own(name: str) -> None:
    """An error tells what has happened, a class what it is."""
    found = getattr(jobkeep, name)
    assert found.__doc__, name
    assert found.__doc__ not in [base.__doc__ for base in getattr(found, "__mro__", ())[1:]]
