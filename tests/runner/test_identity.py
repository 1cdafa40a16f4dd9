"""Only a process that is proven to be the recorded one is signalled."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from jobkeepd.runner import identity
from jobkeepd.runner.identity import Match


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("field", ["boot_id", "start_ticks", "pidfd_inode"])
def test_one_difference_is_another_process(child: subprocess.Popen[bytes], field: str) -> None:
    """Each field alone tells a process from its successor, and then no signal goes out."""
    recorded = identity.read_identity(child.pid)
    assert recorded is not None
    assert identity.compare(recorded) is Match.SAME
    other = replace(recorded, **{field: "another" if field == "boot_id" else 1})

    assert identity.compare(other) is Match.OTHER
    assert identity.open_same(other) is None
    assert not identity.send(other, signal.SIGKILL)
    assert child.poll() is None


def test_the_recorded_process_gets_the_signal(child: subprocess.Popen[bytes]) -> None:
    """Verified: the signal arrives, and afterwards the process is gone."""
    recorded = identity.read_identity(child.pid)
    assert recorded is not None

    assert identity.send(recorded, signal.SIGTERM)
    assert child.wait(60) == -signal.SIGTERM
    assert identity.compare(recorded) is Match.GONE
    assert not identity.send(recorded, signal.SIGTERM)


def test_an_identity_without_inode_is_compared_by_the_rest() -> None:
    """Records of kernels without pidfs have none."""
    me = identity.read_identity(os.getpid())
    assert me is not None

    assert identity.compare(replace(me, pidfd_inode=None)) is Match.SAME


def test_whether_it_has_ended_can_be_told_with_many_open_files(child: subprocess.Popen[bytes]) -> None:
    """A daemon has more than 1024 of them."""
    recorded = identity.read_identity(child.pid)
    assert recorded is not None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 1100:
        pytest.skip("this host allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1100), hard))
    opened = [os.open("/dev/null", os.O_RDONLY)]
    try:
        while max(opened) < 1030:  # with the others that this process has
            opened.append(os.open("/dev/null", os.O_RDONLY))
        assert not identity.has_ended(recorded)
        child.kill()
        child.wait()
        assert identity.has_ended(recorded)
    finally:
        for fd in opened:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
