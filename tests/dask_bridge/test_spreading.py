"""A later run of a map leaves alone what an earlier one still has in work on the cluster. Without a cluster."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")

from msgspec import Raw

from dask_bridge.stand_in import LAB
from jobkeep.dask_bridge import spreading
from jobkeep.dask_bridge.bridge import terms
from jobkeep.dask_bridge.messages import PROTOCOL, Parcel
from jobkeep.dask_bridge.spreading import REMEMBERED, Duties, Spreading, pass_to, work_off_there
from jobkeep.protocol.worker import RunOrder


class Client:
    """What is asked of all workers is asked of this process; what is handed out is kept."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.handed_out: list[tuple[Any, ...]] = []
        self.silent: list[TimeoutError] = []  # that many times a worker does not answer
        self.times = 0
        self._run = object()

    def nthreads(self) -> dict[str, int]:
        return {"tcp://one:1": 1, "tcp://two:2": 1}

    def sync(self, run: object, function: Any, *arguments: Any, on_error: str, callback_timeout: float) -> Any:
        assert run is self._run
        self.times += 1
        found = {"tcp://one:1": function(*arguments)}
        self.asked.set()
        if self.silent:
            raise self.silent.pop()
        return found

    def submit(self, function: Any, *arguments: Any, key: str, pure: bool, retries: int) -> Any:
        assert (function, pure, retries) == (work_off_there, False, 0)
        self.handed_out.append(arguments)
        return SimpleNamespace(add_done_callback=lambda came: None)


@pytest.fixture(autouse=True)
def in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """This thread has a place that it can leave, and the process has done nothing yet."""
    monkeypatch.setattr(spreading, "secede", lambda: None)
    monkeypatch.setattr(spreading, "_duties", Duties())


def crew(client: Client, run: int, port: Any = None) -> Spreading:
    order = RunOrder(
        run=f"j/{run}", fence=run, function="m:f", arguments=Raw(b"{}"), job="j", name="j", number=run, cookie="",
        stdout="", stderr="",
    )  # fmt: skip
    parcel = Parcel(PROTOCOL, "t", order, terms(LAB))
    return Spreading(client, parcel, str, None, port or SimpleNamespace(stop_reason=None, announce=lambda: None))


def test_an_item_of_an_earlier_run_that_is_in_work_is_waited_for_before_any_is_handed_out() -> None:
    """By the name of the job: the one that is in work is never begun a second time beside it."""
    events: list[str] = []
    begun, gate = threading.Event(), threading.Event()

    def item(number: int) -> None:
        events.append("begins")
        begun.set()
        assert gate.wait(60)
        events.append("ends")

    client = Client()

    def next_run() -> None:
        crew(client, 2).hand_out(1, [1])
        events.append("handed out")

    earlier = threading.Thread(target=work_off_there, args=("j", 1, item, [1]))
    earlier.start()
    assert begun.wait(60)
    later = threading.Thread(target=next_run)
    later.start()
    assert client.asked.wait(60)
    gate.set()
    earlier.join(60)
    later.join(60)
    assert events == ["begins", "ends", "handed out"]


def test_a_bundle_of_an_earlier_run_that_comes_late_is_not_begun() -> None:
    """Its items belong to the later run; those of other jobs, and of the run itself, go on."""
    done: list[int] = []
    crew(Client(), 2)
    late = work_off_there("j", 1, done.append, [1])
    assert str(late.broken) == "run 1 of the job is over: a later one has its items"
    assert work_off_there("j", 2, done.append, [2]).broken is None
    assert work_off_there("k", 1, done.append, [3]).broken is None
    assert done == [2, 3]


def test_the_first_run_of_a_job_asks_nobody() -> None:
    """There is no earlier one."""
    client = Client()
    crew(client, 1).hand_out(1, [7])
    assert client.times == 0
    assert client.handed_out == [("j", 1, str, [7])]


def test_a_worker_that_does_not_answer_is_asked_again() -> None:
    """It stands still, and may have an item in work."""
    client = Client()
    client.silent = [TimeoutError(), TimeoutError()]
    crew(client, 2)
    assert client.times == 3


def test_a_run_that_is_to_stop_waits_for_nobody() -> None:
    """Else it would hear of that only when the earlier items have ended."""
    client = Client()
    crew(client, 2, SimpleNamespace(stop_reason="cancelled", announce=lambda: None))
    assert client.times == 0


def test_what_a_process_remembers_of_jobs_is_bounded() -> None:
    """A worker may live for months: the job that asked last is remembered longest."""
    for number in range(2 * REMEMBERED):
        pass_to(f"job{number}", 2)
        pass_to("job0", 2)
    assert len(spreading._duties._newest) == REMEMBERED
    assert work_off_there("job0", 1, print, [1]).broken is not None
