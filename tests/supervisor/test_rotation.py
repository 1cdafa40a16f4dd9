"""What is rotated when, by which limit, and what is told of it. Real files, and no clock."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from jobkeepd.core.model import Entry, RunRef
from jobkeepd.core.rotation import Part
from jobkeepd.runner.holes import can_punch
from jobkeepd.runner.output import Outputs
from jobkeepd.runner.run_logs import RunLogs
from jobkeepd.runner.stream_log import StreamLog
from jobkeepd.store.changes import Note
from jobkeepd.supervisor.rotation import Rotation
from jobkeepd.supervisor.settings import LogSettings

pytestmark = pytest.mark.anyio
KIB = 1 << 10
ANN, BOB, ADMIN = 1000, 1001, 0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Host:
    """Runs that write to their seats, and a journal."""

    def __init__(self, folder: Path, **logs: int) -> None:
        self.outputs = Outputs(str(folder))
        self.outputs.prepare()
        self.logs = RunLogs(self.outputs)
        if not can_punch(str(folder)):
            pytest.skip(f"the file system of {folder} cannot punch holes")
        self.tasks: dict[str, Any] = {}
        self.notes: list[Note] = []
        self.workshop: Any = SimpleNamespace(
            run_logs=self.logs,
            logs=LogSettings(**logs),
            most_log_bytes=None,
            clock=SimpleNamespace(now=lambda: 7.0),
            store=SimpleNamespace(send=self.notes.append),
        )

    def rotation(self) -> Rotation:
        return Rotation(self.tasks, self.workshop)

    def limit(self, most: int) -> None:
        self.workshop.most_log_bytes = lambda uid: None if uid == ADMIN else most

    def runs(self, job: str, owner: int = ANN) -> None:
        self.outputs.begin(f"seat-{job}", RunRef(job, 1, 1))
        self.tasks[job] = SimpleNamespace(job=SimpleNamespace(owner=owner, run=SimpleNamespace(number=1)))

    def write(self, job: str, size: int, stream: str = "stdout") -> None:
        with open(self.outputs.path(job, 1, stream), "ab") as file:
            file.write((b"x" * 63 + b"\n") * (size // 64))

    def ends(self, job: str) -> Entry:
        assert self.outputs.keep(RunRef(job, 1, 1))
        del self.tasks[job]
        return Entry(seq=1, at=7.0, kind="ended", job=job, run=1)

    def kept(self, job: str, stream: str = "stdout") -> tuple[int, int]:
        """(how much was written, how much of it is there)."""
        log = self.logs.open(job, 1, stream)
        assert log is not None
        there = log.extent()
        log.close()
        return there.size, there.kept

    def hole(self, job: str) -> int:
        """How much at the beginning of its own file takes no room."""
        log = self.logs.open(job, 1, "stdout")
        assert log is not None
        found = os.lseek(log.fd, 0, os.SEEK_DATA)
        log.close()
        return found


async def test_a_log_is_kept_within_its_size_and_its_first_loss_is_on_record(tmp_path: Path) -> None:
    """Once for each stream; what is only moved is no loss."""
    host = Host(tmp_path, max_bytes=256 * KIB, keep=1)
    host.runs("a")
    host.write("a", 64 * KIB, "stderr")
    rotation = host.rotation()
    told = []
    for _ in range(6):
        host.write("a", 200 * KIB)
        await rotation.rotate_once()
        told.append(len(host.notes))

    size, kept = host.kept("a")
    assert size == 1200 * KIB
    assert 128 * KIB <= kept <= 512 * KIB
    assert host.kept("a", "stderr") == (64 * KIB, 64 * KIB)
    assert told[1] == 0
    assert told[-1] == 1
    note = host.notes[0]
    assert (note.kind, note.job, note.run) == ("output_dropped", "a", 1)
    assert note.data["limit"] == "[logs] max_bytes"
    assert 0 < note.data["first"] <= size - kept


async def test_a_run_that_has_ended_is_looked_at_once_more(tmp_path: Path) -> None:
    """However short it was; under its own name by then, or removed already."""
    host = Host(tmp_path, max_bytes=256 * KIB, keep=0)
    rotation = host.rotation()
    host.runs("a")
    host.runs("b")
    for job in "ab":
        host.write(job, 2048 * KIB)
    ended = [host.ends(job) for job in "ab"]
    await host.outputs.discard({"b": 1})
    rotation.notice(ended)
    await rotation.rotate_once()

    assert host.kept("a")[1] <= 256 * KIB
    assert os.listdir(tmp_path / "rotated") == ["a.1.stdout"]
    await host.outputs.discard({"a": 1})
    assert os.listdir(tmp_path / "rotated") == []


async def test_a_user_with_too_much_output_loses_the_oldest_of_the_longest_logs(tmp_path: Path) -> None:
    """Those of others, of his own that are short, and of admins stay whole; each that loses something says so once."""
    host = Host(tmp_path)
    host.limit(1024 * KIB)
    for job, owner in (("loud", ANN), ("noisy", ANN), ("quiet", ANN), ("bob", BOB), ("admin", ADMIN)):
        host.runs(job, owner)
    host.write("quiet", 100 * KIB)
    host.write("bob", 1024 * KIB)
    host.write("admin", 2048 * KIB)
    rotation = host.rotation()
    for _ in range(3):
        host.write("loud", 1024 * KIB)
        host.write("noisy", 1024 * KIB)
        await rotation.rotate_once()

    assert host.kept("quiet") == (100 * KIB, 100 * KIB)
    assert host.kept("bob") == (1024 * KIB, 1024 * KIB)
    assert host.kept("admin") == (2048 * KIB, 2048 * KIB)
    kept = [host.kept(job)[1] for job in ("loud", "noisy")]
    assert 700 * KIB < sum(kept) <= (1024 - 100 + 2 * 64) * KIB
    assert [(note.job, note.data["limit"], note.data["uid"]) for note in host.notes] == [
        ("loud", "[access] max_log_bytes", ANN), ("noisy", "[access] max_log_bytes", ANN),
    ]  # fmt: skip


async def test_what_an_earlier_daemon_was_killed_in_is_finished(tmp_path: Path) -> None:
    """Here it had named its copy, and had not given the room back yet; the run may be over."""
    host = Host(tmp_path, max_bytes=256 * KIB, keep=2)
    host.runs("a")
    host.write("a", 1024 * KIB)
    ended = host.ends("a")
    assert ended.run == 1
    folder = tmp_path / "rotated" / "a.1.stdout"
    folder.mkdir()
    (folder / Part(0, 512 * KIB).name).write_bytes(b"x" * (512 * KIB))
    (folder / "draft").write_bytes(b"half a copy")
    (tmp_path / "rotated" / "something else").mkdir()
    await host.rotation().rotate_once()

    assert host.hole("a") == 512 * KIB
    assert host.kept("a") == (1024 * KIB, 1024 * KIB)
    assert not (folder / "draft").exists()


async def test_where_no_holes_can_be_punched_nothing_is_copied_and_it_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Output grows there as it did without a limit."""
    host = Host(tmp_path, max_bytes=256 * KIB, keep=1)
    host.runs("a")
    host.write("a", 1024 * KIB)

    async def cannot() -> bool:
        return False

    monkeypatch.setattr(host.logs, "can_rotate", cannot)
    rotation = host.rotation()
    with capture_logs() as logs:
        for _ in range(3):
            await rotation.rotate_once()

    assert [entry["event"] for entry in logs] == ["rotation_impossible"]
    assert host.kept("a") == (1024 * KIB, 1024 * KIB)
    assert not os.listdir(tmp_path / "rotated")


async def test_a_folder_that_somebody_has_removed_ends_nobody(tmp_path: Path) -> None:
    """It is told once, and nothing is lost."""
    host = Host(tmp_path, max_bytes=256 * KIB, keep=1)
    host.runs("a")
    host.write("a", 1024 * KIB)
    (tmp_path / "rotated").rmdir()
    rotation = host.rotation()
    with capture_logs() as logs:
        for _ in range(3):
            await rotation.rotate_once()

    assert [entry["event"] for entry in logs] == ["rotation_postponed"]
    assert host.kept("a") == (1024 * KIB, 1024 * KIB)


async def test_a_disk_without_room_for_a_copy_postpones_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told once; nothing is lost, and it is made up for when there is room."""
    host = Host(tmp_path, max_bytes=256 * KIB, keep=4)
    host.runs("a")
    host.write("a", 600 * KIB)
    rotation, move = host.rotation(), StreamLog.move

    def full(log: StreamLog, part: Part) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(StreamLog, "move", full)
    with capture_logs() as logs:
        for _ in range(3):
            await rotation.rotate_once()
    assert [entry["event"] for entry in logs] == ["rotation_postponed"]
    assert host.kept("a") == (600 * KIB, 600 * KIB)
    monkeypatch.setattr(StreamLog, "move", move)
    await rotation.rotate_once()
    assert host.kept("a") == (600 * KIB, 600 * KIB)
    assert host.hole("a") >= 320 * KIB


async def test_a_log_that_its_job_has_emptied_begins_anew(tmp_path: Path) -> None:
    """It is looked at though it is short: what it writes would not be shown, and not be bounded."""
    host = Host(tmp_path, max_bytes=256 * KIB, keep=0)
    host.runs("a")
    host.write("a", 1024 * KIB)
    rotation = host.rotation()
    await rotation.rotate_once()
    os.truncate(host.outputs.path("a", 1, "stdout"), 0)
    host.write("a", 64)
    await rotation.rotate_once()
    assert host.kept("a") == (64, 64)


@pytest.mark.parametrize("wanted", [lambda host: host.limit(1 << 40), lambda host: None])
async def test_what_has_no_limit_or_is_within_it_is_not_even_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: Callable[[Host], None]
) -> None:
    """A look at hundreds of runs costs next to nothing."""
    host = Host(tmp_path)
    wanted(host)
    host.runs("a")
    host.write("a", 1024 * KIB)
    monkeypatch.setattr(host.logs, "open", None)
    await host.rotation().rotate_once()
    assert not host.notes
