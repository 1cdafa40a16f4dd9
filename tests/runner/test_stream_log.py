"""Rotation on real files: no byte is lost or doubled, whatever it is killed in, and no reader sees a hole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobkeepd import instance
from jobkeepd.core.rotation import Part, Rule, part_of, shorten
from jobkeepd.runner import stream_log
from jobkeepd.runner.holes import can_punch
from jobkeepd.runner.stream_log import StreamLog, discard

KIB = 1 << 10
RULE = Rule(256 * KIB, 2)
LINES = b"".join(b"%015d\n" % at for at in range(0, 2048 * KIB, 16))
# Everything that a rotation does to the disk, in whatever order it does it.
DEEDS = ("open", "mkdir", "sendfile", "fsync", "rename", "unlink", "close")


class Killed(BaseException):
    """As by SIGKILL: nobody catches it."""


@pytest.fixture(autouse=True)
def holes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", fsync)
    if not can_punch(str(tmp_path)):
        pytest.skip(f"the file system of {tmp_path} cannot punch holes")


def fsync(fd: int) -> None:
    """When it is asked for is looked at; the rest would be the disk's time."""


class Scene:
    """A stream with a writer that has it open, as a job has."""

    def __init__(self, tmp_path: Path) -> None:
        self.path = tmp_path / "live"
        (tmp_path / "rotated").mkdir()
        self.folder = tmp_path / "rotated" / "a.1.stdout"
        self.data = b""
        self.writer = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, size: int) -> None:
        """Lines, each of which says where it is."""
        more = LINES[len(self.data) : len(self.data) + size]
        os.write(self.writer, more)
        self.data += more

    def open(self, *, rotate: bool = False) -> StreamLog:
        found = StreamLog.open(str(self.path), str(self.folder), rotate=rotate)
        assert found is not None
        return found

    def rotate(self, deed: Callable[[StreamLog], Any]) -> None:
        log = self.open(rotate=True)
        deed(log)
        log.close()

    def read(self, block: int = 50_000) -> tuple[int, bytes]:
        """(where it begins, all that is there)."""
        log = self.open()
        begin, data = log.read(0, block)
        while more := log.read(begin + len(data), block)[1]:
            data += more
        log.close()
        return begin, data

    @property
    def hole(self) -> int:
        """How much at its beginning takes no room."""
        log = self.open()
        found = os.lseek(log.fd, 0, os.SEEK_DATA)
        log.close()
        return found

    @property
    def names(self) -> list[str]:
        return sorted(os.listdir(self.folder)) if self.folder.exists() else []


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    os.close(scene.writer)


def test_rotated_output_is_all_there_at_its_offsets(scene: Scene) -> None:
    """Byte for byte, from parts of whole lines and the live file; the room of what was moved is given back."""
    for _ in range(3):
        scene.write(200 * KIB)
        scene.rotate(lambda log: shorten(log, RULE))
    assert scene.read() == (0, scene.data)
    assert scene.names
    assert all((scene.folder / name).read_bytes().endswith(b"\n") for name in scene.names)
    parts = b"".join((scene.folder / name).read_bytes() for name in scene.names)
    assert parts == scene.data[: len(parts)]
    assert os.stat(scene.path).st_size == len(scene.data)
    assert scene.hole > len(parts) - 64 * KIB


def test_what_is_older_than_all_parts_goes_and_what_is_read_begins_behind_it(scene: Scene) -> None:
    """With a line, and never with zeros."""
    for _ in range(12):
        scene.write(150 * KIB)
        scene.rotate(lambda log: shorten(log, RULE))
    begin, data = scene.read()
    assert begin > 0
    assert data == scene.data[begin:]
    assert data[:16] == b"%015d\n" % begin
    assert len(data) <= (RULE.keep + 1) * RULE.most


@pytest.mark.parametrize("keep", [0, 1, 2])
@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_call_it_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: int, after: bool
) -> None:
    """Before or after each call in turn: what the rule keeps is read exactly at once, and the next look tidies up."""
    count = 1
    while True:
        (tmp_path / str(count)).mkdir()
        scene = Scene(tmp_path / str(count))
        for size in (400, 300, 500):
            scene.write(size * KIB)
            scene.rotate(lambda log: shorten(log, RULE))
        scene.write(300 * KIB)
        least = len(scene.data) - RULE.most // 2
        with monkeypatch.context() as patch:
            killer = Killer(count, after)
            patch.setattr(stream_log, "os", killer.os)
            patch.setattr(instance, "os", killer.os)
            patch.setattr(stream_log, "punch", killer.around(stream_log.punch))
            with suppress(Killed):
                scene.rotate(lambda log: shorten(log, Rule(RULE.most, keep)))
        killer.close()
        begin, data = scene.read()
        assert data == scene.data[begin:]
        assert begin <= least
        scene.rotate(StreamLog.settle)
        assert scene.read() == (begin, data)
        assert stream_log.DRAFT not in scene.names
        base = max((part.end for name in scene.names if (part := part_of(name))), default=0)
        assert scene.hole > base - 64 * KIB
        os.close(scene.writer)
        if killer.calls < count:  # it was not killed any more
            break
        count += 1
    assert count > 12


class Killer:
    """Ends a rotation at its call number `count`, before or after its effect."""

    def __init__(self, count: int, after: bool) -> None:
        self.calls = 0
        self.names: list[str] = []
        self._count = count
        self._after = after
        self._open: set[int] = set()
        names = {name: getattr(os, name) for name in dir(os)}
        self.os = SimpleNamespace(**{**names, **{name: self.around(names[name]) for name in DEEDS}})

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def deed(*given: Any, **named: Any) -> Any:
            self.calls += 1
            self.names.append(call.__name__)
            if self.calls == self._count and not self._after:
                raise Killed
            done = call(*given, **named)
            if call is os.open:
                self._open.add(done)
            elif call is os.close:
                self._open.discard(given[0])
            if self.calls == self._count:
                raise Killed
            return done

        return deed

    def close(self) -> None:
        """What the end of a process closes."""
        for fd in self._open:
            os.close(fd)


@pytest.mark.parametrize(
    ("deed", "is_there"),
    [(lambda log: log.move(Part(0, 200 * KIB)), True), (lambda log: log.drop(300 * KIB), False)],
    ids=["moved", "dropped"],
)
def test_a_reader_that_is_overtaken_by_a_rotation_reads_no_hole(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, deed: Callable[[StreamLog], Any], is_there: bool
) -> None:
    """Between its look at the names and its read the bytes move to a part; or they are dropped, and it is told."""
    scene.write(400 * KIB)
    log = scene.open()
    preads: list[int] = []

    def pread(fd: int, size: int, offset: int) -> bytes:
        preads.append(fd)
        if len(preads) == 1:
            with monkeypatch.context() as patch:
                patch.setattr(stream_log, "os", os)
                scene.rotate(deed)
        return os.pread(fd, size, offset)

    with monkeypatch.context() as patch:
        patch.setattr(stream_log, "os", SimpleNamespace(**{**vars(os), "pread": pread}))
        begin, data = log.read(100 * KIB, 64 * KIB)
    log.close()
    assert len(preads) == 2
    assert (begin == 100 * KIB) == is_there
    assert data == scene.data[begin : begin + 64 * KIB]


def test_what_counts_is_durable_before_any_room_is_given_back(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut, too, there is a name for what is missing in the live file, and all of it behind the name."""
    scene.write(600 * KIB)
    killer = Killer(0, False)
    monkeypatch.setattr(stream_log, "os", killer.os)
    monkeypatch.setattr(instance, "os", killer.os)
    monkeypatch.setattr(stream_log, "punch", killer.around(stream_log.punch))
    scene.folder.mkdir()
    seen = killer.names
    scene.rotate(lambda log: log.move(Part(0, 300 * KIB)))
    wanted = [name for name in seen if name in ("sendfile", "fsync", "rename", "punch")]
    assert wanted == ["sendfile", "fsync", "rename", "fsync", "punch"]
    seen.clear()
    scene.rotate(lambda log: log.drop(500 * KIB))
    assert [name for name in seen if name in ("fsync", "unlink", "punch")][:2] == ["fsync", "unlink"]
    assert seen.index("punch") > seen.index("fsync")


def test_a_log_that_its_writer_empties_begins_anew(scene: Scene) -> None:
    """What it writes from then on is read, and bounded again."""
    scene.write(600 * KIB)
    scene.rotate(lambda log: shorten(log, RULE))
    os.ftruncate(scene.writer, 0)
    scene.data = b""
    scene.write(64)
    scene.rotate(StreamLog.settle)
    assert scene.read() == (0, scene.data)
    scene.write(600 * KIB)
    scene.rotate(lambda log: shorten(log, RULE))
    assert scene.read() == (0, scene.data)
    assert scene.names


def test_a_part_that_somebody_has_taken_away_or_cut_is_gone_and_the_rest_is_read(scene: Scene) -> None:
    """Its bytes are not made up."""
    scene.write(1024 * KIB)
    scene.rotate(lambda log: shorten(log, Rule(256 * KIB, 8)))
    first, second, *_ = scene.names
    (scene.folder / first).unlink()
    begin = int(second[:20])
    assert scene.read() == (begin, scene.data[begin:])
    os.truncate(scene.folder / second, 16)
    log = scene.open()
    assert log.read(begin + 16, 16) == (int(second[21:]), scene.data[int(second[21:]) :][:16])
    log.close()


def test_output_of_a_job_that_was_removed_while_it_was_rotated_leaves_nothing(scene: Scene) -> None:
    """Nobody would come for its parts."""
    scene.write(600 * KIB)
    log = scene.open(rotate=True)
    scene.path.unlink()
    discard(str(scene.folder))
    log.move(Part(0, 300 * KIB))
    log.close()
    assert not scene.folder.exists()


def test_what_a_job_has_put_in_the_place_of_its_log_is_left_alone(scene: Scene, tmp_path: Path) -> None:
    """A file that has another name, too, and what is no file."""
    scene.write(16)
    os.link(scene.path, tmp_path / "other")
    os.mkfifo(tmp_path / "fifo")
    for name in ("other", "fifo"):
        assert StreamLog.open(str(tmp_path / name), str(scene.folder), rotate=True) is None
