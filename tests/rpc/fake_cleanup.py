"""A clean-up that found what the test says."""

from __future__ import annotations

from jobkeepd.core.model import Peer
from jobkeepd.core.ownership import Finding
from jobkeepd.core.sight import Sight
from jobkeepd.runner.base import Ended
from jobkeepd.supervisor.cleanup import Action, Cleaned, Row


def sight(pid: int, command: str) -> Sight:
    return Sight(pid, 7, 1, 1000, born=90.0, names=(command,), command=command, cpu_s=1.5, rss_bytes=1 << 20)


class FakeCleanup:
    """`asked` is what was asked for, and by whom."""

    def __init__(self) -> None:
        self.asked: list[tuple[bool, Peer | None, str | None]] = []
        self.survivors: list[Ended] = []

    async def look(self) -> Cleaned:
        return self._cleaned("would_kill", dry_run=True)

    async def clean_once(self, *, dry_run: bool, by: Peer | None, reason: str | None) -> Cleaned:
        self.asked.append((dry_run, by, reason))
        return self._cleaned("would_kill" if dry_run else "killed", dry_run=dry_run)

    def _cleaned(self, action: Action, *, dry_run: bool) -> Cleaned:
        orphan = Finding(sight(20, "driver"), "orphan", "end", "run a.1 has ended", ("cookie",), "a.1")
        mine = Finding(sight(21, "sh"), "owned", "protect", "its run is under way", ("slot", "cookie"), "a.2")
        stranger = Finding(sight(22, "sshd"), "foreign", "leave", "nothing says that it is ours")
        rows = [Row(orphan, action, orphan.reason), Row(mine, "protected", mine.reason)]
        rows.append(Row(stranger, "left", stranger.reason))
        return Cleaned(100.0, rows, self.survivors, 2, dry_run)
