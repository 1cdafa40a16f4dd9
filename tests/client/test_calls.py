"""Calls over one connection, on asyncio and on trio."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest

import jobkeep
from jobkeep.client import patience
from jobkeep.client.channel import Channel
from jobkeep.client.client import Client

from .fake_daemon import Called, Drop, FakeDaemon, Refusal, job

pytestmark = pytest.mark.anyio


def echo_id(called: Called) -> dict[str, Any]:
    return {"job": job(called.parameters["id"])}


@pytest.mark.parametrize("chunk", [1, 7, 1000])
async def test_replies_arrive_in_any_pieces(daemon: FakeDaemon, chunk: int) -> None:
    """However the bytes are cut, the reply is the same."""
    daemon.chunk = chunk
    daemon.on("Jobs.Get", echo_id)

    async with jobkeep.connect(daemon.path) as jk:
        assert (await jk.job("j1").info()).id == "j1"


async def test_the_socket_may_be_any_path(daemon: FakeDaemon) -> None:
    """A pathlib.Path as well as a string."""
    daemon.on("Jobs.Get", echo_id)

    async with jobkeep.connect(Path(daemon.path)) as jk:
        assert (await jk.job("j1").info()).id == "j1"
    with jobkeep.connect_blocking(Path(daemon.path)) as blocking:
        assert blocking.job("j1").info().id == "j1"
    with pytest.raises(TypeError):
        jobkeep.connect(7)  # type: ignore[arg-type]


async def test_overlapping_calls_get_their_own_replies(daemon: FakeDaemon) -> None:
    """A hundred calls at once share one connection, and each gets its reply."""
    daemon.on("Jobs.Get", echo_id)
    found: dict[str, str] = {}

    async def ask(jk: Client, id: str) -> None:
        found[id] = (await jk.job(id).info()).id

    async with jobkeep.connect(daemon.path) as jk, anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(ask, jk, f"j{number}")

    assert found == {f"j{number}": f"j{number}" for number in range(100)}
    assert len({call.connection for call in daemon.received("Jobs.Get", 100)}) == 1


async def test_a_cancelled_call_leaves_the_connection_usable(daemon: FakeDaemon) -> None:
    """The reply of a call that was given up is swallowed in its turn."""
    go = threading.Event()

    def slowly(called: Called) -> dict[str, Any]:
        go.wait(60)
        return echo_id(called)

    daemon.on("Jobs.Get", slowly, echo_id)
    async with jobkeep.connect(daemon.path) as jk:
        async with anyio.create_task_group() as group:
            group.start_soon(jk.job("given-up").info)
            await anyio.to_thread.run_sync(daemon.received, "Jobs.Get")
            group.cancel_scope.cancel()
        go.set()

        assert (await jk.job("next").info()).id == "next"
    assert len({call.connection for call in daemon.calls}) == 1


async def test_a_cancelled_reader_passes_the_reading_on(daemon: FakeDaemon) -> None:
    """When the first of several waiting calls is given up, the others still get their replies."""
    go = threading.Event()

    def slowly(called: Called) -> dict[str, Any]:
        go.wait(60)
        return echo_id(called)

    daemon.on("Jobs.Get", slowly, echo_id)
    found: list[str] = []

    async def ask(jk: Client, id: str) -> None:
        found.append((await jk.job(id).info()).id)

    async with jobkeep.connect(daemon.path) as jk, anyio.create_task_group() as others:
        async with anyio.create_task_group() as first:
            first.start_soon(ask, jk, "first")
            await anyio.to_thread.run_sync(daemon.received, "Jobs.Get")
            others.start_soon(ask, jk, "second")
            await anyio.wait_all_tasks_blocked()
            first.cancel_scope.cancel()
        go.set()

    assert found == ["second"]


async def test_a_read_survives_a_dropped_connection(daemon: FakeDaemon) -> None:
    """An idempotent call is asked again over another connection."""
    daemon.on("Jobs.Get", Drop(), echo_id)

    async with jobkeep.connect(daemon.path) as jk:
        assert (await jk.job("j1").info()).id == "j1"

    first, second = daemon.received("Jobs.Get", 2)
    assert first.connection != second.connection


async def test_a_submit_is_repeated_with_its_request_id(daemon: FakeDaemon) -> None:
    """A submit whose answer was lost is sent again, as the same request."""
    daemon.on("Jobs.Submit", Drop(), {"id": "j1", "state": "queued", "created": True})

    async with jobkeep.connect(daemon.path) as jk:
        assert (await jk.run(["true"])).id == "j1"

    first, second = daemon.received("Jobs.Submit", 2)
    assert first.parameters == second.parameters
    assert len(first.parameters["request_id"]) == 32


@pytest.mark.parametrize("method", ["Resume", "Restart"])
async def test_an_act_of_unknown_effect_is_not_repeated(daemon: FakeDaemon, method: str) -> None:
    """Where twice is more than once, a lost answer is an error."""
    daemon.on(f"Jobs.{method}", Drop())

    async with jobkeep.connect(daemon.path) as jk:
        with pytest.raises(jobkeep.ConnectionLost):
            await getattr(jk.job("j1"), method.lower())()

    assert len(daemon.received(f"Jobs.{method}")) == 1


async def test_a_daemon_that_is_about_to_end_is_asked_again(daemon: FakeDaemon) -> None:
    """ShuttingDown means that nothing was taken, so even an act is repeated."""
    refusal = Refusal("org.jobkeep.Admin.ShuttingDown", {"message": "ending"})
    daemon.on("Jobs.Resume", refusal, {"id": "j1", "state": "queued"})

    async with jobkeep.connect(daemon.path) as jk:
        assert (await jk.job("j1").resume()).state == "queued"


async def test_a_daemon_that_stays_away_is_an_error(daemon: FakeDaemon) -> None:
    """After the time that a restart may take, the caller hears of it."""
    async with Client(Channel(daemon.path, None, restart_s=0.05)) as jk:
        daemon.stop()
        with pytest.raises(jobkeep.DaemonUnreachable, match="no such socket"):
            await jk.job("j1").info()


async def test_a_daemon_that_stays_away_is_waited_for_as_long_as_connect_was_told(daemon: FakeDaemon) -> None:
    """And the error says how to wait for longer; one that was never there is an error at once."""
    async with jobkeep.connect(daemon.path, patience="50ms") as jk:
        daemon.stop()
        with anyio.fail_after(5), pytest.raises(jobkeep.DaemonUnreachable) as away:
            await jk.job("j1").result()
        with pytest.raises(jobkeep.DaemonUnreachable) as unresolved:
            await jk.run(["true"])
    with pytest.raises(jobkeep.DaemonUnreachable) as never:
        await jobkeep.connect(daemon.path).__aenter__()

    assert away.value.waited_s == 0.05
    assert 'connect(patience="5m")' in (away.value.hint or "")
    assert "request_id" in (unresolved.value.hint or "")
    assert "patience" in (unresolved.value.hint or "")
    assert (never.value.waited_s, never.value.hint) == (None, None)


async def test_how_long_to_wait_is_a_duration_or_none() -> None:
    """None is for ever."""
    with pytest.raises(jobkeep.InvalidRequest, match="patience: not a duration"):
        jobkeep.connect("s", patience="soon")
    assert patience.limit_s(None) == math.inf


async def test_silence_is_an_error(daemon: FakeDaemon) -> None:
    """A daemon that takes calls and answers none is given up."""
    go = threading.Event()
    daemon.on("Jobs.Resume", lambda called: {"waited": go.wait(60)})

    async with Client(Channel(daemon.path, None, restart_s=0, silence_s=0.05)) as jk:
        with pytest.raises(jobkeep.ConnectionLost, match=r"no answer within 0\.05 s"):
            await jk.job("j1").resume()
    go.set()


async def test_a_daemon_that_never_answers_is_given_up(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for what may be asked again: a long silence is no sign of life."""
    monkeypatch.setattr(patience, "_STEADY_S", 0.01)
    go = threading.Event()
    daemon.on("Jobs.Get", lambda called: {"waited": go.wait(60)})
    async with Client(Channel(daemon.path, None, restart_s=0.2, silence_s=0.05)) as jk:
        with anyio.fail_after(60), pytest.raises(jobkeep.ConnectionLost, match=r"no answer within 0\.05 s"):
            await jk.job("j1").info()
    go.set()


async def test_a_closed_client_says_so(daemon: FakeDaemon) -> None:
    """Calls after the end of the `async with` block fail at once."""
    async with Client(Channel(daemon.path, None)) as jk:
        pass

    with pytest.raises(jobkeep.DaemonUnreachable, match="closed"):
        await jk.job("j1").wait()
