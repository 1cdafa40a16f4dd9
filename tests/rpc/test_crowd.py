"""Who has to go is found without asking everybody, and is the same that everybody would name."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jobkeepd.rpc.crowd import Crowd, Rest


class Guest:
    def __init__(self) -> None:
        self.at: Rest = (False, 0.0)
        self.busy = False
        self.asked = 0

    @property
    def rest(self) -> Rest | None:
        self.asked += 1
        return None if self.busy else self.at


@given(st.lists(st.tuples(st.sampled_from(["come", "talk", "work", "leave", "evict"]), st.integers(0, 9)), max_size=80))
def test_whoever_is_at_rest_for_longest_goes(steps: list[tuple[str, int]]) -> None:
    """Those first who have never said anything; nobody who is busy, unless it was not when others were."""
    crowd: Crowd[Guest] = Crowd()
    guests: list[Guest] = []
    for now, (step, number) in enumerate(steps, 1):
        guest = guests[number % len(guests)] if guests else None
        if step == "come":
            guests.append(Guest())
            guests[-1].at = (False, float(now))
            crowd.add(guests[-1])
        elif guest is None:
            assert crowd.longest_at_rest() is None
        elif step == "talk":
            guest.at = (True, float(now))
        elif step == "work":
            guest.busy, guest.at = not guest.busy, (True, float(now))
        elif step == "leave":
            guests.remove(guest)
            crowd.discard(guest)
        else:
            found = crowd.longest_at_rest()
            resting = [each for each in guests if not each.busy]
            assert (found is None) == (not resting)
            assert found is None or found in resting
        assert len(crowd) == len(guests)
        assert set(crowd) == set(guests)
    if not any(guest.busy for guest in guests) and not any(step == "work" for step, _ in steps):
        while guests:
            found = crowd.longest_at_rest()
            assert found is min(guests, key=lambda each: each.at)
            guests.remove(found)
            crowd.discard(found)


def test_thousands_who_come_and_go_are_not_all_asked() -> None:
    """Each newcomer has another one go: a thousand idle ones and a thousand busy ones cost a look each, in all."""
    crowd: Crowd[Guest] = Crowd()
    guests = [Guest() for _ in range(2000)]
    for number, guest in enumerate(guests):
        guest.at, guest.busy = (False, float(number)), number % 2 == 0
        crowd.add(guest)
    for number in range(3000):
        newcomer = Guest()
        newcomer.at = (False, 2000.0 + number)
        gone = crowd.longest_at_rest()
        assert gone is not None
        crowd.discard(gone)
        crowd.add(newcomer)
        guests.append(newcomer)

    assert len(crowd) == 2000
    assert sum(guest.asked for guest in guests) < 6 * len(guests)
    assert len(crowd._known) + len(crowd._busy) <= 2 * len(crowd) + 64
