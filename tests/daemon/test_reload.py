"""A reload: which key follows it, that a mistake changes nothing, and that nothing that runs is lost by it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import structs

import jobkeep
from daemon.conftest import command_line
from jobkeep.testing import PrivateDaemon
from jobkeepd.config import NAMED, Config, load
from jobkeepd.reloading import NEEDS_RESTART, RELOADABLE, differences, merged

HOME = {"XDG_STATE_HOME": "/var/lib/u", "XDG_RUNTIME_DIR": "/run/u"}


def loaded(folder: Path, text: str) -> Config:
    file = folder / "c.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, HOME, cpus=4, uid=1000)


def test_of_every_key_it_is_decided_whether_it_can_be_reloaded() -> None:
    """Each is in one of the two tables, and in one only."""
    kinds = {**NAMED, **{each.name: each.type for each in structs.fields(Config) if each.name not in NAMED}}
    keys = {(section, key) for section, kind in kinds.items() for key in kind.__struct_fields__}
    can = {(section, key) for section, names in RELOADABLE.items() for key in names}
    cannot = {(section, key) for section, names in NEEDS_RESTART.items() for key in names}

    assert can | cannot == keys
    assert not can & cannot


def test_what_changes_and_what_cannot_is_told_apart(tmp_path: Path) -> None:
    """By key, with both values; what cannot stays as it was in what counts. Variables are compared and not shown."""
    before = loaded(tmp_path, '[queues.old]\nlimit = 2\n[locks]\nttl = "10s"\n[schedules.n]\ncron = "0 2 * * *"\n'
                    'command = ["true"]\nenv = {A = "1"}\n')  # fmt: skip
    after = loaded(tmp_path, '[queues.new]\nlimit = 3\n[locks]\nttl = "20s"\nmax_hold = "1h"\n[daemon]\n'
                   'socket = "/s"\nlog_level = "error"\n[schedules.n]\ncron = "0 2 * * *"\ncommand = ["true"]\n'
                   'env = {A = "2"}\n[sessions.b]\ncommand = ["true"]\n')  # fmt: skip
    changed, restart = differences(before, after)
    told = {each.key: (each.before, each.after) for each in changed}

    assert told["queues.old.limit"] == (2, None)
    assert told["queues.new.limit"] == (None, 3)
    assert told["locks.max_hold"] == (12600.0, 3600.0)
    assert told["schedules.n.env"][0] == told["schedules.n.env"][1]
    assert {each.key for each in restart if not each.key.startswith("sessions.b.")} == {"daemon.socket", "locks.ttl"}
    counts = merged(before, after)
    assert (counts.locks.ttl, counts.locks.max_hold) == (10.0, 3600.0)
    assert (counts.daemon.socket, counts.daemon.log_level) == (before.daemon.socket, "error")
    assert (list(counts.queues), list(counts.sessions)) == (["default", "new"], [])
    assert differences(merged(before, after), after)[0] == []


@pytest.fixture
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateDaemon]:
    private = PrivateDaemon(JOBKEEP_CONFIG=str(tmp_path_factory.mktemp("c") / "c.toml"))
    write(private, '[queues.default]\nlimit = 4\n[queues.io]\nlimit = 1\n[limits.client]\nmax_running = 1\n')
    with private:
        yield private


def write(daemon: PrivateDaemon, text: str) -> None:
    Path(daemon._settings["JOBKEEP_CONFIG"]).write_text(text, encoding="utf-8")


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.02)


def test_a_daemon_follows_its_configuration_while_it_runs(daemon: PrivateDaemon) -> None:
    """Limits let more jobs run, new queues take some, schedules come; connections, runs and waiting jobs stay."""
    gate = daemon.home / "gate"
    waiting = ["sh", "-c", f"until [ -e {gate} ]; do sleep 0.05; done"]
    with jobkeep.connect_blocking(str(daemon.socket), autostart=False) as jk:
        queued = [jk.run(waiting, queue="io") for _ in range(3)]
        limited = [jk.run(waiting, labels={"client": "acme"}) for _ in range(3)]
        every = [*queued, *limited]

        def running(jobs: list[jobkeep.BlockingJobHandle]) -> int:
            return sum(job.info().state == "running" for job in jobs)

        until(lambda: (running(queued), running(limited)) == (1, 1))

        write(daemon, '[jobs]\ngrace = "soon"\n[queues.io]\nlimit = 0\n')
        bad = command_line(daemon.socket, daemon.home, "daemon", "reload")
        assert bad.returncode == 2
        assert sorted(line.split("=")[0] for line in bad.stderr.splitlines()) == [
            "jobkeep: [jobs] grace ", "jobkeep: [queues.io] limit ", "jobkeep: the old configuration stays",
        ]  # fmt: skip
        with pytest.raises(jobkeep.JobkeepError):
            jk.run(["true"], queue="new")
        assert (running(queued), running(limited)) == (1, 1)

        write(daemon, '[queues.default]\nlimit = 4\n[queues.io]\nlimit = 3\n[queues.new]\nlimit = 1\n'
              '[limits.client]\nmax_running = 2\n'
              '[locks]\nttl = "20s"\n[schedules.nightly]\ncron = "0 2 * * *"\ncommand = ["true"]\n')  # fmt: skip
        good = command_line(daemon.socket, daemon.home, "daemon", "reload")
        assert (good.returncode, good.stderr) == (0, "")
        assert "queues.io.limit: 1 -> 3\n" in good.stdout
        assert "locks.ttl: 60.0 -> 20.0: needs a restart" in good.stdout
        until(lambda: (running(queued), running(limited)) == (3, 2))
        until(lambda: [each.name for each in jk.schedules()] == ["nightly"])
        assert jk.run(["true"], queue="new").result() == 0

        write(daemon, '[queues.default]\nlimit = 4\n[limits.client]\nmax_running = 3\n[daemon]\nlog_level = "error"\n')
        os.kill(daemon.pid, signal.SIGHUP)
        until(lambda: running(limited) == 3)
        until(lambda: jk.schedules() == [])
        with pytest.raises(jobkeep.JobkeepError):
            jk.run(["true"], queue="io")
        again = jk.reload()
        assert ([each.key for each in again.changed], again.restart, again.problems) == ([], [], [])
        said = len(daemon.log)
        assert '"event": "reload_refused"' in daemon.log
        assert jk.run(["true"]).result() == 0
        assert len(daemon.log) == said  # of that the log tells nothing any more
        gate.touch()
        assert [job.result(timeout="60s") for job in every] == [0] * 6
        assert [len(job.info().runs) for job in every] == [1] * 6
