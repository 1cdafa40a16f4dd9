"""Whose turn it is: nobody starves, nobody has more than a share, and nobody who is alone is held back."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from jobkeepd.core.model import Peer
from jobkeepd.core.turns import Turns

COSTS = st.sampled_from([0.25, 0.5, 1.0, 2.0])  # sums of them are exact


def peer(uid: int, pid: int) -> Peer:
    return Peer(uid, uid, pid)


class Greedy:
    """Processes that come again as soon as they have had their turn, each with connections and a cost of its own."""

    def __init__(self, processes: dict[tuple[int, int], tuple[int, float]]) -> None:
        self.turns: Turns[tuple[Peer, int]] = Turns()
        self.costs = {peer(*process): cost for process, (_, cost) in processes.items()}
        self.had: Counter[Peer] = Counter()
        for process, (connections, _) in processes.items():
            for number in range(connections):
                self.turns.join(peer(*process), (peer(*process), number))

    def turn(self) -> Peer:
        who, number = self.turns.pop()
        self.had[who] += self.costs[who]  # type: ignore[assignment]
        self.turns.join(who, (who, number))
        self.turns.charge(who, self.costs[who])
        self.turns.forget()
        return who


GREEDY = st.dictionaries(
    st.tuples(st.integers(1, 3), st.integers(1, 6)), st.tuples(st.integers(1, 5), COSTS), min_size=1, max_size=12
)


@given(GREEDY, st.integers(1, 100))
def test_processes_of_a_user_have_the_same(processes: dict[tuple[int, int], tuple[int, float]], count: int) -> None:
    """To one turn of the dearest, whatever each turn costs and however many connections want it."""
    greedy = Greedy({(1, pid): how for (_, pid), how in processes.items()})
    for _ in range(count):
        greedy.turn()

    had = [greedy.had[who] for who in greedy.costs]
    assert max(had) - min(had) <= max(greedy.costs.values())


@given(GREEDY, st.integers(1, 100))
def test_users_have_the_same(processes: dict[tuple[int, int], tuple[int, float]], count: int) -> None:
    """However many processes each has: to a turn of each of those."""
    greedy = Greedy(processes)
    for _ in range(count):
        greedy.turn()

    had: Counter[int] = Counter()
    slack: Counter[int] = Counter()
    for who, cost in greedy.costs.items():
        had[who.uid] += greedy.had[who]
        slack[who.uid] += cost  # type: ignore[assignment]
    assert max(had.values()) - min(had.values()) <= max(slack.values()) + min(slack.values())


@given(GREEDY, st.integers(0, 50), st.integers(1, 8))
def test_who_comes_after_a_rest_is_next(
    processes: dict[tuple[int, int], tuple[int, float]], before: int, rests: int
) -> None:
    """Behind those who have had as little, and no turn is saved up: it has one, and the others go on."""
    greedy = Greedy(processes)
    newcomer = peer(9, 9)
    greedy.costs[newcomer] = 1.0
    for _ in range(before):
        greedy.turn()
    for _ in range(rests):
        assert greedy.turns.goes_first(newcomer, 1.0) or greedy.had[newcomer] > 1.0
        greedy.turns.join(newcomer, (newcomer, 0))
        waited = []
        while (who := greedy.turn()) != newcomer:
            waited.append(who)
        greedy.turns.leave(newcomer, (newcomer, 0))
        assert len(waited) == len(set(waited))  # nobody twice
        for _ in range(3 * len(processes)):
            greedy.turn()


@given(st.lists(st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3), st.booleans()), max_size=60))
def test_everybody_who_joins_and_stays_has_a_turn(steps: list[tuple[int, int, int, bool]]) -> None:
    """Once each; who leaves, and who never joined, has none."""
    turns: Turns[tuple[int, int, int]] = Turns()
    waiting: set[tuple[int, int, int]] = set()
    for uid, pid, number, joins in steps:
        item = uid, pid, number
        if joins:
            turns.join(peer(uid, pid), item)
            waiting.add(item)
        else:
            turns.leave(peer(uid, pid), item)
            waiting.discard(item)

    popped = []
    while turns:
        popped.append(turns.pop())
        turns.charge(peer(*popped[-1][:2]), 1.0)
    assert sorted(popped) == sorted(waiting)


def test_who_is_alone_goes_first_and_owes_nothing() -> None:
    """Whatever it has had; once somebody waits it has to wait as well, until that one has had as much."""
    turns: Turns[str] = Turns()
    for _ in range(100):
        assert turns.goes_first(peer(1, 1), 0.0)
        turns.charge(peer(1, 1), 5.0)
        turns.forget()
    turns.join(peer(1, 2), "other")
    assert turns.goes_first(peer(1, 1), 0.0)
    turns.charge(peer(1, 1), 5.0)
    assert not turns.goes_first(peer(1, 1), 5.0)
    assert not turns.goes_first(peer(1, 2), 5.0)
