"""The order of a queue: priority, age, turns; and that whoever waits has its turn, whatever comes after."""

from __future__ import annotations

from collections import defaultdict
from heapq import heappop, heappush
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jobkeepd.core.line import Line, Rule, advanced, first_line, join, place

HOUR = 3600.0
RULE = Rule(HOUR, "client")


class Queue:
    """A queue with its line, as the store keeps it: jobs are dated once, and go by their turns."""

    def __init__(self, rule: Rule = RULE) -> None:
        self.rule = rule
        self.now = 0.0
        self.line: Line | None = None
        self.flows: dict[str, float] = {}
        self.served: float | None = None
        self.waiting: list[tuple[float, int, float, Any]] = []
        self._seq = 0

    def submit(self, job: Any, client: str | None = None, priority: int = 0) -> None:
        served = None
        if self.waiting:
            served = self.waiting[0][2] if self.served is None else self.served
        line = None if self.line is None else advanced(self.line, self.now, served, self.rule.ageing_s)
        if client is None:
            line_at = self.now if line is None else line.clock
        else:
            self.line, line_at, self.flows[client] = join(
                line or first_line(self.now), self.flows.get(client), self.rule
            )
        turn = place(line_at, priority, self.rule).turn_at
        self._seq += 1
        heappush(self.waiting, (turn, self._seq, line_at, job))

    def start(self) -> Any:
        *_, line_at, job = heappop(self.waiting)
        self.served = line_at if self.served is None else max(self.served, line_at)
        return job

    def starts(self) -> list[Any]:
        return [self.start() for _ in range(len(self.waiting))]


def test_equals_go_by_age_and_the_urgent_first() -> None:
    """A higher number is more urgent."""
    queue = Queue()
    for number, priority in enumerate((0, 5, -5, 0, 5)):
        queue.now += 1.0
        queue.submit(number, priority=priority)
    assert queue.starts() == [1, 4, 0, 3, 2]


def test_a_point_of_priority_is_worth_an_hour_of_waiting() -> None:
    """More than that, and the older one goes first."""
    queue = Queue()
    queue.submit("old")
    queue.now = 1.9 * HOUR
    queue.submit("by one", priority=1)
    queue.submit("by two", priority=2)
    assert queue.starts() == ["by two", "old", "by one"]


def test_the_one_job_of_a_client_waits_for_one_of_another_that_has_ten_thousand() -> None:
    """However long those take, and however long they have been waiting."""
    for takes in (0.01, 60.0, 2 * HOUR, 50 * HOUR):
        queue = Queue()
        for number in range(10_000):
            queue.submit(("a", number), "a")
        for _ in range(500):
            queue.start()
            queue.now += takes
        queue.submit(("b", 0), "b")
        queue.submit(("nobody", 0))
        first = [queue.start() for _ in range(4)]
        assert ("b", 0) in first, (takes, first)
        assert ("nobody", 0) in first, (takes, first)


def test_clients_take_turns() -> None:
    """Whatever order they have come in, and however many each has brought."""
    queue = Queue()
    for client, count in (("a", 50), ("b", 3), ("c", 5)):
        for number in range(count):
            queue.submit((client, number), client)
    order = [client for client, _ in queue.starts()]
    assert order[:9] == ["a", "b", "c"] * 3
    assert order[9:13] == ["a", "c"] * 2


def test_who_had_the_queue_for_himself_is_not_punished_for_it() -> None:
    """Once nobody waits all begin anew: what was used while nobody else wanted it is not held against anyone."""
    queue = Queue()
    for number in range(1000):
        queue.submit(number, "a")
    queue.starts()
    for number in range(100):
        queue.submit(("b", number), "b")
    queue.submit("a again", "a")
    assert "a again" in [queue.start() for _ in range(3)]


def test_a_stream_of_new_clients_does_not_keep_a_second_job_waiting_for_ever() -> None:
    """Each of them is first; an hour of them is all that the second job of a client waits for."""
    queue = Queue()
    queue.submit("first", "a")
    queue.submit("second", "a")
    started: list[Any] = []
    for number in range(200):
        queue.submit(number, f"client {number}")
        queue.now += 60.0
        started.append(queue.start())
    assert started.index("second") <= 65


STEPS = st.lists(
    st.tuples(st.sampled_from("abc-"), st.integers(-2, 2), st.floats(0.0, 3 * HOUR)), min_size=1, max_size=60
)


@given(STEPS, st.integers(0, 40), st.sampled_from(["urgent", "new clients", "one client"]), st.floats(60.0, 5 * HOUR))
@settings(deadline=None, max_examples=60)
def test_whatever_waits_has_its_turn(steps: list[Any], served: int, rush: str, takes: float) -> None:
    """Bounded waiting: a queue that never empties, whoever keeps it full, starts each job that it has."""
    queue = Queue()
    lags: dict[str, int] = defaultdict(int)
    for number, (client, priority, pause) in enumerate(steps):
        queue.now += pause
        lags[client] += 1
        queue.submit(("mine", number), None if client == "-" else client, priority)
    for _ in range(min(served, len(steps) - 1)):
        queue.start()
    left = {job for *_, job in queue.waiting}
    # what the least urgent, and last of its client, can be behind: points of priority, and jobs of its own client
    points = 2 + 5 + max(lags.values()) + 3 * HOUR * len(steps) / HOUR
    bound = len(steps) + points * (HOUR / takes + 1) * 2 + 10
    count = 0
    while left:
        client = {"urgent": None, "new clients": f"new {count}", "one client": "rush"}[rush]
        queue.submit(("rush", count), client, 5 if rush == "urgent" else 0)
        queue.now += takes
        left.discard(queue.start())
        count += 1
        assert count <= bound, (len(left), rush)


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.one_of(st.none(), st.floats(-1e9, 1e9))), max_size=30))
def test_the_clock_of_a_line_never_goes_back(steps: list[tuple[float, float | None]]) -> None:
    """Not when the wall clock does, nor when somebody is first who has waited for long."""
    line = first_line(0.0)
    for at, head in steps:
        after = advanced(line, at, head, HOUR)
        assert after.clock >= line.clock
        line = after
