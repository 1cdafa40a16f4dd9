"""The least a client can be: a blocking socket, msgspec, nothing else."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from jobkeep.protocol import jobs
from jobkeep.protocol.envelope import Call, Reply

NUL = b"\0"
Parameters = TypeVar("Parameters", bound=msgspec.Struct)
Answer = TypeVar("Answer", bound=msgspec.Struct)

_encode = msgspec.json.Encoder().encode
_decode_reply = msgspec.json.Decoder(Reply).decode


class BareClient:
    """One connection, one call at a time."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(path)

    def exchange(self, message: bytes) -> bytes:
        """Send one message (with its NUL), return the whole answer without it."""
        self._socket.sendall(message)
        data = self._socket.recv(1 << 16)
        while not data.endswith(NUL):
            more = self._socket.recv(1 << 16)
            if not more:
                raise ConnectionError("the daemon hung up")
            data += more
        return data[:-1]

    def call(self, method: str, parameters: msgspec.Struct, answer: type[Answer]) -> Answer:
        return decode(self.exchange(encode(method, parameters)), answer)

    def submit(self, spec: jobs.JobSpec) -> str:
        return self.call("org.jobkeep.Jobs.Submit", jobs.SubmitParameters(spec), jobs.SubmitReply).id

    def close(self) -> None:
        self._socket.close()


def encode(method: str, parameters: msgspec.Struct) -> bytes:
    return _encode(Call(method, msgspec.Raw(_encode(parameters)))) + NUL


def decode(data: bytes, answer: type[Answer]) -> Answer:
    reply = _decode_reply(data)
    if reply.error is not None:
        raise RuntimeError(f"{reply.error}: {bytes(reply.parameters).decode()}")
    return msgspec.json.decode(reply.parameters, type=answer)


def timed(action: Callable[[], Any], times: int) -> list[float]:
    """The latency of each call, in microseconds."""
    clock = time.perf_counter_ns
    latencies = []
    for _ in range(times):
        began = clock()
        action()
        latencies.append((clock() - began) / 1e3)
    return latencies
