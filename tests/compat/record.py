"""Records what this release says and writes, for all later ones to understand: `make compat-record`.

Into tests/compat/releases/VERSION go the interfaces and transcripts, into tests/compat/schemas/NUMBER a state directory
if the database has a schema that was not recorded yet.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from compat import phrases, sessions, states
from compat.proxy import Proxy
from compat.scenario import PYTHON, Scene, prepared
from compat.transcript import Writer, exchange
from compat.versions import RELEASES, SCHEMAS
from crash.judges import slay_all
from jobkeep import __version__
from jobkeep.protocol import worker
from jobkeep.protocol.registry import INTERFACES, description
from jobkeep.testing import PrivateDaemon
from jobkeepd.spawner import record
from jobkeepd.store.schema import MIGRATIONS


def interfaces(folder: Path) -> None:
    for name in INTERFACES:
        if name.startswith("org.jobkeep."):
            (folder / f"{name}.varlink").write_text(str(description(name)), encoding="utf-8")
    protocols = {"slot": record.PROTOCOL, "worker": worker.PROTOCOL}
    (folder / "protocols.json").write_text(json.dumps(protocols) + "\n", encoding="utf-8")


def clients(path: Path) -> None:
    """What clients say to the daemon, and what it answers."""
    daemon = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT="2")
    prepared(daemon.home)
    steps: list[dict[str, Any]] = []
    with daemon.start():
        proxy = Proxy(daemon.socket)
        scene = Scene(daemon, proxy.behind, steps.append)
        proxy.calls = Marked(scene, steps)
        scene.play()
        proxy.close()
    daemon.wait()
    write(path, Writer(daemon.home, PYTHON, scene.jobs), steps)
    shutil.rmtree(daemon.home)


def workers(path: Path) -> None:
    """What a worker says to the daemon, and what it is told."""
    daemon = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT="1")
    prepared(daemon.home)
    steps, jobs = sessions.recorded(daemon)
    write(path, Writer(daemon.home, PYTHON, jobs), steps)
    path.with_name("handover.json").write_bytes(msgspec.json.encode(sessions.HANDOVER) + b"\n")
    shutil.rmtree(daemon.home)


def slots(path: Path) -> None:
    """What slots and spawners say and are told, and the records they leave."""
    said, records, runtime = phrases.recorded()
    told = {"phrases": dict(sorted(said.items())), "records": dict(sorted(records.items()))}
    text = Writer(runtime, PYTHON, []).line(told)
    path.write_text(json.dumps(json.loads(text), indent=1) + "\n", encoding="utf-8")


def state(folder: Path) -> None:
    """The database and the spool of a state directory, and what this release itself makes of them."""
    daemon = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT=states.LIMIT)
    jobs = states.left_behind(daemon)
    folder.mkdir(parents=True, exist_ok=True)
    states.save(daemon, folder)
    shutil.rmtree(daemon.home)

    daemon = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT="1")
    states.restore(folder, daemon)
    daemon.start().close()
    states.wait_until(str(daemon.socket), jobs["running_too"], "running", 2)
    calls = states.looks(jobs)
    entries = [{"call": call, "replies": exchange(daemon.socket, call)} for call in calls]
    daemon.stop()
    write(folder / "seen.jsonl", Writer(daemon.home, PYTHON, []), entries)
    (folder / "jobs.json").write_text(json.dumps(jobs, indent=1) + "\n", encoding="utf-8")
    slay_all(daemon.home)
    shutil.rmtree(daemon.home)


def write(path: Path, writer: Writer, entries: Iterable[Any]) -> None:
    path.write_text("".join(f"{writer.line(entry)}\n" for entry in entries), encoding="utf-8")


class Marked(list[dict[str, Any]]):
    """Calls as they come, noted among the other steps with who makes them."""

    def __init__(self, scene: Scene, steps: list[dict[str, Any]]) -> None:
        super().__init__()
        self._scene = scene
        self._steps = steps

    def append(self, call: dict[str, Any]) -> None:
        if not call["call"]["method"].startswith("org.jobkeep.Worker."):
            call["by"] = self._scene.by
            self._steps.append(call)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make compat-record", description=__doc__)
    parser.add_argument("--again", action="store_true", help="replace this version's: before its release, never after")
    folder, schema = RELEASES / __version__, SCHEMAS / str(len(MIGRATIONS))
    if folder.exists() and not parser.parse_args().again:
        parser.error(f"{folder} is there already")
    os.environ.clear()  # nothing of who records is kept
    os.environ.update(PATH="/usr/bin:/bin", LANG="C.UTF-8")
    folder.mkdir(parents=True, exist_ok=True)
    interfaces(folder)
    slots(folder / "slots.json")
    clients(folder / "clients.jsonl")
    workers(folder / "workers.jsonl")
    if not schema.exists():
        state(schema)
    return 0


if __name__ == "__main__":
    sys.exit(main())
