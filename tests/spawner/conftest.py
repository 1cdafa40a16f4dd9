"""A spawner in a runtime directory of its own, and its slot s1."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobkeepd.spawner import record

from .wire import Peer, put_down_slots, start_spawner


@pytest.fixture
def runtime() -> Iterator[Path]:
    """Short, since socket paths are limited."""
    path = Path(tempfile.mkdtemp(prefix="jk"))
    process = start_spawner(path)
    yield path
    put_down_slots(path)
    process.kill()
    process.wait(60)
    shutil.rmtree(path)


@pytest.fixture
def spawner(runtime: Path) -> Iterator[Peer]:
    peer = Peer(record.spawner_socket(str(runtime)))
    hello = peer.next()
    assert hello is not None
    assert hello["protocol"] == record.PROTOCOL
    yield peer
    peer.close()


@pytest.fixture
def shim(spawner: Peer) -> int:
    """The pid of slot s1."""
    spawner.send(id=1, op="open", slot="s1")
    answer = spawner.next()
    assert answer is not None
    return int(answer["pid"])
