"""A spawner and one slot of it, as a daemon sees them, and as the kernel does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jobkeepd.spawner import record

from .wire import Peer, order, until


class Rig:
    """A spawner and one slot of it, seen by a daemon."""

    def __init__(self, runtime: Path) -> None:
        self.runtime = runtime
        self.peers: list[Peer] = []
        self.spawner = self._call(record.spawner_socket(str(runtime)))
        self.pid = (self.spawner.next() or {})["pid"]

    def _call(self, path: str) -> Peer:
        self.peers.append(Peer(path))
        return self.peers[-1]

    def dial(self, slot: str = "s1") -> None:
        self.daemon = self._call(record.slot_socket(str(self.runtime), slot))

    def open(self, slot: str = "s1") -> None:
        self.spawner.send(id=1, op="open", slot=slot)
        self.shim = int((self.spawner.next() or {})["pid"])
        self.warden = parent_of(self.shim)
        self.dial(slot)
        assert self.hear("hello")["pid"] == self.shim

    def hand_over(self, *argv: str, **more: Any) -> None:
        """A run, from its shim to its warden."""
        self.open()
        self.daemon.send(**order(self.runtime, "a.1", *argv), **more)
        self.leader = int(self.hear("started")["leader"][1])
        self.hear("lasts")
        until(lambda: parent_of(self.leader) == self.warden)

    def hear(self, op: str) -> dict[str, Any]:
        said = self.daemon.next()
        assert said is not None
        assert said["op"] == op
        return said

    def gone(self) -> str:
        """What the spawner knows of the slot once it has taken over and all is over."""
        self.spawner.send(id=2, op="gone", slot="s1", until="unknown")
        return str((self.spawner.next() or {})["state"])

    def exit(self) -> dict[str, Any]:
        found = record.read(str(self.runtime), "a.1", record.EXIT)
        assert found is not None
        return found


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
