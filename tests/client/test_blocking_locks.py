"""Locks of a program without event loop: nothing can stop it, but it can ask, and it hears of it in the end."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

import jobkeep
from jobkeep.client.plain import PlainConnection

from .fake_daemon import Drop, FakeDaemon
from .lock_scripts import HELD, LOST, Granting

PATIENCE_S = 60.0


def until_lost(lease: jobkeep.Lease) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not lease.lost:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_lock_is_held_renewed_and_given_back(daemon: FakeDaemon) -> None:
    """As with await."""
    others = {*threading.enumerate()}
    Granting(daemon, linger_s=0.05)
    with jobkeep.connect_blocking(daemon.path) as jk, jk.lock("crm", ttl=1.5, wait="1m") as lease:
        assert (lease.name, lease.token, lease.lost) == ("crm", 7, False)
        daemon.received("Locks.Renew", 4)
        lease.check()
    assert daemon.received("Locks.Release")[0].parameters == {"name": "crm", "token": 7}
    for keeper in [thread for thread in {*threading.enumerate()} - others if thread.name == "lock crm"]:
        keeper.join(PATIENCE_S)
        assert not keeper.is_alive()


def test_a_lost_lease_shows_at_once_and_is_raised_at_the_end(daemon: FakeDaemon) -> None:
    """Whether the block looked or not."""
    granting = Granting(daemon)
    with jobkeep.connect_blocking(daemon.path) as jk, pytest.raises(jobkeep.LeaseLost), jk.lock("crm") as lease:  # noqa: PT012
        daemon.received("Locks.Renew")
        granting.lost.set()
        until_lost(lease)
        with pytest.raises(jobkeep.LeaseLost, match="the lock crm is lost"):
            lease.check()
    assert daemon.received("Locks.GiveUp")


def test_without_a_daemon_the_lease_is_lost_after_its_ttl(daemon: FakeDaemon) -> None:
    """And no time is lost with giving back what nobody can take."""
    Granting(daemon, ttl_s=0.5)
    with jobkeep.connect_blocking(daemon.path) as jk:
        with pytest.raises(jobkeep.LeaseLost, match="not renewed"), jk.lock("crm") as lease:  # noqa: PT012
            daemon.stop()
            until_lost(lease)
            lost = time.monotonic()
        assert time.monotonic() - lost < 5


def test_what_the_block_raises_is_what_comes_out(daemon: FakeDaemon) -> None:
    """Also when the lock cannot be given back."""
    Granting(daemon)
    with jobkeep.connect_blocking(daemon.path) as jk, pytest.raises(ValueError, match="mine"), jk.lock("crm"):  # noqa: PT012
        daemon.stop()
        raise ValueError("mine")


def test_a_lock_that_is_held_says_by_whom(daemon: FakeDaemon) -> None:
    """As with await."""
    daemon.on("Locks.Acquire", HELD)
    with jobkeep.connect_blocking(daemon.path) as jk, pytest.raises(jobkeep.LockHeld, match="held by job j9"):
        jk.lock("crm", wait=1).__enter__()


def test_an_interrupt_while_it_waits_gives_up(daemon: FakeDaemon) -> None:
    """The lock may have been granted in that moment."""
    granting = Granting(daemon)
    daemon.on("Locks.Acquire", lambda called: granting.lost.wait(PATIENCE_S) and HELD or HELD)

    def interrupt() -> None:
        daemon.received("Locks.Acquire")
        os.kill(os.getpid(), signal.SIGINT)

    with jobkeep.connect_blocking(daemon.path) as jk, pytest.raises(KeyboardInterrupt):  # noqa: PT012
        threading.Thread(target=interrupt).start()
        jk.lock("crm", wait="1h").__enter__()
    granting.lost.set()
    (asked,), (given_up,) = daemon.received("Locks.Acquire"), daemon.received("Locks.GiveUp")
    assert asked.parameters["lease"] == given_up.parameters["lease"]


def test_answers_that_are_lost_make_no_second_grant_and_no_false_loss(daemon: FakeDaemon) -> None:
    """Of Acquire and of Release."""
    granting = Granting(daemon)
    daemon.on("Locks.Acquire", Drop(), {"token": 7, "ttl_s": granting.ttl_s})
    daemon.on("Locks.Release", Drop(), LOST)
    with jobkeep.connect_blocking(daemon.path) as jk, jk.lock("crm"):
        pass
    first, second = daemon.received("Locks.Acquire", 2)
    assert first.parameters["lease"] == second.parameters["lease"]
    assert len(daemon.received("Locks.GiveUp")) == 1


def test_a_forked_child_neither_renews_nor_releases(daemon: FakeDaemon) -> None:
    """The lock stays its parent's, whose connection it does not touch; the child is told so."""
    Granting(daemon, linger_s=0.05)
    with jobkeep.connect_blocking(daemon.path) as jk:
        context = jk.lock("crm")
        lease = context.__enter__()
        child = os.fork()
        if child == 0:
            told = lease.lost
            context.__exit__(None, None, None)
            os._exit(0 if told and threading.active_count() == 1 else 1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert not [called for called in daemon.calls if called.method.endswith(("Release", "GiveUp"))]
        seen = len(daemon.received("Locks.Renew"))
        daemon.received("Locks.Renew", seen + 4)
        assert not lease.lost
        context.__exit__(None, None, None)
    assert len(daemon.received("Locks.Release")) == 1


def test_a_daemon_whose_backlog_is_full_is_not_waited_for_beyond_the_timeout(tmp_path: Path) -> None:
    """It hangs, and the kernel alone would wait for it for ever."""
    path = str(tmp_path / "s")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(0)
    waiting: list[PlainConnection] = []
    refused: list[jobkeep.DaemonUnreachable] = []

    def connect() -> None:
        try:
            while True:
                waiting.append(PlainConnection(path, 0.2))
        except jobkeep.DaemonUnreachable as error:
            refused.append(error)

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert "does not accept connections in time" in str(refused[0])
    for connection in (listener, *waiting):
        connection.close()
