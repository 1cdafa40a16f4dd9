"""Memory that a running command costs: its own and its slot's, and what the daemon keeps of it."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from bench.measure import INFORMATION, Bound, Sample
from bench.rig import Daemon, Rig, children
from jobkeep.protocol.jobs import JobSpec, ListParameters, ListReply

COMMANDS = 50
SLEEP = ["sleep", "100000"]
SETTLE = 3.0  # seconds: commands that run, not commands that start


def private(pid: int) -> int:
    """KiB that are this process's alone."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    lines = (line.split() for line in rollup.splitlines())
    return sum(int(line[1]) for line in lines if line[0] in ("Private_Clean:", "Private_Dirty:"))


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])


def below(pid: int) -> list[int]:
    return [each for child in children(pid) for each in (child, *below(child))]


def is_sleep(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1] == [word.encode() for word in SLEEP]


class RunningCommands:
    """A daemon with commands that run, started when it is first asked for."""

    _daemons: dict[Rig, RunningCommands] = {}  # one for all measures of a rig

    def __init__(self, rig: Rig) -> None:
        self.daemon = rig.fresh_daemon(limit=COMMANDS)
        time.sleep(SETTLE)
        self.idle = private(self.daemon.pid)
        client = self.daemon.client()
        for _ in range(COMMANDS):
            client.submit(JobSpec(command=SLEEP, cwd="/"))
        self._await_all(self.daemon)
        time.sleep(SETTLE)

    @classmethod
    def of(cls, rig: Rig) -> RunningCommands:
        return cls._daemons.get(rig) or cls._daemons.setdefault(rig, cls(rig))

    def _await_all(self, daemon: Daemon) -> None:
        client = daemon.client()
        parameters = ListParameters(state=["running"], limit=COMMANDS)
        while len(client.call("org.jobkeep.Jobs.List", parameters, ListReply).jobs) < COMMANDS:
            time.sleep(0.05)

    def costs(self) -> list[tuple[int, int]]:
        """Of each command: its own, and together with all that is between it and the spawner."""
        found = []
        (spawner,) = children(self.daemon.pid)
        for leader in filter(is_sleep, below(spawner)):
            line = [leader]
            while parent_of(line[-1]) != spawner:
                line.append(parent_of(line[-1]))
            found.append((private(leader), sum(map(private, line))))
        if len(found) != COMMANDS:
            raise SystemExit(f"error: {len(found)} of {COMMANDS} commands run")
        return found


class CommandMemory:
    name = "command_memory"
    what = "private memory of a running command and its slot / of the command alone"
    unit = "KiB"
    bound = Bound(at_most=1024)

    def prepare(self, rig: Rig) -> None:
        self._running = RunningCommands.of(rig)

    def round(self) -> Sample:
        alone, whole = zip(*self._running.costs(), strict=True)
        return Sample(statistics.median(alone), statistics.median(whole))


class DaemonMemory:
    name = "daemon_memory"
    what = "private memory of the daemon for each running command / of the daemon without any"
    unit = "KiB"
    bound = INFORMATION

    def prepare(self, rig: Rig) -> None:
        self._running = RunningCommands.of(rig)

    def round(self) -> Sample:
        running = self._running
        return Sample(running.idle, (private(running.daemon.pid) - running.idle) / COMMANDS)
