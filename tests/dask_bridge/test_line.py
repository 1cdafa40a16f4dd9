"""What a task says, from whichever thread. Without a cluster."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")

from distributed import Worker

from jobkeep.dask_bridge.line import Line
from jobkeep.dask_bridge.messages import Writes, decode_upward


def test_nothing_that_a_task_says_overtakes_what_it_has_said_before() -> None:
    """Who hears it takes an earlier number for something that it has heard already: its output would be lost."""
    due: deque[Callable[[], None]] = deque()
    sent: list[int] = []
    worker: Any = SimpleNamespace(
        thread_id=threading.get_ident(),
        loop=SimpleNamespace(add_callback=lambda call, *arguments: due.append(lambda: call(*arguments))),
        batched_send=lambda message: sent.append(decode_upward(message["msg"]).number),
    )
    worker.log_event = lambda topic, said: Worker.log_event(worker, topic, said)  # Dask's own
    line = Line(worker, None, "t", "first")

    function = threading.Thread(target=line.say, args=(Writes(1, "of a function"),))
    function.start()
    function.join()
    line.say(Writes(1, "of the worker's own thread"))
    while due:
        due.popleft()()

    assert sent == [1, 2]
