"""Other people's Varlink clients drive us. (asyncvarlink needs annotations that are no strings.)"""

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator
from typing import Any, TypedDict

import asyncvarlink
import pytest
import varlink  # type: ignore[import-untyped]
from asyncvarlink.serviceinterface import VarlinkServiceInterface

from rpc.conftest import WITHIN, Served

pytestmark = pytest.mark.anyio


async def cli(*arguments: str) -> tuple[str, str]:
    """`varlink`, the reference client; (stdout, stderr)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-m", "varlink.cli", *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(WITHIN):
        out, err = await process.communicate()
    return out.decode(), err.decode()


async def test_varlink_info_names_us(served: Served) -> None:
    """Vendor, version and interfaces."""
    out, err = await cli("info", f"unix:{served.path}")

    assert "Product: jobkeepd" in out, err
    assert "org.jobkeep.Jobs" in out


@pytest.mark.parametrize("interface", ["org.varlink.service", "org.jobkeep.Jobs", "org.jobkeep.Worker"])
async def test_varlink_help_prints_an_interface(served: Served, interface: str) -> None:
    """With the comments that the text has."""
    out, err = await cli("help", f"unix:{served.path}/{interface}")

    assert f"interface {interface}" in out, err


async def test_varlink_call_calls(served: Served) -> None:
    """One question, one answer."""
    await served.daemon.finished_job("abc")

    out, err = await cli("call", f"unix:{served.path}/org.jobkeep.Jobs.Get", '{"id":"abc"}')

    assert json.loads(out)["job"]["state"] == "succeeded", err


async def test_varlink_call_shows_errors(served: Served) -> None:
    """By name and with their parameters."""
    _, err = await cli("call", f"unix:{served.path}/org.jobkeep.Jobs.Get", '{"id":"abc"}')

    assert "org.jobkeep.Jobs.NotFound" in err
    assert "there is no job abc" in err


async def test_varlink_call_reads_a_stream_to_its_end(served: Served) -> None:
    """All replies of it."""
    await served.daemon.finished_job("abc")
    (served.logs / "abc").mkdir()
    (served.logs / "abc" / "1.stdout").write_bytes(b"hello")

    out, err = await cli("call", "-m", f"unix:{served.path}/org.jobkeep.Jobs.Logs", '{"id":"abc"}')

    assert base64.b64decode(json.loads(out)["data"]) == b"hello", err


async def test_the_proxy_of_varlink_is_made_from_our_description(served: Served) -> None:
    """It sends null for whatever it is not given, which we take."""

    def talk() -> Any:
        with varlink.Client.new_with_address(f"unix:{served.path}") as client, client.open("org.jobkeep.Jobs") as jobs:
            submitted = jobs.Submit({"command": ["true"], "labels": {"a": "b"}})
            events = list(jobs.Events(0, _more=True))
            return submitted, jobs.Get(submitted["id"]), events

    submitted, got, events = await asyncio.to_thread(talk)

    assert submitted["created"]
    assert got["job"]["spec"]["labels"] == {"a": "b"}
    assert events[0]["event"]["kind"] == "submitted"


class State(TypedDict):
    id: str
    state: str


class Entry(TypedDict, total=False):
    event: dict[str, Any]


class Jobs(asyncvarlink.VarlinkInterface, name="org.jobkeep.Jobs"):
    """Two of our methods, as a typed foreign client declares them."""

    @asyncvarlink.varlinkmethod
    def Cancel(self, *, id: str, force: bool | None, reason: str | None) -> State:
        raise NotImplementedError

    @asyncvarlink.varlinkmethod(allow_foreign=True)
    async def Events(self, *, after: int) -> AsyncIterator[Entry]:
        yield {}


async def test_asyncvarlink_asks_many_things_at_once(served: Served) -> None:
    """Pipelined on one connection, typed, and with errors by name."""
    for number in range(20):
        await served.daemon.submitted(f"x{number}y")
    transport, protocol = await asyncvarlink.connect_unix_varlink(asyncvarlink.VarlinkClientProtocol, served.path)
    try:
        service = protocol.make_proxy(VarlinkServiceInterface)
        jobs = protocol.make_proxy(Jobs)
        asked = [jobs.Cancel(id=f"x{number}y", force=None, reason="no use") for number in range(20)]
        states, info = await asyncio.gather(asyncio.gather(*asked), service.GetInfo())

        assert states == [{"id": f"x{number}y", "state": "cancelled"} for number in range(20)]
        assert info["product"] == "jobkeepd"
        with pytest.raises(asyncvarlink.VarlinkErrorReply, match="org.jobkeep.Jobs.Refused"):
            await jobs.Cancel(id="x0y", force=None, reason=None)
        events = [entry.get("event", {}).get("seq") async for entry in jobs.Events(after=50)]
        assert events == [*range(51, 61), None]  # the last reply of a stream is empty
    finally:
        transport.close()
