"""Hostile, broken and slow peers: none of them stops the others, none of them fills the memory."""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import socket
import time

import pytest

from jobkeep.protocol.jobs import JobSpec
from rpc.conftest import Client, Serve, Served, until

pytestmark = pytest.mark.anyio

GET = "org.jobkeep.Jobs.Get"


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n\0",
        b"\0",
        b"[]\0",
        b'{"parameters":{}}\0',
        b'{"method":7}\0',
        b'{"method":"org.jobkeep.Jobs.Get","parameters":{"id":"a"}\0',
        b'{"method":"\xff\xfe"}\0',
        b'{"method":' + b"[" * 100_000 + b"\0",
        b'{"method":"org.jobkeep.Jobs.Get","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}\0",
        b'{"method":"org.jobkeep.Jobs.Get","parameters":' + b'{"id":' * 100_000 + b"1" + b"}" * 100_001 + b"\0",
    ],
)
async def test_what_is_not_a_call_ends_the_connection(served: Served, client: Client, garbage: bytes) -> None:
    """Without an answer; and the next connection works."""
    client.write(garbage)

    assert await client.hung_up() == b""
    assert await (await served.client()).call("org.varlink.service.GetInfo")


async def test_two_mebibytes_are_refused_before_they_have_come(client: Client) -> None:
    """A message over the limit ends the connection."""
    client.write(b'{"method":"org.jobkeep.Jobs.Get","parameters":{"id":"' + b"a" * (2 << 20) + b'"}}\0')

    assert await client.hung_up() == b""


async def test_half_a_message_has_a_deadline(serve: Serve) -> None:
    """Who begins a message finishes it in time."""
    client = await serve(message_deadline=0.05).client()
    client.write(b'{"method":"org.')

    assert await client.hung_up() == b""


async def test_an_idle_connection_has_none(serve: Serve) -> None:
    """A client may be silent for as long as it likes, also after it was heard."""
    served = serve(message_deadline=0.02)
    idle, other = await served.client(), await served.client()
    await idle.call("org.varlink.service.GetInfo")
    other.write(b"x")
    await other.hung_up()  # more time than the deadline has passed

    assert await idle.call("org.varlink.service.GetInfo")


async def test_a_truncated_message_is_not_a_call(served: Served, client: Client) -> None:
    """An end in the middle of a message is just an end."""
    client.write(b'{"method":"org.jobkeep.Admin.Stop"}')
    client.writer.write_eof()

    assert await client.hung_up() == b""
    assert not served.daemon.host.stopped


async def test_who_ends_only_its_own_half_still_gets_its_answers(client: Client) -> None:
    """As with printf … | nc -N."""
    client.ask("org.varlink.service.GetInfo")
    client.ask("org.jobkeep.Admin.Status")
    client.writer.write_eof()

    assert (await client.hung_up()).count(b"\0") == 2


async def test_a_reader_that_does_not_read_is_dropped_with_bounded_memory(serve: Serve) -> None:
    """Neither replies nor calls pile up for it."""
    served = serve(drain_deadline=0.2, write_high_water=1 << 18)
    await served.daemon.submitted("big", JobSpec(command=["true", "x" * 100_000]))
    deaf = socket.socket(socket.AF_UNIX)
    deaf.setblocking(False)
    deaf.connect(served.path)
    most = 0
    ask = b'{"method":"org.jobkeep.Jobs.Get","parameters":{"id":"big"}}\0' * 50
    while True:
        try:
            deaf.send(ask)
        except BlockingIOError:
            pass
        except OSError:
            break
        most = max([most, *(guest.held for guest in served.listener.census.guests)])
        await asyncio.sleep(0)
    deaf.close()

    assert 1 << 18 < most < 1 << 20


async def test_all_connections_of_a_uid_together_hold_little(serve: Serve) -> None:
    """Many half messages are as bad as a large one: the heaviest connection goes."""
    served = serve(held_per_uid=1 << 20)
    clients = [await served.client() for _ in range(5)]
    for client in clients:
        client.write(b"x" * 300_000)

    ended = [asyncio.ensure_future(client.hung_up()) for client in clients]
    await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED, timeout=120)
    held = sum(guest.held for guest in served.listener.census.guests)
    for task in ended:
        task.cancel()

    assert held <= 1 << 20


async def test_more_calls_than_may_be_in_flight_wait_in_the_socket(serve: Serve) -> None:
    """Reading pauses; all are answered, in order, once the first is."""
    served = serve(in_flight=4)
    await served.daemon.submitted("abc")
    client = await served.client()
    client.ask("org.jobkeep.Jobs.Wait", ids=["abc"])
    for _ in range(50):
        client.ask("org.jobkeep.Jobs.Wait", ids=["abc"], timeout_s=0)
    await until(lambda: served.daemon.jobs.waiting)
    (guest,) = served.listener.census.guests
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(guest._slots) == 4  # type: ignore[attr-defined]

    await served.daemon.started("abc")
    await served.daemon.ended("abc")
    assert (await client.reply())["parameters"]["jobs"][0]["state"] == "succeeded"
    for _ in range(50):
        assert "parameters" in await client.reply()


async def test_complaints_about_peers_do_not_flood_the_log(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    """After some of them in a window the rest is counted."""
    served = serve(log_events=3)
    for _ in range(10):
        client = await served.client()
        client.write(b"garbage\0")
        await client.hung_up()

    assert capsys.readouterr().out.count("rpc_not_a_call") == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("uid", [1234, 65534])
async def test_another_uid_is_refused(serve: Serve, uid: int) -> None:
    """By name, for every method; and the overflow uid even if somebody allows it."""
    served = serve(allowed={0, 65534})
    folder, name = os.path.split(served.path)
    os.chmod(folder, 0o711)
    os.chmod(served.path, 0o666)
    ends, other = socket.socketpair()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(folder)  # while it may pass through those above, which are private
            os.setgid(uid)
            os.setuid(uid)
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(name)
            sock.sendall(b'{"method":"org.varlink.service.GetInfo"}\0')
            other.sendall(sock.recv(1000) or b"hung up without a word")
        except BaseException as error:  # noqa: BLE001 - whatever it is: the test is to say it
            other.sendall(repr(error).encode())
        finally:
            os._exit(0)
    other.close()
    ends.setblocking(False)
    said = await asyncio.get_running_loop().sock_recv(ends, 1000)
    ends.close()
    os.waitpid(child, 0)

    assert b"org.jobkeep.Admin.NotPermitted" in said


async def test_without_file_descriptors_the_daemon_waits_instead_of_spinning(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says so once for each try, goes on serving, and takes the connection when it can."""
    served = serve(accept_backoff=0.05)
    before = await served.client()
    late = socket.socket(socket.AF_UNIX)
    late.setblocking(False)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    began = time.monotonic()
    try:
        late.connect(served.path)
        for _ in range(20):
            assert await before.call("org.varlink.service.GetInfo")
        said, took = capsys.readouterr().out.count("rpc_accept_failed"), time.monotonic() - began
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    client = Client(*await asyncio.open_unix_connection(sock=late))

    assert 1 <= said <= 2 + took / 0.05
    assert await client.call("org.varlink.service.GetInfo")
    await client.close()


async def test_damaged_calls_damage_nothing(served: Served) -> None:
    """Whatever bytes of a call are changed: an answer or an end, and the next caller is served."""
    chance = random.Random(20)
    whole = b'{"method":"org.jobkeep.Jobs.Submit","parameters":{"spec":{"command":["true"],"priority":1}}}\0'
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        client = await served.client()
        client.write(bytes(damaged))
        client.writer.write_eof()
        for message in (await client.hung_up()).split(b"\0")[:-1]:
            assert json.loads(message).keys() <= {"parameters", "error"}
        await client.close()

    assert await (await served.client()).call("org.varlink.service.GetInfo")
