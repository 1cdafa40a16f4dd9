"""Where a control group is delegated to the daemon, not even those are lost that nobody has ever seen."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import jobkeep
from crash.judges import Held, is_alive, slay_all
from jobkeep.testing import PrivateDaemon

from .test_cleanup import kill_spawners

MOUNTS = [path for path in map(Path, ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")) if (path / "cgroup.procs").exists()]
PATIENCE = 60.0


@pytest.fixture
def group() -> Iterator[Path]:
    """Handed over as systemd does it with Delegate=yes."""
    if not MOUNTS or not os.access(MOUNTS[0], os.W_OK):
        pytest.skip("only root, where control groups of version 2 are mounted, can make one")
    group = MOUNTS[0] / f"jk-test-{os.getpid()}"
    group.mkdir()
    try:
        os.setxattr(group, "user.delegate", b"1")
        yield group
    except OSError as error:
        pytest.skip(f"control groups have no extended attributes here: {error}")
    finally:
        with suppress(OSError):
            (group / "cgroup.kill").write_text("1")
        deadline = time.monotonic() + PATIENCE
        while group.exists() and time.monotonic() < deadline:
            for folder in (*group.glob("*/"), group):
                with suppress(OSError):
                    folder.rmdir()


@pytest.fixture
def daemon(group: Path) -> Iterator[PrivateDaemon]:
    class Delegated(PrivateDaemon):
        def _command(self) -> list[str]:
            return ["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh", *super()._command()]

    private = Delegated(JOBKEEP_JOBS_GRACE="0.5s", JOBKEEP_CLEANUP_SCHEDULE="")
    with private:
        yield private
        private.stop()
        slay_all(private.home)


@pytest.fixture
def jk(daemon: PrivateDaemon) -> Iterator[jobkeep.BlockingClient]:
    with jobkeep.connect_blocking(str(daemon.socket), autostart=False) as client:
        yield client


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def groups_in(group: Path) -> list[str]:
    return [path.name for path in group.glob("jobkeep-*")]


def test_what_hides_from_everything_ends_with_its_run(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient, group: Path, tmp_path: Path
) -> None:
    """Slot, spawner and leader are killed; it has no cookie, no parent of ours, and was never looked at."""
    hidden = f"env -i setsid sh -c 'trap \"\" TERM; echo $$ > {tmp_path}/hidden; while :; do sleep 0.1; done' &"
    job = jk.run(["sh", "-c", f"{hidden} echo $$ > {tmp_path}/leader; exec sleep 600"])
    until(lambda: all((tmp_path / name).exists() and (tmp_path / name).read_text() for name in ("hidden", "leader")))
    child, leader = (int((tmp_path / name).read_text()) for name in ("hidden", "leader"))
    assert len(groups_in(group)) == 1
    row = next(process for process in jk.processes() if process.pid == child)
    assert row.run == f"{job.id}.1"
    assert {"slot", "cgroup"} <= set(row.evidence)
    with Held.take(leader, daemon.home) as held:  # type: ignore[union-attr]
        kill_spawners(daemon.home)
        held.send(signal.SIGKILL)
    until(lambda: job.info().state == "failed")
    assert not is_alive(child)
    said = [event.data for event in job.history() if event.kind == "signalled" and event.data["pid"] == child]
    assert [(each["signal"], each["evidence"]) for each in said] == [("SIGTERM", ["cgroup"]), ("SIGKILL", ["cgroup"])]
    until(lambda: groups_in(group) == [])


def test_a_run_with_limits_has_a_group_of_its_own_beside_its_slot(
    jk: jobkeep.BlockingClient, group: Path, tmp_path: Path
) -> None:
    """Where the daemon is in one, too; the slot's next run and its end find nothing of it."""
    (group / "daemon").mkdir()
    for pid in (group / "cgroup.procs").read_text().split():
        (group / "daemon/cgroup.procs").write_text(pid)
    where = f"cat /proc/self/cgroup > {tmp_path}/own; ulimit -n >> {tmp_path}/own"
    for number in (99, 98):
        done = jk.run(["sh", "-c", where], memory="512M", nofile=number).wait(timeout=PATIENCE)
        assert done.state == "succeeded", done.outcome
        own = (tmp_path / "own").read_text().split()
        assert own[-1] == str(number)
        [name] = groups_in(group)
        assert any(line.endswith(f"/{group.name}/{name}/run") for line in own)
        assert {path.name for path in (group / name).glob("*/")} == {"shim"}
        assert (group / name / "cgroup.procs").read_text() == ""
        assert len((group / name / "shim/cgroup.procs").read_text().split()) == 2  # a warden, and its shim


def test_a_slot_that_retires_takes_its_group_with_it(
    daemon: PrivateDaemon, jk: jobkeep.BlockingClient, group: Path
) -> None:
    """And as long as it lives it has one, from run to run."""
    assert jk.run(["true"]).wait(timeout=PATIENCE).state == "succeeded"
    assert jk.run(["true"]).wait(timeout=PATIENCE).state == "succeeded"
    assert len(groups_in(group)) == 1
    daemon.stop()
    until(lambda: groups_in(group) == [])
    daemon.start().close()
