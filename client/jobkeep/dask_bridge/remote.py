"""What Dask runs on a worker of the cluster: the whole of a run, in a thread of that worker."""

from __future__ import annotations

import os
import secrets
import threading
import time
from typing import Any, Final

import anyio
from distributed import get_client, get_worker
from msgspec.structs import replace

from jobkeep.dask_bridge.feed import Feed
from jobkeep.dask_bridge.lease import Lease, LeasedPort
from jobkeep.dask_bridge.line import Line, LineMessenger
from jobkeep.dask_bridge.messages import (
    PROTOCOL,
    Answers,
    Begins,
    Downward,
    Durable,
    Ended,
    Fence,
    Go,
    Parcel,
    Refuses,
    Stop,
    Writes,
    decode_parcel,
    encode,
    protocol_of,
)
from jobkeep.dask_bridge.outlet import Held, To, printing_to
from jobkeep.dask_bridge.pulse import place_of
from jobkeep.dask_bridge.spreading import Spreading
from jobkeep.errors import InvalidRequest
from jobkeep.protocol.jobs import ErrorInfo
from jobkeep.sdk.crew import Crew, Function
from jobkeep.worker.active import ActiveRun
from jobkeep.worker.calling import Call, in_loop, in_thread, prepared
from jobkeep.worker.doorbell import Doorbell
from jobkeep.worker.ending import Ending, stopped
from jobkeep.worker.functions import Functions
from jobkeep.worker.sources import Sources

FENCED_EXIT: Final = 3
_functions: Final = Functions(Sources())


def carry_out(parcel: bytes) -> bytes:
    """Run the function of a parcel to its end; an Ended, encoded. Raises nothing that the function does."""
    worker = get_worker()
    if (protocol := protocol_of(parcel)) != PROTOCOL:  # then the rest may mean anything
        speaks = f"jobkeep on the Dask worker {worker.address} speaks version {PROTOCOL} of the bridge's protocol"
        message = f"{speaks}, the bridge {protocol}: install the same release on both sides"
        return encode(Ended(start="", outcome="failed", error=ErrorInfo("VersionMismatch", message)))
    return encode(Start(decode_parcel(parcel), worker, get_client()).carry_out())


class Start:
    """One start of the task: it asks whether it may, and has a lease for as long as its bridge is there."""

    def __init__(self, parcel: Parcel, worker: Any, client: Any) -> None:
        self._id = secrets.token_hex(8)
        self._parcel = parcel
        self._client = client
        self._news = threading.Condition()
        self._line = Line(worker, client, parcel.topic, self._id)
        self._lease = Lease(parcel.terms.lease_s)
        self._place = place_of(worker.address)
        self._messenger = LineMessenger(self._line, self._news, self._lease, self._place)
        port = LeasedPort(parcel.order, self._messenger, self._lease)
        self._run = ActiveRun(parcel.order, self._messenger, parcel.terms.attention_s, port)
        self._run.port.recruit = self._recruit
        self._output = Held(lambda to, text: self._line.say(Writes(to, text)))
        self._doorbell = Doorbell()
        self._went: str | None = None  # which start may go on
        self._bridge = ""  # who has spoken last
        self._abort_at: float | None = None
        self._over = False

    def carry_out(self) -> Ended:
        self._line.open(Feed(self._heed))
        at = self._lease.now()
        self._lease.gives(self._line.say(Begins(self._place)), at)
        try:
            if not self._may_begin():
                return Ended(start=self._id, refused=True)
            ending = self._carry_out()
        finally:
            self._line.close()
        return Ended(
            start=self._id, outcome=ending.outcome, result=ending.result, error=ending.error, reason=ending.reason,
            permanent=ending.permanent,
        )  # fmt: skip

    def _may_begin(self) -> bool:
        with self._news:
            self._news.wait_for(lambda: self._went is not None or self._run.fenced, self._parcel.terms.lease_s)
        return self._went == self._id and not self._run.fenced

    def _carry_out(self) -> Ending:
        helm = threading.Thread(target=self._keep, name="jobkeep helm", daemon=True)
        helm.start()
        try:
            with printing_to(self._print):
                return self._called()
        finally:
            self._run.leave()
            self._over = True
            self._messenger.wake()
            helm.join()
            self._output.flush()
            self._doorbell.close()

    def _called(self) -> Ending:
        if self._run.stop_reason is not None:
            return stopped(self._run.stop_reason)
        call = prepared(self._parcel.order, _functions)
        if isinstance(call, Ending):
            return self._with_place(call)
        if call.function.is_async:
            return anyio.run(self._in_loop, call)
        return in_thread(call, self._run)

    async def _in_loop(self, call: Call) -> Ending:
        async with anyio.create_task_group() as group:
            group.start_soon(self._doorbell.serve, name="jobkeep doorbell")
            ending = await in_loop(call, self._run, self._doorbell)
            group.cancel_scope.cancel()
        return ending

    def _recruit(self, function: Function, most: int | None) -> Crew:
        return Spreading(self._client, self._parcel, function, most, self._run.port)

    def _with_place(self, ending: Ending) -> Ending:
        if ending.error is not None:
            where = f"on the Dask worker {self._place.worker}"
            if ending.error.type.endswith(("UnknownFunction", "ModuleBroken")):
                where += "; what jobs need has to be installed there, or on the PYTHONPATH of the worker"
            ending.error = replace(ending.error, message=f"{ending.error.message} ({where})")
        return ending

    def _print(self, to: To, text: str) -> None:
        if self._output.add(to, text, time.monotonic()):
            self._messenger.wake()

    # In the event loop of the Dask worker

    def _heed(self, message: Downward) -> None:
        with self._news:
            if message.sender != self._bridge:
                self._bridge = message.sender
                self._messenger.say_again()
            match message.said:
                case Go(start, heard):
                    self._went = self._went or start
                    self._lease.heard(heard)
                case Stop(reason):
                    self._run.ask_to_stop(reason, time.monotonic())
                case Fence():
                    self._fence()
                case Durable(kind, number):
                    self._messenger.stored(self._parcel.order.run, kind, number)
                    self._run.stored(kind, number)
                case Refuses(_, why):
                    self._run.refuse(InvalidRequest(why))
                case Answers():
                    self._messenger.answered(message.said)
            self._news.notify_all()

    # In a thread of its own

    def _keep(self) -> None:
        """Give signs of life, do what is due, and end the run when nobody holds its lease any more."""
        terms = self._parcel.terms
        beat_at = 0.0
        while not self._over:
            now = time.monotonic()
            if now >= beat_at:
                beat_at = now + terms.beat_s
                self._run.beat()
            if self._lease.is_over:
                self._fence()
            if self._abort_at is not None and now >= self._abort_at:
                os._exit(FENCED_EXIT)  # a function that cannot be cancelled and has no right to go on
            self._run.work_off(now)
            if self._output.due is not None and now >= self._output.due:
                self._output.flush()
            with self._news:
                if not self._over:
                    self._news.wait(max(0.0, self._next(beat_at) - time.monotonic()))

    def _next(self, beat_at: float) -> float:
        """When something is due."""
        due = [beat_at, *self._run.due()]
        due += [at for at in (self._abort_at, self._output.due) if at is not None]
        if self._abort_at is None:
            due.append(time.monotonic() + self._lease.left)
        return min(due)

    def _fence(self) -> None:
        if self._abort_at is None:
            self._abort_at = time.monotonic() + self._parcel.terms.fenced_s
            self._run.fence()
