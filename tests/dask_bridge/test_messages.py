"""How what bridge and task say arrives, without a cluster."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

pytest.importorskip("distributed", reason="the extra dask is not installed")

from jobkeep.dask_bridge.cluster import SchedulerLost, lost_with_its_connections
from jobkeep.dask_bridge.feed import Feed
from jobkeep.dask_bridge.messages import Downward, Go, decode_downward, encode, is_task_of, number_of, task_name
from jobkeep.dask_bridge.outlet import FULL, Held, printing_to


@settings(deadline=None)
@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12))
def test_each_message_arrives_once_and_in_order_wherever_the_log_was_cut(said: int, log: int, live: int) -> None:
    """The log has the first so many, the subscription all after some other; together they have all of them."""
    log, live = min(log, said), min(live, log, said)
    messages = [Downward("b", number, Go("s")) for number in range(1, said + 1)]
    heard: list[Downward] = []
    feed = Feed[Downward](heard.append)
    early = messages[live:log]
    for message in early:
        feed.came(message)
    feed.logged(messages[:log])
    for message in messages[log:]:
        feed.came(message)
    feed.logged(messages)
    assert heard == messages


def test_two_senders_count_for_themselves() -> None:
    """A bridge that takes over begins anew with 1."""
    heard: list[Downward] = []
    feed = Feed[Downward](heard.append)
    feed.logged([Downward("old", 7, Go("s"))])
    feed.came(Downward("new", 1, Go("s")))
    assert [message.sender for message in heard] == ["old", "new"]


def test_a_message_comes_out_as_it_went_in() -> None:
    """As text, which any scheduler passes on."""
    message = Downward("b", 3, Go("s"))
    assert decode_downward(encode(message)) == message


def test_a_task_is_found_by_its_job_alone() -> None:
    """And the newest of a job's by its number, however many digits that has."""
    assert is_task_of(task_name("abc", 12), "abc")
    assert not is_task_of(task_name("abcd", 12), "abc")
    assert not is_task_of(("some", "tuple"), "abc")
    assert sorted([task_name("a", 10), task_name("a", 9)], key=number_of)[-1] == task_name("a", 10)


def test_what_one_function_prints_is_not_what_others_print(capsys: pytest.CaptureFixture[str]) -> None:
    """Threads of the same process that belong to no run print as before."""
    heard: list[tuple[int, str]] = []
    with printing_to(lambda to, text: heard.append((to, text))):
        print("mine")
        other = threading.Thread(target=lambda: print("theirs"))
        other.start()
        other.join()
    print("after")
    assert "".join(text for _, text in heard) == "mine\n"
    assert capsys.readouterr().out == "theirs\nafter\n"


def test_output_goes_out_in_pieces_of_a_bounded_size_and_in_its_order() -> None:
    """However much is printed at once, and however the two streams take turns."""
    sent: list[tuple[int, str]] = []
    held = Held(lambda to, text: sent.append((to, text)))
    assert held.add(1, "a", 0.0)
    assert not held.add(1, "b", 0.0)
    held.add(2, "c", 0.0)
    assert sent == []
    assert held.due == 0.25
    held.add(1, "x" * (2 * FULL + 1), 0.0)
    held.flush()
    assert sent[:2] == [(1, "ab"), (2, "c")]
    assert all(len(text) <= FULL for _, text in sent)
    assert "".join(text for to, text in sent if to == 1) == "ab" + "x" * (2 * FULL + 1)


@pytest.mark.parametrize(
    ("status", "error", "becomes"),
    [
        ("running", OSError("connection closed"), SchedulerLost),
        ("connecting", RuntimeError("pool is closed"), SchedulerLost),
        ("running", RuntimeError("a bug"), RuntimeError),
    ],
)
def test_a_call_that_fails_with_its_scheduler_says_so(
    status: str, error: Exception, becomes: type[Exception]
) -> None:
    """Whichever call is the first to notice, the run stays open; what is no fault of a connection is told as it is."""
    with pytest.raises(becomes), lost_with_its_connections(SimpleNamespace(status=status)):
        raise error
