"""How a bridge finds out that a process on the cluster has ended. Without a cluster."""

from __future__ import annotations

import asyncio
import errno
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")

from jobkeep.dask_bridge import pulse
from jobkeep.dask_bridge.cluster import Doors
from jobkeep.dask_bridge.messages import Place
from jobkeep.dask_bridge.pulse import place_of

HERE = "tcp://127.0.0.1:1"  # nobody listens there: the worker's own door is closed
THERE = f"""
from jobkeep.dask_bridge.pulse import place_of
print(place_of({HERE!r}).port, flush=True)
input()
"""


def test_a_process_lives_whatever_its_worker_does_and_is_gone_once_it_is_killed() -> None:
    """However often it is asked; the kernel says so."""
    with subprocess.Popen([sys.executable, "-c", THERE], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        place, doors = Place(HERE, int(process.stdout.readline())), Doors()
        for _ in range(300):
            assert not asyncio.run(doors.is_shut(place))
        process.kill()
        process.wait()
        assert asyncio.run(doors.is_shut(place))


def test_a_refusal_from_where_nobody_was_found_does_not_say_that_a_process_is_gone() -> None:
    """It may be that of a firewall, or of the host in front of the one where it is: its lease decides."""

    async def asked() -> list[bool]:
        doors = Doors()
        first = await doors.is_shut(Place(HERE, 1))
        await doors.find(Place(HERE, 1))
        return [first, await doors.is_shut(Place(HERE, 1))]

    assert asyncio.run(asked()) == [False, False]


def test_a_process_listens_once_for_all_its_runs() -> None:
    """At the same port."""
    assert place_of(HERE) == place_of(HERE)
    assert place_of(HERE).worker == HERE


def test_a_worker_that_others_call_by_an_address_that_its_host_does_not_know_is_asked_all_the_same() -> None:
    """Such as one behind a translation of addresses."""
    outside = place_of("tcp://192.0.2.1:8786")
    assert not asyncio.run(Doors().is_shut(Place(HERE, outside.port)))


def test_of_a_worker_without_a_host_nobody_says_that_it_is_gone() -> None:
    """Then its lease decides."""
    assert not asyncio.run(Doors().is_shut(Place("inproc://one/2", 9)))


def test_a_process_without_descriptors_does_not_ask_for_one_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take a whole core from the function that has used them up."""
    asked, slept = list[str](), list[float]()

    class Listener:
        def accept(self) -> None:
            asked.append("accept")
            raise OSError(errno.EMFILE, "Too many open files") if len(asked) <= 3 else SystemExit

    monkeypatch.setattr(pulse, "time", SimpleNamespace(sleep=slept.append))
    listener: Any = Listener()
    with pytest.raises(SystemExit):
        pulse._answer(listener)
    assert len(slept) == 3
    assert min(slept) > 0
