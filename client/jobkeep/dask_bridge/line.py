"""How a task speaks with its bridge, over the two topics."""

from __future__ import annotations

import threading
from typing import Any, Final

import msgspec

from jobkeep.dask_bridge.feed import Feed
from jobkeep.dask_bridge.lease import Lease
from jobkeep.dask_bridge.messages import (
    MARK,
    MARK_AGAIN_S,
    Advances,
    Answers,
    AsksKeys,
    AsksStep,
    Checkpoints,
    Downward,
    FromTask,
    Lives,
    Place,
    Steps,
    Upward,
    decode_downward,
    downward,
    encode,
    upward,
)
from jobkeep.errors import InvalidRequest
from jobkeep.protocol.worker import (
    BeatParameters,
    CheckpointParameters,
    FailedKeysParameters,
    FailedKeysReply,
    ProgressParameters,
    SaveStepParameters,
    StepResultReply,
)
from jobkeep.worker.awaited import Kind, Query
from jobkeep.worker.outbox import Outbox

_REPLIES: Final = {"FailedKeys": FailedKeysReply, "StepResult": StepResultReply}


class Line:
    """The two topics, as the task has them. `heard` is called in the event loop of the Dask worker."""

    def __init__(self, worker: Any, client: Any, topic: str, start: str) -> None:
        self._worker = worker
        self._client = client
        self._topic = topic
        self._start = start
        self._lock = threading.Lock()
        self._said = 0

    def open(self, feed: Feed[Downward]) -> None:
        topic = downward(self._topic)
        subscribed = threading.Event()

        def came(event: tuple[float, Any]) -> None:
            if event[1] == MARK:
                subscribed.set()
            else:
                feed.came(decode_downward(event[1]))

        self._client.subscribe_topic(topic, came)
        while not subscribed.is_set():
            self._client.log_event(topic, MARK)
            subscribed.wait(MARK_AGAIN_S)
        logged = [said for _, said in self._client.get_events(topic) if said != MARK]
        feed.logged([decode_downward(said) for said in logged])

    def close(self) -> None:
        self._client.unsubscribe_topic(downward(self._topic))

    def say(self, said: FromTask) -> int:
        """From any thread; the number of the message. The worker's own would overtake the others, were it not for the
        way through the loop.
        """
        with self._lock:
            self._said += 1
            message = encode(Upward(self._start, self._said, said))
            self._worker.loop.add_callback(self._worker.log_event, upward(self._topic), message)
            return self._said


class LineMessenger:
    """Implements Messenger over a line. What is not acknowledged is kept, since the log may be too short for it."""

    def __init__(self, line: Line, due: threading.Condition, lease: Lease, place: Place) -> None:
        self._line = line
        self._due = due
        self._lease = lease
        self._place = place
        self._queries: dict[int, Query] = {}
        self._asked = 0
        self._outbox = Outbox()
        self._saying = threading.Lock()  # a function's thread reports, while the bridge's word comes in another

    def checkpoint(self, parameters: CheckpointParameters) -> None:
        with self._saying:
            self._outbox.add_checkpoint(parameters)
            self._line.say(Checkpoints(parameters))

    def step(self, parameters: SaveStepParameters) -> None:
        with self._saying:
            self._outbox.add_step(parameters)
            self._line.say(Steps(parameters))

    def stored(self, run: str, kind: Kind, number: int) -> None:
        """Checkpoints up to that seq are durable, or steps up to that ordinal."""
        with self._saying:
            if kind == "checkpoint":
                self._outbox.checkpoint_stored(run, number)
                return
            for step in self._outbox.of(run).steps:
                if step.ordinal <= number:
                    self._outbox.step_stored(run, step.ordinal)

    def say_again(self) -> None:
        """To a bridge that may not have heard it: it has come to this task, or come back."""
        with self._saying:
            unsaid = self._outbox.unsaid()
            for step in unsaid.steps:
                self._line.say(Steps(step))
            for checkpoint in unsaid.checkpoints:
                self._line.say(Checkpoints(checkpoint))
        for number, query in list(self._queries.items()):
            self._say_query(number, query)

    def progress(self, parameters: ProgressParameters) -> None:
        self._line.say(Advances(parameters))

    def beat(self, parameters: BeatParameters) -> None:
        at = self._lease.now()
        self._lease.gives(self._line.say(Lives(self._place, parameters.ticks)), at)

    def ask(self, query: Query) -> None:
        self._asked += 1
        self._queries[self._asked] = query
        self._say_query(self._asked, query)

    def _say_query(self, number: int, query: Query) -> None:
        if isinstance(query.parameters, FailedKeysParameters):
            self._line.say(AsksKeys(number, query.parameters))
        else:
            self._line.say(AsksStep(number, query.parameters))

    def look(self) -> None:
        """What comes is taken in the event loop of the Dask worker."""

    def untend(self) -> None:
        """Nothing depends on it."""

    def wake(self) -> None:
        with self._due:
            self._due.notify_all()

    def answered(self, answer: Answers) -> None:
        query = self._queries.pop(answer.number, None)
        if query is None:
            return  # to an earlier bridge's question that this one repeats
        if answer.refused is not None:
            query.answer(InvalidRequest(answer.refused.message))
        else:
            query.answer(msgspec.json.decode(answer.value, type=_REPLIES[query.method]))
