"""What run, call and submit_many send."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import jobkeep
from jobkeep.blocking.channel import BlockingChannel
from jobkeep.blocking.client import BlockingClient
from jobkeep.client import requests, specs, surroundings
from jobkeep.client.channel import Channel
from jobkeep.client.client import Client
from jobkeep.protocol.jobs import SubmitManyParameters
from jobkeep.protocol.vocabulary import DEFAULT_MESSAGE_LIMIT

from .fake_daemon import Called, Drop, FakeDaemon, Refusal


def accepted(called: Called) -> dict[str, Any]:
    return {"id": "j1", "state": "queued", "created": True}


def test_a_command_carries_its_options_and_surroundings(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options go by their wire names; environment, directory and umask are the caller's, without what is ours."""
    monkeypatch.setenv("PLAIN", "yes")
    monkeypatch.setenv("JOBKEEP_AUTOSTART", "0")
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/x")
    monkeypatch.setenv("RAW", "\udcff")
    daemon.on("Jobs.Submit", accepted)

    with jobkeep.connect_blocking(daemon.path) as jk:
        jk.run(
            ["rsync", "-a"], queue="io", label={"client": "acme"}, timeout="2h", grace=timedelta(seconds=3),
            backoff=1.5, retries=3, on_lost="resume", key="k", on_conflict="return", priority=5, env={"A": "b"},
            request_id="r1", secrets=["A"], name="sync", memory="1.5G", cpu=0.5, nice=5, nofile=4096,
        )  # fmt: skip

    sent = daemon.received("Jobs.Submit")[0].parameters
    environment = sent["spec"].pop("environment")
    umask = os.umask(0)
    os.umask(umask)
    assert sent == {
        "request_id": "r1",
        "on_conflict": "return",
        "spec": {
            "command": ["rsync", "-a"], "queue": "io", "labels": {"client": "acme"}, "timeout_s": 7200.0,
            "grace_s": 3.0, "backoff_s": 1.5, "retries": 3, "on_lost": "resume", "key": "k", "priority": 5,
            "memory_bytes": 3 << 29, "cpu": 0.5, "nice": 5, "nofile": 4096,
            "env": {"A": "b"}, "secrets": ["A"],
            "name": "sync", "cwd": os.getcwd(), **({} if umask == 0o022 else {"umask": umask}),
        },
    }  # fmt: skip
    assert environment["PLAIN"] == "yes"
    assert not {"JOBKEEP_AUTOSTART", "LISTEN_FDS", "NOTIFY_SOCKET", "RAW"} & set(environment)


def test_a_function_is_named_by_where_it_is_imported_from() -> None:
    """A function may be given itself; one that no worker could import is refused."""
    assert specs.call(os.path.join, {"a": 1}, {}).function == "posixpath:join"
    assert specs.call("m:f", None, {}).arguments == {}
    for bad in (lambda: None, "not a function"):
        with pytest.raises(jobkeep.InvalidRequest):
            specs.call(bad, None, {})


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"colour": "red"}, "colour"),
        ({"timeout": "soon"}, "timeout"),
        ({"timeout": [1]}, "timeout"),
        ({"queue": "no good"}, "queue"),
        ({"priority": "high"}, "priority"),
        ({"retries": -1}, "retries"),
        ({"memory": "much"}, "memory"),
        ({"memory": None, "cpu": 0}, "cpu"),
        ({"nice": 20}, "nice"),
    ],
)
def test_a_bad_option_is_refused_before_anything_is_sent(options: dict[str, Any], word: str) -> None:
    """The message names the option."""
    with pytest.raises(jobkeep.InvalidRequest, match=word):
        specs.command(["true"], options)


@pytest.mark.parametrize(
    ("options", "field", "said"),
    [
        ({"queue": "a b"}, "queue", "queue: Expected a name of letters, digits and ._:@/+- only"),
        ({"label": {"a b": "c"}}, "labels", "labels: Expected a name of letters, digits and ._:@/+- only"),
        ({"retries": -1}, "retries", "retries: Expected `int` >= 0"),
    ],
)
def test_a_value_that_is_refused_is_told_in_words(options: dict[str, Any], field: str, said: str) -> None:
    """The option, and what it takes."""
    with pytest.raises(jobkeep.InvalidRequest) as refused:
        specs.command(["true"], options)
    assert (str(refused.value), refused.value.field) == (said, field)


def test_a_function_that_is_written_as_python_does_is_understood() -> None:
    """And told how to write it."""
    with pytest.raises(jobkeep.InvalidRequest, match="'crm.fn.add' is not MODULE:FUNCTION; did you mean crm.fn:add?"):
        specs.call("crm.fn.add", {}, {})


def test_a_command_is_a_list_of_words() -> None:
    """A string is refused rather than run letter by letter."""
    with pytest.raises(jobkeep.InvalidRequest, match="list of words"):
        specs.command("rsync -a", {})


def test_what_json_cannot_say_is_refused() -> None:
    """A value without a JSON form, and a word that is not UTF-8, are the caller's mistakes."""
    with pytest.raises(jobkeep.InvalidRequest, match="JSON"):
        specs.call("m:f", {"x": object()}, {})
    with pytest.raises(jobkeep.InvalidRequest, match="JSON"):
        requests.submit(specs.command(["\udcff"], {}), None, "r1").frame()


def test_a_message_over_the_limit_is_refused() -> None:
    """Nothing over 1 MiB is sent."""
    with pytest.raises(jobkeep.TooLarge, match="1048576"):
        requests.submit(specs.command(["x" * 100_000] * 11, {}), None, "r1").frame()


def test_the_interpreter_is_the_environments_own(tmp_path: Path) -> None:
    """$VIRTUAL_ENV goes first, then .venv in the job's directory, then the caller's Python."""
    for name in ("active", ".venv"):
        (tmp_path / name / "bin").mkdir(parents=True)
        (tmp_path / name / "bin" / "python").symlink_to(sys.executable)
    here, active = str(tmp_path), {"VIRTUAL_ENV": str(tmp_path / "active")}

    assert surroundings.interpreter(here, active) == str(tmp_path / "active/bin/python")
    assert surroundings.interpreter(here, {}) == str(tmp_path / ".venv/bin/python")
    assert surroundings.interpreter("/", {}) == sys.executable
    assert specs.call("m:f", None, {"python": "/usr/bin/python3"}).python == "/usr/bin/python3"


def parameters(request: requests.Request[Any]) -> SubmitManyParameters:
    assert isinstance(request.parameters, SubmitManyParameters)
    return request.parameters


def test_many_items_are_cut_by_number() -> None:
    """A message has at most a thousand items, and its own request id."""
    cut = list(requests.submit_many({"command": ["true"]}, ({"name": f"n{n}"} for n in range(2500)), "bulk"))

    assert [len(parameters(request).items) for request in cut] == [1000, 1000, 500]
    assert [parameters(request).request_id for request in cut] == ["bulk/1", "bulk/2", "bulk/3"]


def test_large_items_are_cut_by_size() -> None:
    """Every message fits the limit, none is smaller than it must be, and no item is lost."""
    items = [{"arguments": {"text": "x" * size}} for size in (400_000, 400_000, 400_000, 10, 900_000)]

    cut = list(requests.submit_many({"function": "m:f"}, items, "bulk"))

    assert [len(parameters(request).items) for request in cut] == [2, 2, 1]
    assert all(len(request.frame()) <= DEFAULT_MESSAGE_LIMIT for request in cut)


def test_an_item_that_fits_no_message_is_refused() -> None:
    """One item over the limit is an error, not an endless cutting."""
    with pytest.raises(jobkeep.TooLarge, match="an item"):
        list(requests.submit_many({"function": "m:f"}, [{"arguments": {"text": "x" * (1 << 20)}}], "bulk"))


def test_many_jobs_are_submitted_in_order(daemon: FakeDaemon) -> None:
    """The handles come in the order of the items; items use the names of options."""
    daemon.on("Jobs.SubmitMany", lambda called: {"ids": [item["name"] for item in called.parameters["items"]]})
    items = [{"name": f"n{n}", "timeout": "1m"} for n in range(1001)]

    with jobkeep.connect_blocking(daemon.path) as jk:
        handles = jk.submit_many({"command": ["true"], "queue": "bulk"}, items)

    sent = daemon.received("Jobs.SubmitMany", 2)[0].parameters
    assert [handle.id for handle in handles] == [item["name"] for item in items]
    assert sent["template"]["queue"] == "bulk"
    assert sent["items"][0] == {"name": "n0", "timeout_s": 60.0}


def test_arguments_that_json_has_no_word_for_are_refused_before_anything_is_sent() -> None:
    """A NaN would arrive as null."""
    with pytest.raises(jobkeep.InvalidRequest, match="nan"):
        specs.call("m:f", {"rate": float("nan")}, {})


def impatient(daemon: FakeDaemon) -> BlockingClient:
    return BlockingClient(BlockingChannel(daemon.path, None, restart_s=0.05))


def test_a_submit_of_unknown_outcome_says_how_to_find_out(daemon: FakeDaemon) -> None:
    """The id that the client has drawn is in the error, and asks for the same job again."""
    daemon.on("Jobs.Submit", Drop())
    with impatient(daemon) as jk:
        with pytest.raises(jobkeep.ConnectionLost) as lost:
            jk.run(["true"])
        drawn = daemon.received("Jobs.Submit")[0].parameters["request_id"]
        assert lost.value.request_id == drawn
        assert drawn in (lost.value.hint or "")
        daemon.on("Jobs.Submit", accepted)
        assert jk.run(["true"], request_id=lost.value.request_id).id == "j1"
    assert {called.parameters["request_id"] for called in daemon.received("Jobs.Submit", 3)} == {drawn}


def test_a_bulk_submit_that_was_refused_half_way_can_be_taken_up_again(daemon: FakeDaemon) -> None:
    """What was accepted is lost to nobody: the error has the id of the whole."""
    full = Refusal("org.jobkeep.Admin.StorageFull", {"message": "no space left"})
    daemon.on("Jobs.SubmitMany", lambda called: {"ids": ["x"] * len(called.parameters["items"])}, full)
    with impatient(daemon) as jk, pytest.raises(jobkeep.StorageFull) as refused:
        jk.submit_many({"command": ["true"]}, [{}] * 1001)
    first = daemon.received("Jobs.SubmitMany", 2)[0].parameters["request_id"]
    assert first == f"{refused.value.request_id}/1"
    assert "what came before it is accepted" in (refused.value.hint or "")


def test_of_a_bulk_submit_that_was_refused_at_once_nothing_is_said_to_be_accepted(daemon: FakeDaemon) -> None:
    """The error is that of any submit."""
    daemon.on("Jobs.SubmitMany", Refusal("org.jobkeep.Admin.StorageFull", {"message": "no space left"}))
    with impatient(daemon) as jk, pytest.raises(jobkeep.StorageFull) as refused:
        jk.submit_many({"command": ["true"]}, [{}])
    assert refused.value.request_id
    assert refused.value.hint is None


@pytest.mark.anyio
async def test_a_submit_of_unknown_outcome_says_how_to_find_out_to_those_who_await(daemon: FakeDaemon) -> None:
    """One at a time, and many."""
    daemon.on("Jobs.Submit", Drop())
    daemon.on("Jobs.SubmitMany", Drop())
    async with Client(Channel(daemon.path, None, restart_s=0.05)) as jk:
        with pytest.raises(jobkeep.ConnectionLost) as lost:
            await jk.call("m:f")
        assert lost.value.request_id == daemon.received("Jobs.Submit")[0].parameters["request_id"]
        with pytest.raises(jobkeep.ConnectionLost) as lost:
            await jk.submit_many({"command": ["true"]}, [{}])
        assert daemon.received("Jobs.SubmitMany")[0].parameters["request_id"] == f"{lost.value.request_id}/1"
