"""One blocking client for many threads, and on both sides of a fork, while connections break."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import jobkeep
from jobkeep.client import keeper

from .every_call import CALLS, UNSAFE, done_blocking
from .fake_daemon import Called, Drop, FakeDaemon, event, job
from .faucet import EVENTS, LOG, Faucet, end_connection
from .lock_scripts import Granting

# It says so since Python 3.12; these tests are about exactly that.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
PATIENCE_S = 60
THREADS = 8


@pytest.fixture
def faucet(tmp_path: Path) -> Iterator[Faucet]:
    faucet = Faucet(str(tmp_path / "socket"))
    yield faucet
    faucet.stop()


def in_child(work: Callable[[], Any]) -> int:
    """What the child ends with: 0 if all went well. One that hangs is ended by a signal."""
    child = os.fork()
    if child == 0:
        signal.alarm(PATIENCE_S)
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_threads_get_their_own_replies_while_connections_break(daemon: FakeDaemon) -> None:
    """Every fifth reply is the end of its connection; each call is asked again and gets what it has asked for."""
    lots = random.Random(7)

    def answer(called: Called) -> Any:
        return Drop() if lots.random() < 0.2 else {"job": job(called.parameters["id"])}

    daemon.on("Jobs.Get", answer)
    ids = [f"j{number}" for number in range(400)]
    with jobkeep.connect_blocking(daemon.path) as jk, ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(lambda id: jk.job(id).info().id, ids)) == ids


def test_threads_make_every_call_at_once(faucet: Faucet) -> None:
    """In an order of their own, with a connection that ends now and then: nobody gets another's reply."""
    names = sorted({*CALLS} - UNSAFE - {"status"})
    with jobkeep.connect_blocking(faucet.path) as jk:
        whole = {name: str(done_blocking(CALLS[name](jk))) for name in names}

        def walk(seed: int) -> None:
            order = random.Random(seed).sample(names, len(names))
            for name in order:
                if seed == 0:
                    faucet.arm(200, end_connection)
                assert str(done_blocking(CALLS[name](jk))) == whole[name], name

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(walk, range(THREADS)))


def test_a_child_and_its_parent_go_on_each_for_itself(faucet: Faucet) -> None:
    """The fork comes while other threads are in the midst of calls; both sides make all calls afterwards."""
    names = sorted({*CALLS} - {"status"})
    with jobkeep.connect_blocking(faucet.path) as jk:
        whole = {name: str(done_blocking(CALLS[name](jk))) for name in names}

        def walk() -> None:
            for name in names:
                assert str(done_blocking(CALLS[name](jk))) == whole[name], name

        with ThreadPoolExecutor(4) as pool:
            others = [pool.submit(walk) for _ in range(4)]
            codes = [in_child(walk) for _ in range(3)]
            for other in others:
                other.result()
        assert codes == [0, 0, 0]
        walk()


def test_a_stream_that_is_half_read_goes_on_on_both_sides_of_a_fork(daemon: FakeDaemon) -> None:
    """Each side reads the rest over a connection of its own, or over the one that was its own before."""
    def events(called: Called) -> Any:
        after = called.parameters["after"]
        return [event(seq) for seq in range(after + 1, 7)]

    daemon.on("Jobs.Events", events)
    with jobkeep.connect_blocking(daemon.path) as jk:
        stream = jk.events(after=0)
        first = [next(stream).seq for _ in range(2)]

        def read_on() -> None:
            assert [entry.seq for entry in stream] == [3, 4, 5, 6]

        assert in_child(read_on) == 0
        read_on()
    assert first == [1, 2]


def test_a_child_keeps_its_locks_whatever_its_parents_keepers_were_doing(daemon: FakeDaemon) -> None:
    """One of them may have been taking or giving back its link in the very moment of the fork."""
    Granting(daemon, linger_s=0.05)
    with jobkeep.connect_blocking(daemon.path) as jk:

        def take() -> None:
            with jk.lock("crm") as lease:
                granted = lease._until
                while lease._until == granted:  # it is renewed
                    lease.check()
                    time.sleep(0.01)

        with keeper._links._cond:  # type: ignore[attr-defined]
            code = in_child(take)
        assert code == 0


def test_what_the_walks_compare_is_whole(faucet: Faucet) -> None:
    """A log is all of it, a journal ends with its job."""
    with jobkeep.connect_blocking(faucet.path) as jk:
        assert "\n".join(done_blocking(CALLS["job.logs"](jk))).encode() + b"\n" == LOG
        assert [entry.seq for entry in done_blocking(CALLS["job.events"](jk))] == [*range(1, EVENTS + 1)]
