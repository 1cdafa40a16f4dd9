"""Calls and replies of org.jobkeep.Worker as bytes."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from jobkeep.errors import InvalidRequest, JobkeepError, StaleToken, TooLarge
from jobkeep.protocol.envelope import Call, Reply
from jobkeep.protocol.worker import INTERFACE, FailedKeysReply, Order, StepResultReply

RETRIABLE: Final = frozenset({"StorageFull", "StorageFailed", "ShuttingDown", "Internal", "NotPermitted"})
_MARK: Final = Raw(b"[0]")
FENCED: Final = frozenset({"StaleToken", "UnknownWorker"})

encode = msgspec.json.Encoder().encode
decode_reply = msgspec.json.Decoder(Reply).decode
decode_order = msgspec.json.Decoder(Order).decode
_decode_answer = {
    "FailedKeys": msgspec.json.Decoder(FailedKeysReply).decode,
    "StepResult": msgspec.json.Decoder(StepResultReply).decode,
}
_decode_message = msgspec.json.Decoder(dict[str, Any]).decode


def call(method: str, parameters: Struct, *, more: bool = False, oneway: bool = False) -> bytes:
    """A call, without its NUL."""
    head, tail = _frame(method, more, oneway)
    return head + encode(parameters) + tail


def decode_answer(method: str, reply: Reply) -> Any:
    """What the daemon answers to a query."""
    return _decode_answer[method](reply.parameters)


@cache
def _frame(method: str, more: bool, oneway: bool) -> tuple[bytes, bytes]:
    """What comes before and after the parameters."""
    whole = encode(Call(f"{INTERFACE.name}.{method}", _MARK, more=more, oneway=oneway))
    head, _, tail = whole.partition(bytes(_MARK))
    return head, tail


def fault_of(reply: Reply) -> str | None:
    """The last word of the error's name."""
    return None if reply.error is None else reply.error.rpartition(".")[2]


def refusal(fault: str, reply: Reply) -> JobkeepError:
    """A report that the daemon will never accept, as what the job sees."""
    try:
        message = str(_decode_message(reply.parameters).get("message", fault))
    except msgspec.MsgspecError:
        message = fault
    if fault in FENCED:
        return StaleToken(message)
    return TooLarge(message) if fault == "TooLarge" else InvalidRequest(f"the daemon refused it: {message}")
