"""Output of runs through the wire, byte for byte."""

from __future__ import annotations

import base64
import errno
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobkeepd.core.rotation import Part
from jobkeepd.rpc.log_file import LogFile
from jobkeepd.runner.stream_log import StreamLog
from rpc.conftest import Client, Served, until

pytestmark = pytest.mark.anyio

LOGS = "org.jobkeep.Jobs.Logs"


def written(served: Served, stream: str, data: bytes, number: int = 1) -> None:
    folder = served.logs / "abc"
    folder.mkdir(exist_ok=True)
    with (folder / f"{number}.{stream}").open("ab") as file:
        file.write(data)


def text(chunks: list[dict[str, Any]], stream: str) -> bytes:
    """The bytes of one stream; also that their offsets fit."""
    mine = [chunk for chunk in chunks if chunk["stream"] == stream]
    data = b""
    for chunk in mine:
        assert chunk["offset"] == mine[0]["offset"] + len(data)
        data += base64.b64decode(chunk["data"])
    return data


async def test_output_is_exact(served: Served, client: Client) -> None:
    """All bytes of both streams, in chunks of a bounded size."""
    await served.daemon.finished_job("abc")
    out = bytes(range(256)) * 2000
    written(served, "stdout", out)
    written(served, "stderr", b"oops\xff\n")

    chunks = await client.stream(LOGS, id="abc")

    assert text(chunks, "stdout") == out
    assert text(chunks, "stderr") == b"oops\xff\n"
    assert max(len(chunk["data"]) for chunk in chunks) <= (64 << 10) * 4 / 3 + 4


async def test_one_stream_can_be_asked_for_from_an_offset(served: Served, client: Client) -> None:
    """And only there an offset has a meaning."""
    await served.daemon.finished_job("abc")
    written(served, "stdout", b"0123456789")
    written(served, "stderr", b"x")

    chunks = await client.stream(LOGS, id="abc", stream="stdout", offset=7)
    error = await client.error_of_stream(LOGS, id="abc", offset=7)

    assert [(chunk["stream"], chunk["offset"], base64.b64decode(chunk["data"])) for chunk in chunks] == [
        ("stdout", 7, b"789")
    ]
    assert error == "Invalid"


async def test_the_last_lines_can_be_asked_for(served: Served, client: Client) -> None:
    """Of each stream."""
    await served.daemon.finished_job("abc")
    written(served, "stdout", b"".join(b"line %d\n" % number for number in range(50_000)))

    chunks = await client.stream(LOGS, id="abc", lines=2)

    assert text(chunks, "stdout") == b"line 49998\nline 49999\n"


async def test_the_last_lines_of_a_growing_file_are_those_that_were_there(
    served: Served, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes after their place was looked up is not asked for."""
    await served.daemon.finished_job("abc")
    written(served, "stdout", b"1\n2\n")
    seek = LogFile.seek_lines

    async def seek_while_it_grows(self: LogFile, count: int) -> None:
        await seek(self, count)
        if self.stream == "stdout":
            written(served, "stdout", b"3\n" * 100_000)

    monkeypatch.setattr(LogFile, "seek_lines", seek_while_it_grows)

    assert text(await client.stream(LOGS, id="abc", lines=1), "stdout") == b"2\n"
    assert text(await client.stream(LOGS, id="abc", lines=0), "stdout") == b""


@given(st.binary(max_size=300).map(lambda data: data.replace(b"x", b"\n")), st.integers(0, 12))
def test_last_lines_are_those_that_anybody_would_count(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, count: int
) -> None:
    """Lines end with a newline; the last one may have none."""
    path = tmp_path_factory.getbasetemp() / "counted"
    path.write_bytes(data)
    file = LogFile(lambda: StreamLog.open(str(path), "/nowhere"), "stdout")
    anyio.run(file.seek_lines, count)

    lines = data.split(b"\n")
    whole = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    assert data[file.offset :] == b"".join(whole[len(whole) - count :] if count < len(whole) else whole)


def rotated(served: Served, to: int, *, kept: int = 0) -> None:
    """What is before `kept` of stdout is gone, what is before `to` in a part."""
    path = served.logs / "abc" / "1.stdout"
    log = StreamLog.open(str(path), f"{path}.rotated", rotate=True)
    assert log is not None
    try:
        if kept:
            log.drop(kept)
        log.move(Part(kept, to))
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            pytest.skip(f"the file system of {path} cannot punch holes")
        raise
    finally:
        log.close()


NUMBERED = b"".join(b"%07d\n" % at for at in range(0, 1 << 20, 8))


async def test_what_was_rotated_is_there_at_its_offsets(served: Served, client: Client) -> None:
    """From a part, from the file itself, and over the border of the two."""
    await served.daemon.finished_job("abc")
    written(served, "stdout", NUMBERED)
    rotated(served, 700_000)

    assert text(await client.stream(LOGS, id="abc"), "stdout") == NUMBERED
    chunks = await client.stream(LOGS, id="abc", stream="stdout", offset=690_001)
    assert text(chunks, "stdout") == NUMBERED[690_001:]
    assert all("dropped" not in chunk for chunk in chunks)


@pytest.mark.parametrize("asked", [{}, {"stream": "stdout", "offset": 8000}])
async def test_what_is_not_there_any_more_is_told_with_the_first_offset_that_is(
    served: Served, client: Client, asked: dict[str, Any]
) -> None:
    """In a chunk without data, before the first byte that is left; nothing is made up."""
    await served.daemon.finished_job("abc")
    written(served, "stdout", NUMBERED)
    rotated(served, 800_000, kept=400_000)

    gap, *chunks = await client.stream(LOGS, id="abc", **asked)

    missing = 400_000 - asked.get("offset", 0)
    assert gap == {"stream": "stdout", "run": 1, "offset": 400_000, "data": "", "dropped": missing}
    assert text(chunks, "stdout") == NUMBERED[400_000:]


async def test_more_last_lines_than_there_are_begin_with_what_is_gone(served: Served, client: Client) -> None:
    """And as many as there are, or fewer, without."""
    await served.daemon.finished_job("abc")
    written(served, "stdout", NUMBERED)
    rotated(served, 800_000, kept=400_000)
    left = (len(NUMBERED) - 400_000) // 8

    for lines, gap in ((left - 1, 0), (left, 0), (left + 1, 400_000)):
        chunks = await client.stream(LOGS, id="abc", lines=lines)
        assert chunks[0].get("dropped", 0) == gap
        assert text(chunks[bool(gap) :], "stdout") == NUMBERED[max(400_000, len(NUMBERED) - lines * 8) :]


async def test_a_job_tells_how_much_was_written_and_from_where_it_is_there(served: Served, client: Client) -> None:
    """Where that is asked for; only of streams that have something, and of a run that is there."""
    await served.daemon.submitted("new")
    await served.daemon.finished_job("abc")
    written(served, "stdout", NUMBERED)
    rotated(served, 800_000, kept=400_000)

    asked = (await client.call("org.jobkeep.Jobs.Get", id="abc", output=True))["job"]
    assert asked["output"] == [{"stream": "stdout", "bytes": len(NUMBERED), "first": 400_000}]
    assert (await client.call("org.jobkeep.Jobs.Get", id="new", output=True))["job"]["output"] == []
    assert {**asked, "output": None} == (await client.call("org.jobkeep.Jobs.Get", id="abc"))["job"]


async def test_a_follower_is_told_what_went_before_it_came_to_it(served: Served, client: Client) -> None:
    """In the middle of the stream."""
    await served.daemon.submitted("abc")
    await served.daemon.started("abc")
    written(served, "stdout", NUMBERED[:8000])
    client.ask(LOGS, {"more": True}, id="abc", follow=True)
    first = (await client.reply())["parameters"]
    written(served, "stdout", NUMBERED[8000:])
    rotated(served, 800_000, kept=400_000)
    await served.daemon.ended("abc")
    chunks = [first]
    while "continues" in (reply := await client.reply()):
        chunks.append(reply["parameters"])

    data = b"".join(base64.b64decode(chunk["data"]) for chunk in chunks)
    gone = sum(chunk.get("dropped", 0) for chunk in chunks)
    assert len(data) + gone == len(NUMBERED)
    assert data.startswith(NUMBERED[:8000])
    assert NUMBERED.endswith(data[-400_000:])
    assert b"\0" not in data


async def test_there_are_no_logs_of_a_run_that_is_not_there(served: Served, client: Client) -> None:
    """Neither of a number that is too high, nor before the first one."""
    await served.daemon.submitted("new")
    await served.daemon.finished_job("abc")

    assert await client.error_of_stream(LOGS, id="new") == "NoRun"
    assert await client.error_of_stream(LOGS, id="abc", run=2) == "NoRun"
    assert await client.error_of_stream(LOGS, id="nobody") == "NotFound"


async def test_a_missing_file_is_empty(served: Served, client: Client) -> None:
    """A run need not have written anything."""
    await served.daemon.finished_job("abc")

    assert await client.stream(LOGS, id="abc") == []


async def test_a_log_file_is_never_a_link(served: Served, client: Client, tmp_path: Path) -> None:
    """A job that can write to its log folder cannot make the daemon read something else."""
    await served.daemon.finished_job("abc")
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    (served.logs / "abc").mkdir()
    (served.logs / "abc" / "1.stdout").symlink_to(secret)

    assert await client.error_of_stream(LOGS, id="abc") == "Internal"


async def test_following_ends_with_the_run_and_has_every_byte(served: Served, client: Client) -> None:
    """What is written while it is followed comes as it is written; the end comes after the last byte."""
    await served.daemon.submitted("abc")
    await served.daemon.started("abc")
    written(served, "stdout", b"one\n")
    client.ask(LOGS, {"more": True}, id="abc", follow=True)
    first = (await client.reply())["parameters"]
    written(served, "stderr", b"two\n")
    second = (await client.reply())["parameters"]
    written(served, "stdout", b"three\n")
    await served.daemon.ended("abc")
    third = (await client.reply())["parameters"]

    assert [base64.b64decode(chunk["data"]) for chunk in (first, second, third)] == [b"one\n", b"two\n", b"three\n"]
    assert (second["stream"], third["offset"]) == ("stderr", 4)
    assert await client.reply() == {"parameters": {}}
    assert not served.daemon.feed._subscriptions


async def test_following_an_earlier_run_ends_at_once(served: Served, client: Client) -> None:
    """It has ended, though the job goes on."""
    await served.daemon.submitted("abc")
    await served.daemon.started("abc")
    await served.daemon.ended("abc", "failed", "failed")
    await client.call("org.jobkeep.Jobs.Resume", id="abc")
    await served.daemon.started("abc")
    written(served, "stdout", b"old")

    assert text(await client.stream(LOGS, id="abc", run=1, follow=True), "stdout") == b"old"


async def test_a_follower_that_leaves_is_forgotten(served: Served, client: Client) -> None:
    """Its subscription goes with its connection."""
    await served.daemon.submitted("abc")
    await served.daemon.started("abc")
    written(served, "stdout", b"x")
    client.ask(LOGS, {"more": True}, id="abc", follow=True)
    await client.reply()
    await client.close()

    await until(lambda: not served.daemon.feed._subscriptions)
