"""What concerns all tests."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# As a shell starts what is in its background, or nohup does: programs that tests send it to would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

OF_TESTS = ("JOBKEEP_FIRST_SEED", "JOBKEEP_SYSTEMD_CACHE", "JOBKEEP_SYSTEMD_SUITE")
for name in {*os.environ} - {*OF_TESTS}:  # what a shell says to jobkeep is not meant for its tests
    if name.startswith("JOBKEEP_") or name in ("TRACEPARENT", "TRACESTATE", "NOTIFY_SOCKET"):
        del os.environ[name]

# The same examples each time, however slow the host is; `pytest --hypothesis-profile=default` looks for others.
settings.register_profile("repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")


def pytest_collection_finish() -> None:
    """What is there before the first test stays: not to look at it makes the collections below cheap."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def leaks_are_found_at_home() -> Iterator[None]:
    """What the tests of a module leave unclosed fails the last of them, and not a stranger that collects it later."""
    yield
    gc.collect()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the one that takes longest, so that the others run beside it."""
    items.sort(key=lambda item: "test_torture" not in item.nodeid)
