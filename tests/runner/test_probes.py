"""Checks of sessions: what each kind takes for well, and that none takes longer than it may."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import anyio
import pytest

from jobkeepd.core.model import RunRef
from jobkeepd.core.sessions import Probe
from jobkeepd.runner.base import Target
from jobkeepd.runner.launcher import Launcher
from jobkeepd.runner.output import Outputs
from jobkeepd.runner.probes import Probes
from ports import free_port

from .orders import PATH

pytestmark = pytest.mark.anyio
RUN = RunRef("job", 1, 1)
HANGS = 0.3  # seconds that a check of these tests may take, where it is to hang


@contextmanager
def answering(server: socket.socket, answer: bytes | None) -> Iterator[None]:
    """It says the same to everybody, and hangs up; with None it says nothing and keeps the connection."""

    def serve() -> None:
        with ExitStack() as kept:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                if answer is None:
                    kept.enter_context(peer)
                    continue
                with peer, suppress(OSError):  # a check that has heard enough has left
                    peer.recv(4096)
                    peer.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    with server:
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)  # ends its accept()
            thread.join()


@pytest.fixture
def port() -> Iterator[dict[str, int]]:
    """Ports of servers by what they do, and of none."""
    answers = {
        "ok": b"HTTP/1.1 204 No Content\r\n\r\n", "moved": b"HTTP/1.0 302 Found\r\n\r\n",
        "sick": b"HTTP/1.1 500 Oops\r\n\r\n", "other": b"SSH-2.0-x\r\n", "mute": b"", "endless": b"x" * 100_000,
        "hangs": None,
    }  # fmt: skip
    with ExitStack() as servers:
        ports = {"nobody": free_port()}
        for name, answer in answers.items():
            server = socket.create_server(("127.0.0.1", 0))
            ports[name] = server.getsockname()[1]
            servers.enter_context(answering(server, answer))
        yield ports


def write(path: str, text: str) -> None:
    Path(path).write_text(text, encoding="utf-8")


def left(runtime: Path) -> list[Path]:
    return [*runtime.glob("slots/*.socket"), *runtime.glob("runs/*")]


async def checked(probes: Probes, timeout: float = 60.0, **probe: object) -> str:
    target = Target(RUN, "/", {"JOBKEEP_SESSION_PID": "7"}, {"PATH": PATH})
    return await probes.check(Probe(**probe), target, timeout)  # type: ignore[arg-type]


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    found = Outputs(str(tmp_path))
    found.prepare()
    return found


@pytest.fixture
def probes(launcher: Launcher, outputs: Outputs) -> Probes:
    return Probes(launcher, outputs)


async def test_http_is_well_with_a_status_below_400(probes: Probes, port: dict[str, int]) -> None:
    """Anything else says what it was instead."""
    said = {
        name: await checked(probes, HANGS if name == "hangs" else 60.0, http=f"http://127.0.0.1:{number}/x?y")
        for name, number in port.items()
    }
    assert {name for name, complaint in said.items() if not complaint} == {"ok", "moved"}
    assert said["sick"].endswith("/x?y: status 500")
    assert said["other"].endswith("the answer is not HTTP")
    assert said["mute"].endswith("hung up without an answer")
    assert said["endless"].endswith("the answer has no end")
    assert said["hangs"].endswith(f"no answer within {HANGS:g} s")
    assert said["nobody"].startswith("http http://127.0.0.1:")


async def test_tcp_is_well_when_somebody_accepts(probes: Probes, port: dict[str, int]) -> None:
    """Whatever it says then."""
    assert await checked(probes, tcp=f"127.0.0.1:{port['hangs']}") == ""
    assert await checked(probes, tcp=port["ok"]) == ""
    assert await checked(probes, tcp=f"127.0.0.1:{port['nobody']}") != ""


async def test_varlink_is_well_with_an_answer_to_get_info(probes: Probes, runtime: Path) -> None:
    """An error is none, and neither is a socket where nobody listens."""
    with ExitStack() as servers:
        for name, answer in {"ok": b'{"parameters":{}}\0', "bad": b'{"error":"x"}\0', "odd": b"?\0"}.items():
            server = socket.socket(socket.AF_UNIX)
            server.bind(str(runtime / name))
            server.listen()
            servers.enter_context(answering(server, answer))
        assert await checked(probes, varlink=f"unix:{runtime}/ok") == ""
        assert (await checked(probes, varlink=f"{runtime}/bad")).endswith("the answer is an error")
        assert (await checked(probes, varlink=f"{runtime}/odd")).endswith("the answer is an error")
        assert (await checked(probes, varlink=f"{runtime}/none")).endswith("No such file or directory")


async def test_output_is_well_once_the_line_is_there(probes: Probes, outputs: Outputs) -> None:
    """On either stream; the last line is told where something goes wrong."""
    stdout, stderr = outputs.begin("seat", RUN)
    assert (await checked(probes, output="^listening on")).endswith("it has not written that yet")
    assert probes.last_line(RUN) is None
    write(stdout, "hello\nlistening on 9515\n")
    assert await checked(probes, output="^listening on \\d+$") == ""
    assert probes.last_line(RUN) == "listening on 9515"
    write(stderr, "oh no\n\n")
    assert probes.last_line(RUN) == "oh no"


async def test_a_command_is_well_with_exit_code_0(probes: Probes) -> None:
    """It knows the session's process; what it says else is told."""
    assert await checked(probes, command=("sh", "-c", "test $JOBKEEP_SESSION_PID = 7")) == ""
    assert (await checked(probes, command=("sh", "-c", "exit 3"))).endswith("exit code 3")
    assert (await checked(probes, command=("sh", "-c", "kill -9 $$"))).endswith("ended by signal 9")
    assert "command not found" in await checked(probes, command=("/no/such/check",))


async def test_a_command_that_hangs_is_ended_with_all_that_it_has_started(probes: Probes, runtime: Path) -> None:
    """A child in a session of its own, deaf to SIGTERM, included."""
    fifo = runtime / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    script = f"trap '' TERM; setsid sleep 1000 >{fifo} & echo here >{fifo}; sleep 1000"
    complaint = await checked(probes, 2.0, command=("sh", "-c", script))
    assert complaint.endswith("no answer within 2 s")
    with anyio.fail_after(60):
        got = b""
        while True:
            await anyio.wait_readable(reader)
            read = os.read(reader, 100)  # its end is that of the last process which has it open
            if not read:
                break
            got += read
    os.close(reader)
    assert got == b"here\n"


async def test_checks_leave_neither_slots_nor_records(probes: Probes, runtime: Path) -> None:
    """Sessions are checked for weeks."""
    for _ in range(3):
        assert await checked(probes, command=("true",)) == ""
    with anyio.fail_after(60):
        while left(runtime):
            await anyio.sleep(0.01)
