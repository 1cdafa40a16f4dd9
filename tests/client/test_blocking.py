"""The blocking client: threads, forks, repeats."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import jobkeep
from jobkeep.blocking.channel import BlockingChannel
from jobkeep.blocking.client import BlockingClient
from jobkeep.client import patience
from jobkeep.client.plain import PlainConnection

from .fake_daemon import Called, Drop, FakeDaemon, event, job


def echo_id(called: Called) -> dict[str, Any]:
    return {"job": job(called.parameters["id"])}


def test_threads_share_a_client(daemon: FakeDaemon) -> None:
    """Calls of many threads at once each get their own reply."""
    daemon.on("Jobs.Get", echo_id)
    ids = [f"j{number}" for number in range(200)]

    with jobkeep.connect_blocking(daemon.path) as jk, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda id: jk.job(id).info().id, ids))

    assert found == ids


def test_a_long_wait_does_not_hold_up_other_threads(daemon: FakeDaemon) -> None:
    """While one thread waits for a job, another one's call is answered."""
    go = threading.Event()
    daemon.on("Jobs.Wait", lambda called: {"jobs": [job()], "timed_out": not go.wait(60)})
    daemon.on("Jobs.Get", echo_id)

    with jobkeep.connect_blocking(daemon.path) as jk, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(jk.job("abc12345").wait)
        daemon.received("Jobs.Wait")
        assert jk.job("other").info().id == "other"
        go.set()
        assert waiting.result(60).id == "abc12345"


def test_a_forked_child_uses_connections_of_its_own(daemon: FakeDaemon) -> None:
    """After a fork, parent and child do not take each other's replies."""
    daemon.on("Jobs.Get", echo_id)
    with jobkeep.connect_blocking(daemon.path) as jk:
        jk.job("before").info()
        child = os.fork()
        if child == 0:
            os._exit(0 if jk.job("child").info().id == "child" else 1)
        _, status = os.waitpid(child, 0)
        assert jk.job("parent").info().id == "parent"

    before, inside, parent = daemon.received("Jobs.Get", 3)
    assert os.waitstatus_to_exitcode(status) == 0
    assert before.connection == parent.connection != inside.connection


def test_a_connection_refuses_to_be_used_on_both_sides_of_a_fork(daemon: FakeDaemon) -> None:
    """A stream that was begun before a fork cannot be read in the child."""
    connection = PlainConnection(daemon.path, 1.0)
    connection._pid -= 1

    with pytest.raises(jobkeep.ConnectionLost, match="before fork"):
        connection.call("org.jobkeep.Jobs.Get")
    connection.close()


def test_a_read_and_a_submit_survive_a_dropped_connection(daemon: FakeDaemon) -> None:
    """Both are asked again, the submit as the same request."""
    daemon.on("Jobs.Get", Drop(), echo_id)
    daemon.on("Jobs.Submit", Drop(), {"id": "j2", "state": "queued", "created": True})

    with jobkeep.connect_blocking(daemon.path) as jk:
        assert jk.job("j1").info().id == "j1"
        assert jk.call("m:f", {"x": 1}).id == "j2"

    first, second = daemon.received("Jobs.Submit", 2)
    assert first.parameters == second.parameters


def test_a_call_waits_for_a_daemon_that_restarts(daemon: FakeDaemon) -> None:
    """A daemon that comes back in time is found again."""
    daemon.on("Jobs.Get", echo_id)
    with jobkeep.connect_blocking(daemon.path) as jk:
        jk.job("j1").info()
        daemon.stop()
        threading.Timer(0.1, daemon.start).start()

        assert jk.job("j2").info().id == "j2"


def test_an_act_of_unknown_effect_is_not_repeated(daemon: FakeDaemon) -> None:
    """Where twice is more than once, a lost answer is an error."""
    daemon.on("Jobs.Restart", Drop())

    with jobkeep.connect_blocking(daemon.path) as jk, pytest.raises(jobkeep.ConnectionLost):
        jk.job("j1").restart()

    assert len(daemon.received("Jobs.Restart")) == 1


def test_a_stale_idle_connection_harms_no_act(daemon: FakeDaemon) -> None:
    """A connection that the daemon closed while idle is noticed before anything is sent."""
    daemon.on("Jobs.Get", echo_id)
    daemon.on("Jobs.Restart", {"id": "j1", "state": "running"})
    with jobkeep.connect_blocking(daemon.path) as jk:
        jk.job("j1").info()
        daemon.stop()
        daemon.start()

        assert jk.job("j1").restart().state == "running"


def test_silence_closes_the_connection(daemon: FakeDaemon) -> None:
    """A reply that comes too late never answers the next call."""
    go = threading.Event()

    def late(called: Called) -> dict[str, Any]:
        go.wait(60)
        return echo_id(called)

    daemon.on("Jobs.Resume", late)
    daemon.on("Jobs.Get", echo_id)
    with BlockingClient(BlockingChannel(daemon.path, None, restart_s=60, silence_s=0.2)) as jk:
        with pytest.raises(jobkeep.ConnectionLost, match="no answer within"):
            jk.job("late").resume()
        go.set()
        assert jk.job("next").info().id == "next"


def test_a_daemon_that_stays_away_is_waited_for_as_long_as_connect_was_told(daemon: FakeDaemon) -> None:
    """And the error says how to wait for longer."""
    with jobkeep.connect_blocking(daemon.path, patience=0.05) as jk:
        daemon.stop()
        with pytest.raises(jobkeep.DaemonUnreachable) as away:
            next(iter(jk.events(follow=True)))

    assert away.value.waited_s == 0.05
    assert 'connect(patience="5m")' in (away.value.hint or "")


def test_a_daemon_that_never_answers_is_given_up(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for what may be asked again: a long silence is no sign of life."""
    monkeypatch.setattr(patience, "_STEADY_S", 0.01)
    go = threading.Event()
    daemon.on("Jobs.Get", lambda called: {"waited": go.wait(60)})
    client = BlockingClient(BlockingChannel(daemon.path, None, restart_s=0.2, silence_s=0.05))
    with client as jk, pytest.raises(jobkeep.ConnectionLost, match="no answer within"):
        jk.job("j1").info()
    go.set()


def test_streams_break_and_go_on(daemon: FakeDaemon) -> None:
    """Events are taken up again after the last one seen."""
    daemon.on("Jobs.Events", [event(1), Drop()], [event(2), {}])

    with jobkeep.connect_blocking(daemon.path) as jk:
        assert [entry.seq for entry in jk.events(after=0)] == [1, 2]


def test_both_clients_have_the_same_names() -> None:
    """What can be awaited can be had blocking, too."""

    def names(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert names(jobkeep.BlockingClient) == names(jobkeep.Client)
    assert names(jobkeep.BlockingJobHandle) == names(jobkeep.JobHandle)
