"""What a task says again to a bridge that has come to it, since the scheduler's log may be too short. No cluster."""

from __future__ import annotations

import threading
from typing import Any

import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")

from dask_bridge.test_refusals import Worker, carried_out
from jobkeep.dask_bridge.messages import (
    Begins,
    Checkpoints,
    Downward,
    Durable,
    FromBridge,
    Go,
    Steps,
    Upward,
    decode_upward,
    downward,
    encode,
)


class Forgetful(Worker):
    """Each report is lost with the bridge that it was said to; the next one acknowledges it if it is said again."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[str] = []
        self._bridge = 0

    def log_event(self, topic: str, said: Any) -> None:
        if topic == downward("t"):
            super().log_event(topic, said)
            return
        answer = self._answer(decode_upward(said))
        if answer is not None:  # in another thread, as from another host
            number = 2 if isinstance(answer, Durable) else 1
            self._bridge += number == 1
            message = Downward(f"bridge {self._bridge}", number, answer)
            threading.Thread(target=self._heard, args=((0.0, encode(message)),)).start()

    def _answer(self, message: Upward) -> FromBridge | None:
        match message.said:
            case Begins():
                return Go(message.sender)
            case Checkpoints(parameters):
                self.reports.append(f"checkpoint {parameters.seq}")
                durable = Durable("checkpoint", parameters.seq)
            case Steps(parameters):
                self.reports.append(f"step {parameters.ordinal}")
                durable = Durable("step", parameters.ordinal)
            case _:
                return None
        first = self.reports.count(self.reports[-1]) == 1
        return Go(message.sender, message.number) if first else durable


async def reporting(ctx: Any) -> int:
    await ctx.checkpoint({"a": 1})
    await ctx.checkpoint({"a": 2})
    return int(await ctx.step("answer", lambda: 42))


def test_what_is_not_acknowledged_is_said_again_to_the_next_bridge_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the function would wait for ever for a word on what nobody has heard."""
    worker = Forgetful()
    ended = carried_out(monkeypatch, "dask_bridge.test_said_again:reporting", worker)
    assert ended.error is None
    assert (ended.outcome, bytes(ended.result)) == ("succeeded", b"42")
    assert worker.reports == [each for each in ("checkpoint 1", "checkpoint 2", "step 0") for _ in range(2)]
