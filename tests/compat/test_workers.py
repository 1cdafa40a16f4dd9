"""A worker of an earlier release under today's daemon, and today's worker under an earlier daemon."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jobkeep.testing import PrivateDaemon
from jobkeep.worker.renewal import Handover
from jobkeepd.runner import versions
from jobkeepd.runner.surroundings import Surroundings
from worker.fake_daemon import FakeDaemon, Worker

from . import sessions
from .conftest import JOBS
from .scenario import PYTHON, prepared
from .test_upgrade import wait_for
from .transcript import Names, covers
from .versions import VERSIONS, worker_protocol

each_release = pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)


def steps_of(version: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (version / "workers.jsonl").read_text(encoding="utf-8").splitlines()]


def interpreter(home: Path) -> Path:
    """An interpreter that runs the player, whatever it is asked to run."""
    path = home / "old-python"
    folder = str(Path(__file__).parents[1])
    path.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {folder!r})\n"
        "from compat.sessions import main\nsys.exit(main())\n",
        encoding="utf-8",
    )
    path.chmod(0o700)
    return path


@each_release
def test_a_worker_of_an_earlier_release_is_understood_and_served(version: Path) -> None:
    """Its whole session is repeated: the jobs end as they did, and it is told all that it was told then."""
    if worker_protocol(version) not in versions.WORKERS:
        pytest.skip("it is refused, as other tests tell")
    daemon = PrivateDaemon(JOBKEEP_QUEUES_DEFAULT_LIMIT="1")
    prepared(daemon.home)
    verdict = daemon.home / "verdict"
    env = {"TRANSCRIPT": str(version / "workers.jsonl"), "VERDICT": str(verdict), "PYTHON": PYTHON}
    try:
        with daemon.start() as jk:
            jobs = sessions.drive(jk, daemon.home, str(interpreter(daemon.home)), env)
            wait_for(verdict.exists)
            assert verdict.read_text() == "as then"
            first, second = (jk.job(job).info() for job in jobs)
            assert (first.state, jk.job(jobs[0]).result()) == ("succeeded", {"even": 10, "odd": 8, "failed": 2})
            assert (first.progress.done, first.progress.failed_items, first.attempt) == (20, 2, 1)
            assert (second.state, second.attempt) == ("cancelled", 1)
        daemon.stop()
    finally:
        daemon.kill()
        shutil.rmtree(daemon.home)


@pytest.fixture
def old_daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    (tmp_path / "jobs.py").write_text(JOBS, encoding="utf-8")
    fake = FakeDaemon(tmp_path)
    yield fake
    fake.vanish()


@pytest.fixture
def start(old_daemon: FakeDaemon) -> Iterator[Callable[[], Worker]]:
    workers: list[Worker] = []

    def launch() -> Worker:
        workers.append(Worker(old_daemon))
        return workers[-1]

    yield launch
    for worker in workers:
        worker.end()


@each_release
def test_todays_worker_does_what_an_earlier_daemon_orders(
    version: Path, old_daemon: FakeDaemon, start: Callable[[], Worker]
) -> None:
    """With no more in the order than there was then; and its reports have all that they had."""
    home = old_daemon.directory
    names = Names(home, sys.executable)
    names.known |= {"@JOB1@": "j1", "@SEAT1@": "seat1", "@DRAWN1@": "secret", "@DRAWN2@": "cookie"}
    steps = [names.fill_in(step) for step in steps_of(version)]
    orders = [step["daemon"]["parameters"] for step in steps if "daemon" in step]
    (order,) = [each for each in orders if each.get("kind") == "run" and each["run"]["run"] == "j1.1"]
    old_daemon.knows = range(worker_protocol(version), worker_protocol(version) + 1)
    (home / "gate").touch()
    (home / "state/logs/seats").mkdir(parents=True)
    worker = start()
    old_daemon.send(order)
    said = old_daemon.wait("Finish", "j1.1")
    reports = [step["worker"] for step in steps if "worker" in step]
    finish, checkpoint = (
        [report["parameters"] for report in reports if report["method"] == f"org.jobkeep.Worker.{method}"][:kind]
        for method, kind in (("Finish", 1), ("Checkpoint", None))
    )
    finish[0].pop("silent", None)  # it is said where all threads have gone in time
    assert covers(said, finish[0], names) is None
    newest = [report for name, report in old_daemon.reports if name == "Checkpoint"][-1]
    then = [report for report in checkpoint if report["run"] == "j1.1"][-1]
    assert covers(newest["cursor"], then["cursor"], names) is None
    assert (newest["done"], newest["tallies"]) == (then["done"], then["tallies"])
    assert covers(old_daemon.attached[-1], reports[0]["parameters"], names) is None
    old_daemon.send({"kind": "retire"})
    assert worker.exit_code() == 0


@each_release
def test_what_an_older_worker_hands_to_a_fresh_interpreter_is_read(version: Path) -> None:
    """The interpreter that goes on with its run may have a newer jobkeep by then."""
    handover = msgspec.json.decode((version / "handover.json").read_bytes(), type=Handover)
    assert handover == sessions.HANDOVER


def test_a_worker_is_known_again_by_a_later_daemon() -> None:
    """Its cookie follows from the state directory's secret and the seat's name as it did in the first release."""
    surroundings = Surroundings(**dict.fromkeys(Surroundings.__struct_fields__) | {"secret": bytes(range(32))})  # type: ignore[arg-type]
    assert surroundings.worker_cookie("s0123abcd") == "316714956044fb0933a88af64ccbe4d82bcd72f2"
