"""The adapter for macOS over a table that is made up: what is not proven is not signalled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from jobkeepd.core.ownership import Ownership
from jobkeepd.core.sight import Claim, Known, Mark, Sight
from jobkeepd.runner import macos
from jobkeepd.runner.macos import Facts, MacReaper, MacSightings

pytestmark = pytest.mark.anyio
UID, NOW, UP = 501, 1_700_000_000.0, 5000.0
OURS = {"JOBKEEP_COOKIE": "c1", "JOBKEEP_JOB": "abc", "JOBKEEP_RUN": "1"}
MARK = Mark("c1", "abc", 1)


class StoppedClock:
    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return UP


class FakeTable:
    """Processes that obey the signals in `obeys`, and may be replaced by others between a look and a signal."""

    def __init__(self) -> None:
        self.processes: dict[int, Facts] = {}
        self.obeys = {15, 9}
        self.sent: list[tuple[int, int]] = []
        self.replaced_before_send = False

    def start(self, pid: int, environment: Mapping[str, str] | None, **more: Any) -> None:
        given: dict[str, Any] = {"parent": 1, "created": NOW - 100.25, "uids": (UID, UID, UID), **more}
        self.processes[pid] = Facts(pid=pid, names=("sleep",), command="sleep 9", environment=environment, **given)

    def all(self) -> list[Facts]:
        return list(self.processes.values())

    def booted(self) -> float:
        return NOW - UP

    def one(self, pid: int) -> Facts | None:
        return self.processes.get(pid)

    def send(self, pid: int, created: float, number: int) -> bool:
        if self.replaced_before_send:
            self.processes[pid] = replace(self.processes[pid], created=created + 1)
        if self.processes[pid].created != created:
            return False
        self.sent.append((pid, number))
        if number in self.obeys:
            del self.processes[pid]
        return True


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> FakeTable:
    monkeypatch.setattr(macos, "_DIES_WITHIN", 0.05)
    return FakeTable()


async def seen(table: FakeTable) -> dict[int, Sight]:
    look = await MacSightings(table, UID, "boot-1", StoppedClock()).look(arguments=True)
    assert look.now == UP
    assert (look.slots, look.spawners, look.members) == ({}, frozenset(), {})
    return dict(look.sights)


async def test_an_orphan_with_a_cookie_is_seen_and_ended(table: FakeTable) -> None:
    """First asked, then made to; what was sent is told."""
    table.start(200, OURS)
    table.obeys = {9}
    sights = await seen(table)
    assert (sights[200].mark, sights[200].born, sights[200].uid) == (MARK, UP - 100.25, UID)
    known = Known(uid=UID, now=UP, daemon=99, claims={MARK: Claim("abc.1", False)})
    assert Ownership(sights, known).judge(200).fate == "end"
    (ended,) = await MacReaper(table, UID, "boot-1").end([sights[200]], 0.05)
    assert (ended.gone, ended.sent, table.sent) == (True, (15, 9), [(200, 15), (200, 9)])
    assert ended.who is not None
    assert ended.who.start_ticks == sights[200].start_ticks


async def test_an_environment_that_is_not_shown_makes_a_process_unverifiable(table: FakeTable) -> None:
    """It may be ours, and is left alone."""
    table.start(200, None)
    sights = await seen(table)
    found = Ownership(sights, Known(uid=UID, now=UP, daemon=99)).judge(200)
    assert (found.verdict, found.fate) == ("unverifiable", "leave")


@pytest.mark.parametrize(
    "change",
    [
        {"created": NOW - 1},
        {"environment": None},
        {"environment": {**OURS, "JOBKEEP_COOKIE": "c2"}},
        {"environment": {**OURS, "JOBKEEP_KEEP": "1"}},
        {"uids": (UID, 0, 0)},
    ],
    ids=["another process", "no environment", "another cookie", "it wants to stay", "another user"],
)
async def test_who_has_changed_since_it_was_seen_is_not_signalled(table: FakeTable, change: dict[str, Any]) -> None:
    """Each by itself is enough."""
    table.start(200, OURS)
    sight = (await seen(table))[200]
    table.processes[200] = replace(table.processes[200], **change)
    (ended,) = await MacReaper(table, UID, "boot-1").end([sight], 0.05)
    assert (ended.sent, table.sent) == ((), [])
    assert ended.why


async def test_a_name_ends_nobody_here(table: FakeTable) -> None:
    """What only its family speaks against has no cookie, and no signal is sent without one."""
    table.start(200, {})
    (ended,) = await MacReaper(table, UID, "boot-1").end([(await seen(table))[200]], 0.05)
    assert (ended.sent, ended.gone) == ((), False)
    assert "only a cookie" in ended.why


async def test_who_takes_the_pid_in_the_last_moment_is_not_signalled(table: FakeTable) -> None:
    """The table compares once more."""
    table.start(200, OURS)
    sight = (await seen(table))[200]
    table.replaced_before_send = True
    (ended,) = await MacReaper(table, UID, "boot-1").end([sight], 0.05)
    assert (ended.sent, table.sent) == ((), [])


async def test_process_1_and_ourselves_are_refused(table: FakeTable) -> None:
    """Whatever they have in their environment."""
    table.start(1, OURS, parent=0)
    table.start(macos.os.getpid(), OURS)
    ended = await MacReaper(table, UID, "boot-1").end(list((await seen(table)).values()), 0.05)
    assert [each.sent for each in ended] == [(), ()]
