"""The control group of a slot that is gone is emptied, however quickly its processes fork."""

from __future__ import annotations

import itertools

import anyio
import pytest

from jobkeepd.runner import groups

pytestmark = pytest.mark.anyio
NOBODY = 1 << 22  # pids from here on are never given out


@pytest.mark.parametrize("patience", [0.5, 0.0])
async def test_who_forks_at_each_look_is_ended_with_the_whole_group(
    monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    """Each look finds one more, so that signals to single ones never suffice: the kernel is told to end them all, also
    where the first look after the grace comes late.
    """
    forked, killed = itertools.count(1), list[str]()

    def members(slot: str) -> list[int]:
        return [] if killed else [*range(NOBODY, NOBODY + next(forked))]

    monkeypatch.setattr(groups, "_KILL_FOR", patience)
    monkeypatch.setattr(groups.cgroup, "members", members)
    monkeypatch.setattr(groups.cgroup, "kill", killed.append)
    monkeypatch.setattr(groups.cgroup, "leave", lambda slot: True)

    with anyio.fail_after(60):
        await groups.Groups(lambda said: None).end("s1", 0.0, None, None)

    assert killed == ["s1"]
