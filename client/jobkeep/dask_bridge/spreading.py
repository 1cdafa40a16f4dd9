"""The crew of a map on a cluster: each bundle is a task of Dask, which any of its workers takes."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter, deque
from functools import partial
from typing import Any, Final

from distributed import secede
from distributed.client import FutureCancelledError

from jobkeep.dask_bridge.messages import Parcel
from jobkeep.sdk.crew import Done, Function, work_off
from jobkeep.worker.port import WorkerPort

PROBE_S: Final = 1.0
PROBE_AGAIN_S: Final = 0.1
REMEMBERED: Final = 1000  # jobs


class Duties:
    """What this process of the cluster has in work of maps, by job, and the newest run of each that has asked."""

    def __init__(self) -> None:
        self._in_work = Counter[str]()
        self._newest: dict[str, int] = {}
        self._lock = threading.Lock()

    def take(self, job: str, run: int) -> bool:
        """Whether a bundle of that run may begin."""
        with self._lock:
            if run < self._newest.get(job, 0):
                return False
            self._in_work[job] += 1
            return True

    def lay_down(self, job: str) -> None:
        with self._lock:
            self._in_work[job] -= 1
            if not self._in_work[job]:
                del self._in_work[job]

    def pass_to(self, job: str, run: int) -> bool:
        """No bundle of an earlier run begins from now on; whether one is in work yet."""
        with self._lock:
            self._newest.pop(job, None)
            self._newest[job] = run
            if len(self._newest) > REMEMBERED:
                del self._newest[next(iter(self._newest))]
            return self._in_work[job] > 0


_duties: Final = Duties()


def work_off_there(job: str, run: int, function: Function, items: list[Any]) -> Done:
    """What Dask runs."""
    if not _duties.take(job, run):
        return Done(broken=RuntimeError(f"run {run} of the job is over: a later one has its items"))
    try:
        return work_off(function, items)
    finally:
        _duties.lay_down(job)


def pass_to(job: str, run: int) -> bool:
    """See Duties; in the process where that is called."""
    return _duties.pass_to(job, run)


class Spreading:
    """Implements Crew. Belongs to the thread that runs the job, which leaves its place to the items."""

    def __init__(self, client: Any, parcel: Parcel, function: Function, most: int | None, port: WorkerPort) -> None:
        secede()
        threads = max(1, sum(client.nthreads().values()))
        self.width = min(most or threads, threads)
        self.done: deque[tuple[int, Done]] = deque()
        self._client = client
        self._job = parcel.order.job
        self._run = parcel.order.number
        self._function = function
        self._port = port
        self._futures: dict[int, Any] = {}
        self._key = f"jobkeep-{self._job}-map-{secrets.token_hex(4)}"
        self._over = False
        if self._run > 1:
            self._let_earlier_ones_end(parcel.terms.lease_s)

    def hand_out(self, number: int, items: list[Any]) -> None:
        key = f"{self._key}-{number}"
        future = self._client.submit(
            work_off_there, self._job, self._run, self._function, items, key=key, pure=False, retries=0
        )
        self._futures[number] = future
        future.add_done_callback(partial(self._came, number))

    def end(self) -> None:
        self._over = True
        if self._futures:
            self._client.cancel(list(self._futures.values()))

    def _came(self, number: int, future: Any) -> None:
        """In a thread of Dask's."""
        if self._over:
            return
        done = _done(future)
        self._futures.pop(number, None)
        self.done.append((number, done))
        self._port.announce()

    def _let_earlier_ones_end(self, patience_s: float) -> None:
        """An item of an earlier run that is still in work is not begun a second time beside it, nor after this."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline and self._port.stop_reason is None:
            try:
                found = self._client.sync(
                    self._client._run, pass_to, self._job, self._run, on_error="ignore", callback_timeout=PROBE_S
                )
            except TimeoutError:  # one stands still
                continue
            if not any(found.values()):
                return
            time.sleep(PROBE_AGAIN_S)


def _done(future: Any) -> Done:
    try:
        done: Done = future.result()
    except FutureCancelledError as error:
        return Done(broken=RuntimeError(f"the cluster has dropped items: {error}"))
    except Exception as error:  # noqa: BLE001 - of Dask: nothing that the function raises gets here
        if type(error).__name__ == "KilledWorker":
            return Done(died=f"the Dask workers that had the item died: {error}")
        return Done(broken=RuntimeError(f"the cluster cannot do the items of the map: {error}"))
    return done
