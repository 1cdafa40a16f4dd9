"""Errors of the wire become exceptions by one table."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

import jobkeep
from jobkeep import errors
from jobkeep.client import faults, routes
from jobkeep.client.requests import get
from jobkeep.protocol.faults import FAULTS, Fault
from jobkeep.protocol.interface import Method

from .fake_daemon import FakeDaemon, Refusal

VALUES: dict[str, Any] = {
    "message": "it is so", "id": "j1", "matches": ["j1", "j12"], "key": "k", "state": "failed", "since_s": 1.5,
    "action": "cancel", "reason": "over", "field": "queue", "queue": "q", "known": ["default"], "size": 2, "limit": 1,
    "request_id": "r", "run": 2, "worker": "w", "uid": 7, "after": 3, "reference": "x1", "schedule": "nightly",
    "name": "l", "kind": "run", "job": "j1", "pid": 5, "token": 4, "protocol": 3, "oldest": 1, "newest": 2,
    "first": 8, "role": "viewer", "needed": "operator", "hint": "ask them",
    "most": 9,
}  # fmt: skip
RUN_AS_TEXT = {"StaleToken", "NotThisRun"}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_has_an_exception_with_its_facts(name: str) -> None:
    """Each error of the protocol is an exception that keeps the message, and the facts it has a place for."""
    values = dict(VALUES, run="j1.2") if FAULTS[name].__name__ in RUN_AS_TEXT else VALUES
    fault = {field: values[field] for field in FAULTS[name].__struct_fields__}

    error = faults.exception(name, msgspec.Raw(msgspec.json.encode(fault)))

    assert str(error) == "it is so"
    assert type(error) is not errors.DaemonError or name.endswith(".Internal")
    assert {field: getattr(error, field) for field in fault if field in vars(error)}.items() <= fault.items()


def test_the_table_has_no_more_than_there_is() -> None:
    """Table and protocol name the same errors."""
    assert set(faults.EXCEPTIONS) == set(FAULTS.values())


@pytest.mark.parametrize(
    ("name", "parameters", "kind"),
    [
        ("org.varlink.service.InvalidParameter", {"parameter": "spec.queue"}, errors.InvalidRequest),
        ("org.varlink.service.MethodNotFound", {"method": "a.b.C"}, errors.ProtocolError),
        ("org.varlink.service.MethodNotImplemented", {"method": "a.b.C"}, errors.ProtocolError),
        ("org.varlink.service.InterfaceNotFound", {"interface": "a.b"}, errors.ProtocolError),
        ("org.varlink.service.ExpectedMore", {}, errors.ProtocolError),
        ("org.varlink.service.PermissionDenied", {}, errors.NotPermitted),
        ("org.jobkeep.Jobs.Newer", {"message": "unheard of"}, errors.DaemonError),
        ("org.jobkeep.Jobs.NotFound", {"unknown": "shape"}, errors.DaemonError),
        ("org.jobkeep.Jobs.Newer", [], errors.DaemonError),
    ],
)
def test_other_errors_keep_their_sense(name: str, parameters: object, kind: type[Exception]) -> None:
    """Varlink's own errors have classes, and one that we do not know keeps its name."""
    error = faults.exception(name, msgspec.Raw(msgspec.json.encode(parameters)))

    assert type(error) is kind
    assert getattr(error, "name", name) == name


def test_every_exception_is_exported() -> None:
    """All errors can be caught as jobkeep.NAME."""
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, BaseException) and value.__module__ == errors.__name__:
            assert getattr(jobkeep, name) is value


def test_a_reply_that_makes_no_sense_is_a_protocol_error() -> None:
    """What is not JSON, or not what the method answers, is named as such."""
    for message in (b"no json", b"[]", b'{"parameters":{"job":7}}', b"{}", b"[" * 100_000):
        with pytest.raises(errors.ProtocolError, match=r"org\.jobkeep\.Jobs\.Get"):
            get("j1").reply(message)


def test_routes_agree_with_the_protocol() -> None:
    """Every method that people call has a route, with the reply type it declares."""
    declared: dict[str, Method] = {
        f"{interface.name}.{method.name}": method for interface in routes.INTERFACES for method in interface.methods
    }
    known = {route.method: route for route in routes.ALL if not route.method.startswith("org.varlink")}

    assert {name: known[name].reply for name in known} == {name: declared[name].reply for name in known}
    assert set(known) == set(declared)


def test_a_refusal_arrives_as_its_exception(daemon: FakeDaemon) -> None:
    """Through a connection as well, id and reason are attributes."""
    parameters = {"message": "it is over", "id": "j1", "action": "cancel", "reason": "it has ended", "state": "failed"}
    daemon.on("Jobs.Cancel", Refusal("org.jobkeep.Jobs.Refused", parameters))

    with jobkeep.connect_blocking(daemon.path) as jk, pytest.raises(jobkeep.ActionRefused, match="over") as caught:
        jk.job("j1").cancel()

    assert (caught.value.id, caught.value.reason, caught.value.state) == ("j1", "it has ended", "failed")


def test_faults_are_distinct() -> None:
    """No two errors share a class of parameters."""
    kinds: list[type[Fault]] = list(FAULTS.values())

    assert len(set(kinds)) == len(kinds)
