"""A slot runs one leader after the other, tells the truth about each, and leaves nothing of it behind."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace

from jobkeepd.errors import RunnerError, StartFailed
from jobkeepd.runner import identity
from jobkeepd.runner.base import Slot
from jobkeepd.runner.launcher import Launcher

from .orders import PATH, Signpost, order, shell

pytestmark = pytest.mark.anyio


@pytest.fixture
async def slot(launcher: Launcher) -> Slot:
    return await launcher.open()


@pytest.fixture
def post(runtime: Path) -> Iterator[Signpost]:
    post = Signpost(runtime / "post")
    yield post
    post.close()


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 7", 7 << 8), ("exit 127", 127 << 8), ("kill -KILL $$", 9), ("kill -TERM $$", 15)],
)
async def test_the_exit_is_the_raw_wait_status(runtime: Path, slot: Slot, script: str, status: int) -> None:
    """What the kernel says of the leader's end arrives unchanged, with what it used."""
    execution = await slot.start(shell(runtime, script))

    with anyio.fail_after(60):
        exit = await execution.exited()
        await execution.drained()

    assert exit is not None
    assert (exit.status, exit.writer) == (status, "shim")
    assert exit.usage is not None
    assert exit.usage.max_rss_kib > 0


async def test_output_is_byte_identical_and_private(runtime: Path, slot: Slot) -> None:
    """Every byte of both streams is in the file, appended to what was there, and others cannot read it."""
    for _ in range(2):
        execution = await slot.start(shell(runtime, r"printf 'a\000b\n'; printf '\377' >&2"))
        await execution.drained()

    assert (runtime / "output").read_bytes() == b"a\0b\n\xff" * 2
    assert stat.S_IMODE((runtime / "output").stat().st_mode) == 0o600


async def test_a_leader_inherits_nothing_but_defaults(runtime: Path, slot: Slot) -> None:
    """No descriptor beyond 2, no ignored or blocked signal, a session of its own, its umask and directory."""
    script = "ls /proc/self/fd | wc -w; grep -E 'Sig(Blk|Ign)' /proc/self/status; umask; pwd; ps -o sid= -p $$"
    execution = await slot.start(shell(runtime, script))
    await execution.drained()

    lines = (runtime / "output").read_text().split()
    assert lines[0] == "4"  # 0, 1, 2 and the one ls reads the directory with
    assert [int(word, 16) & ~0x180000000 for word in lines[2:5:2]] == [0, 0]  # 32 and 33 are libc's own
    assert lines[5:] == ["0022", "/", str(execution.leader.pid)]


async def test_the_leader_is_the_one_on_record(runtime: Path, slot: Slot) -> None:
    """The identity that was written in front of the gate is the running command's."""
    execution = await slot.start(order(runtime, "sleep", "60"))

    assert identity.compare(execution.leader) is identity.Match.SAME

    await execution.end()
    await execution.drained()
    assert identity.compare(execution.leader) is not identity.Match.SAME


def failing(runtime: Path) -> dict[str, dict[str, object]]:
    script = runtime / "script"
    script.write_text("echo no interpreter\n")
    script.chmod(0o755)
    lost = runtime / "lost"
    lost.write_text("#!/does/not/exist\n")
    lost.chmod(0o755)
    plain = runtime / "plain"
    plain.write_text("")
    return {
        "command not found: frobnicate": {"argv": ["frobnicate"]},
        "command not found: ./frobnicate": {"argv": ["./frobnicate"]},
        f"permission denied: {plain}": {"argv": [str(plain)]},
        f"{runtime} is a directory": {"argv": [str(runtime)]},
        f"{script} cannot be executed: it is no program for this machine and has no #! line": {"argv": [str(script)]},
        f"the interpreter that {lost} names in its first line does not exist": {"argv": [str(lost)]},
        "working directory /does/not/exist does not exist": {"argv": ["true"], "cwd": "/does/not/exist"},
        "working directory /dev/null is not a directory": {"argv": ["true"], "cwd": "/dev/null"},
        "cannot open log file /does/not/exist: No such file or directory": {
            "argv": ["true"],
            "output": "/does/not/exist",
        },
    }


async def test_a_start_that_fails_says_why_and_leaves_the_slot_idle(runtime: Path, slot: Slot) -> None:
    """Each way to fail has its sentence, nothing ran, and the next start works."""
    for message, what in failing(runtime).items():
        argv = what.pop("argv")
        assert isinstance(argv, list)
        with pytest.raises(StartFailed) as failed:
            await slot.start(order(runtime, *argv, **what))  # type: ignore[arg-type]
        assert str(failed.value) == message

    execution = await slot.start(order(runtime, "true"))
    exit = await execution.exited()
    assert exit is not None
    assert exit.status == 0


async def test_a_program_is_looked_up_in_the_orders_path(runtime: Path, slot: Slot) -> None:
    """PATH is the order's, relative folders start at its directory, and a file that may not run is passed over."""
    for folder in ("one", "two"):
        (runtime / folder).mkdir()
        (runtime / folder / "tool").write_text(f"#!/bin/sh\necho {folder}\n")
    (runtime / "two/tool").chmod(0o755)
    it = replace(order(runtime, "tool", cwd=str(runtime)), env={"PATH": "one:two"})

    execution = await slot.start(it)
    await execution.drained()

    assert (runtime / "output").read_text() == "two\n"


async def test_a_name_is_started_once(runtime: Path, launcher: Launcher) -> None:
    """A second start of the same run fails in any slot, for good."""
    it = order(runtime, "true")
    first, second = await launcher.open(), await launcher.open()
    await (await first.start(it)).drained()

    for slot in (first, second):
        with pytest.raises(StartFailed) as failed:
            await slot.start(it)
        assert failed.value.stage == "record"


TREES = {
    "a double fork in a session of its own without environment": "(env -i setsid sh -c '{hold}; exec sleep 600' &)",
    "one that ignores TERM": "(trap '' TERM; {hold}; while :; do sleep 600; done) &",
    "one that is stopped": "sh -c '{hold}; kill -STOP $$' &",
}


@pytest.mark.parametrize("kind", TREES)
async def test_what_a_leader_leaves_is_ended(runtime: Path, slot: Slot, post: Signpost, kind: str) -> None:
    """Whatever outlives the leader is gone when the run is drained, and only then is it drained."""
    script = TREES[kind].format(hold=f"exec 9>{post.path}; echo >&9")
    os.mkfifo(runtime / "go")
    execution = await slot.start(shell(runtime, f"{script}\nread -r _ < {runtime}/go; exit 3", grace=0.1))
    await post.reached()
    (runtime / "go").write_text("\n")

    with anyio.fail_after(60):
        exit = await execution.exited()
        await execution.drained()

    assert exit is not None
    assert exit.status == 3 << 8
    await post.deserted()


async def test_a_process_that_forks_at_full_speed_is_ended(runtime: Path, slot: Slot, post: Signpost) -> None:
    """A comet, of which no list of processes shows a member for long, is caught."""
    comet = "import os\nos.write(9, b'\\n')\nos.setsid()\nwhile True:\n    if os.fork(): os._exit(0)\n"
    script = f'exec 9>{post.path}; python3 -c "$COMET" & wait'
    execution = await slot.start(replace(shell(runtime, script), env={"PATH": PATH, "COMET": comet}))
    await post.reached()

    await execution.end()
    with anyio.fail_after(60):
        await execution.drained()

    await post.deserted()


async def test_a_signal_goes_to_the_leaders_group(runtime: Path, slot: Slot, post: Signpost) -> None:
    """TERM reaches the leader and the children in its group."""
    execution = await slot.start(shell(runtime, f"exec 9>{post.path}; sleep 600 & echo >&9; wait"))
    await post.reached()

    await execution.signal(signal.SIGTERM)

    with anyio.fail_after(60):
        exit = await execution.exited()
    assert exit is not None
    assert exit.status == signal.SIGTERM
    await post.deserted()


async def test_a_path_too_long_for_a_socket_is_refused(runtime: Path) -> None:
    """The limit of the kernel is named before anything is started."""
    with pytest.raises(RunnerError, match="has a path of more than"):
        async with Launcher(runtime / ("x" * 100)):
            pass


async def test_a_slot_whose_run_lasts_takes_no_other_leader(runtime: Path, slot: Slot) -> None:
    """Its run is followed to its end as ever; and if the leader is a worker, that goes on taking runs."""
    execution = await slot.start(order(runtime, "sleep", "600"))
    with anyio.fail_after(60):
        while not slot.lasts:
            await anyio.sleep(0.02)

        with pytest.raises(StartFailed, match="not ready"):
            await slot.start(order(runtime, "true"))
        assert slot.takes_runs
        await execution.end()
        exit = await execution.exited()
        await execution.drained()
    assert exit is not None
    assert (exit.status, exit.writer) == (signal.SIGKILL, "shim")
