"""From names to handlers, and what is wrong with a call."""

from __future__ import annotations

from typing import Any

import pytest

from jobkeep.protocol.jobs import JobSpec
from jobkeep.protocol.registry import INTERFACES
from jobkeepd import errors
from jobkeepd.latch import Latch
from jobkeepd.rpc.routes import handlers, routes
from rpc.conftest import Client, Served
from rpc.fakes import FakeDaemon

pytestmark = pytest.mark.anyio

GET = "org.jobkeep.Jobs.Get"
SUBMIT = "org.jobkeep.Jobs.Submit"


def test_every_method_of_every_interface_is_routed() -> None:
    """And nothing else is."""
    services = FakeDaemon("/nowhere").services
    declared = {f"{name}.{method.name}" for name, interface in INTERFACES.items() for method in interface.methods}

    assert set(handlers(services)) == declared
    assert set(routes(services)) == declared


async def test_an_unknown_method_is_named(client: Client) -> None:
    """The interface is there, the method is not."""
    said = await client.error("org.jobkeep.Jobs.Fly")

    assert said == ("MethodNotFound", {"method": "org.jobkeep.Jobs.Fly"})


@pytest.mark.parametrize("method", ["org.example.Shop.Buy", "nonsense", "", "."])
async def test_an_unknown_interface_is_named(client: Client, method: str) -> None:
    """Whatever the name looks like."""
    said = await client.error(method)

    assert said == ("InterfaceNotFound", {"interface": method.rpartition(".")[0]})


async def test_a_stream_needs_more(client: Client) -> None:
    """Without the flag a caller could not tell where it ends."""
    assert (await client.error("org.jobkeep.Jobs.Events"))[0] == "ExpectedMore"


@pytest.mark.parametrize(
    ("method", "parameters", "place"),
    [
        (GET, {}, "id"),
        (GET, {"id": 7}, "id"),
        (GET, {"id": "a", "colour": 1}, "colour"),
        (GET, {"id": "NOT AN ID"}, "id"),
        (SUBMIT, {"spec": {"command": ["a", 4]}}, "spec.command[1]"),
        (SUBMIT, {"spec": {"command": ["a"], "shell": True}}, "spec.shell"),
        (SUBMIT, {"spec": {"command": ["a"], "priority": 10_000}}, "spec.priority"),
        (SUBMIT, {"spec": {"command": ["a"], "on_lost": "panic"}}, "spec.on_lost"),
    ],
)
async def test_a_wrong_parameter_is_named_by_its_path(
    client: Client, method: str, parameters: dict[str, Any], place: str
) -> None:
    """And a sentence says what is wrong with it."""
    name, said = await client.error(method, **parameters)

    assert name == "InvalidParameter"
    assert said["parameter"] == place
    assert said["message"].startswith(f"{place}: ")


async def test_what_may_be_absent_may_be_null(served: Served, client: Client) -> None:
    """Varlink makes no difference, so typed clients send either; inside of arguments a null is a value."""
    spec = {"function": "m:f", "command": None, "priority": None, "arguments": {"x": None}}
    id = (await client.call(SUBMIT, spec=spec, request_id=None, on_conflict=None))["id"]

    job = await served.daemon.store.get(id)
    assert job.spec == JobSpec(function="m:f", arguments={"x": None})


async def test_parameters_may_be_absent_or_null(client: Client) -> None:
    """For methods that need none."""
    client.write(b'{"method":"org.varlink.service.GetInfo"}\0')
    client.write(b'{"method":"org.varlink.service.GetInfo","parameters":null}\0')

    assert await client.reply() == await client.reply()


async def test_a_bug_is_answered_with_a_reference_into_the_log(
    served: Served, client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The caller learns nothing else of it, and the connection lives."""

    def fail(job: object) -> None:
        raise ZeroDivisionError("secret")

    await served.daemon.submitted("abc")
    monkeypatch.setattr(served.daemon.jobs, "live", fail)
    for method, parameters in ((GET, {"id": "abc"}), (GET, {"id": "ab"})):  # at once, and later
        name, said = await client.error(method, **parameters)

        assert name == "Internal"
        assert "secret" not in said["message"]
        logged = capsys.readouterr().out
        assert said["reference"] in logged
        assert "secret" in logged


@pytest.mark.parametrize(
    ("raised", "name", "facts"),
    [
        (errors.StorageFull("full"), "StorageFull", {}),
        (errors.StorageFailed("broken"), "StorageFailed", {}),
        (errors.Corrupt("damaged"), "StorageFailed", {}),
        (errors.ShuttingDown(), "ShuttingDown", {}),
        (errors.KeyTaken("k", "abc", "running", 0.0), "KeyConflict", {"key": "k", "id": "abc", "state": "running"}),
        (errors.RequestMismatch("r"), "RequestMismatch", {"request_id": "r"}),
        (errors.AmbiguousJob("a", ("a1", "a2")), "Ambiguous", {"id": "a", "matches": ["a1", "a2"]}),
        (errors.IllegalTransition("abc", "failed", "cancel", "no"), "Refused", {"action": "cancel", "reason": "no"}),
        (errors.RunnerError("?"), "Internal", {}),
    ],
)
async def test_errors_of_the_daemon_have_names_and_facts(
    served: Served, client: Client, monkeypatch: pytest.MonkeyPatch, raised: Exception, name: str, facts: dict[str, Any]
) -> None:
    """One table from exceptions to errors of the wire."""

    answer: Latch[Exception] = Latch()
    answer.set(raised)
    monkeypatch.setattr(served.daemon.jobs, "submit", lambda *_, **__: answer)
    said, parameters = await client.error(SUBMIT, spec={"command": ["true"]})

    assert said == name
    assert parameters["message"]
    assert facts.items() <= parameters.items()
