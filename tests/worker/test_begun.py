"""That a run has begun is on record before it does, or nothing is claimed of any run."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jobkeep.worker.begun import BegunRecord

from .fake_daemon import FakeDaemon, Worker


def test_a_run_is_on_record_before_anything_of_it_is_executed(
    daemon: FakeDaemon, start: Callable[..., Worker]
) -> None:
    """The import of its module included; what comes after it is not on record yet."""
    worker = start()
    early = f"NAMES = open({str(worker.begun)!r}).read()\ndef names() -> str: return NAMES"
    (daemon.directory / "early.py").write_text(early)
    gate = daemon.directory / "gate"
    os.mkfifo(gate)
    runs = [
        daemon.order("sample:add", a=1),
        daemon.order("early:names"),
        daemon.order("sample:read", path=str(gate)),
        daemon.order("sample:add", a=2),
    ]
    assert daemon.wait("Finish", runs[1])["result"] == f"{runs[0]}\n{runs[1]}\n"
    with gate.open("w"):  # opens when the third one reads
        assert worker.begun.read_text().split() == runs[:3]
    daemon.wait("Finish", runs[3])
    assert worker.begun.read_text().split() == runs


def test_a_worker_that_has_begun_nothing_has_that_on_record(daemon: FakeDaemon, worker: Worker) -> None:
    """An empty file is a proof; no file is none."""
    daemon.until(lambda: bool(daemon.attached), "worker")
    assert worker.begun.read_text() == ""


@pytest.mark.parametrize("written", [OSError(errno.ENOSPC, "full"), 3], ids=["nothing", "a part"])
def test_a_record_that_cannot_be_written_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: OSError | int
) -> None:
    """A full disk must not make a run that begins look as if it had not; runs go on without the record."""
    record = BegunRecord(str(tmp_path / "begun"))
    record.add("a.1")

    def write(descriptor: int, data: bytes) -> int:
        if isinstance(written, OSError):
            raise written
        return written

    monkeypatch.setattr(os, "write", write)
    record.add("b.1")
    assert not (tmp_path / "begun").exists()
    record.add("c.1")


def test_a_run_does_not_begin_when_its_record_can_neither_be_written_nor_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it would run again as one that had never begun."""
    record = BegunRecord(str(tmp_path / "begun"))

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EPERM, "no")

    monkeypatch.setattr(os, "write", refuse)
    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(PermissionError):
        record.add("a.1")
    monkeypatch.undo()
    monkeypatch.setattr(os, "write", refuse)
    record.add("b.1")  # without the file nothing is proven of any run
    assert not (tmp_path / "begun").exists()


@pytest.mark.parametrize("path", [None, "/nowhere/at/all"])
def test_without_a_place_for_it_there_is_no_record(path: str | None) -> None:
    """A daemon of before this was kept names none: runs begin as ever."""
    BegunRecord(path).add("a.1")
