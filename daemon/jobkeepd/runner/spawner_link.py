"""The daemon's end of the spawner: starts one where none lives, and starts another when it dies."""

from __future__ import annotations

import itertools
import subprocess
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup, TaskStatus

from jobkeepd.core.signalled import Signalled
from jobkeepd.errors import RunnerError
from jobkeepd.latch import Latch
from jobkeepd.runner import elders, identity, versions
from jobkeepd.runner.lines import Lines
from jobkeepd.spawner import record

_SCRIPT = str(Path(record.__file__).with_name("spawner.py"))
_READY_WITHIN = 10.0
_NUDGE_AFTER = 0.3
_STARTS, _STARTS_WITHIN = 5, 30.0  # so many spawners may be started in so many seconds
_left_running: list[subprocess.Popen[bytes]] = []  # a spawner outlives the daemon; keep Popen from complaining


class SpawnerGone(RunnerError):
    """The spawner died before it answered."""


class SpawnerLink:
    """One connection to one live spawner, whichever process that is at the time."""

    def __init__(self, runtime: str, python: str, audit: Callable[[Signalled], None] = lambda said: None) -> None:
        self._audit = audit
        self._runtime = runtime
        self._python = python
        self._peer: Lines | None = None
        self._changed = anyio.Event()
        self._failed: RunnerError | None = None
        self._ids = itertools.count(1)
        self._asked: dict[int, Latch[dict[str, Any] | None]] = {}
        self._protocol = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._starts: deque[float] = deque(maxlen=_STARTS)
        self._renounced = False
        self.pid: int | None = None

    async def open(self, group: TaskGroup) -> None:
        """Returns once a spawner answers; raises RunnerError if none can be had."""
        await group.start(self._keep, name="spawner link")

    def close(self) -> None:
        """Let go of the process: a spawner outlives us, and one that is about to end is nothing to wait for."""
        _left_running[:] = [process for process in _left_running if process.poll() is None]
        if self._process is not None and self._process.poll() is None:
            _left_running.append(self._process)

    def renounce(self) -> None:
        """When the spawner dies no other is to be started."""
        self._renounced = True

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The spawner's answer. Raises SpawnerGone if it dies first, RunnerError if there is none to ask."""
        peer = await self._connected()
        number = next(self._ids)
        asked: Latch[dict[str, Any] | None] = Latch()
        answer = None
        if peer.send({"id": number, **request}):
            self._asked[number] = asked
            try:
                answer = await asked.wait()
            finally:
                self._asked.pop(number, None)
        if answer is not None:
            return answer
        if self._peer is peer:
            await self._changed.wait()  # it is about to be noticed; whoever asks again must get another one
        raise SpawnerGone("the spawner died before it answered")

    async def ask_heir(self, request: dict[str, Any]) -> dict[str, Any]:
        """Ask about a slot whose shim is dead: our spawner, then those that made way for it. Raises as `ask` does."""
        answer = await self.ask(request)
        return answer if elders.has_slot(answer) else await elders.ask(self._runtime, request) or answer

    async def _connected(self) -> Lines:
        while self._peer is None:
            if self._failed is not None:
                raise self._failed
            await self._changed.wait()
        return self._peer

    def _set(self, peer: Lines | None, failed: RunnerError | None = None) -> None:
        self._peer, self._failed = peer, failed
        self._changed.set()
        self._changed = anyio.Event()

    async def _keep(self, *, task_status: TaskStatus[None]) -> None:
        """Connect, hand out answers, and start over when the spawner has gone."""
        first = True
        while not self._renounced:
            try:
                peer = await self._reach()
            except RunnerError as error:
                if first:
                    raise
                self._set(None, error)
                await anyio.sleep(_STARTS_WITHIN / _STARTS)
                continue
            self._set(peer)
            if first:
                task_status.started()
                first = False
            try:
                await self._serve(peer)
            finally:
                self._set(None)
                peer.close()
        self._set(None, RunnerError("the spawner has ended, and no other is started"))

    async def _serve(self, peer: Lines) -> None:
        await peer.lost()
        for asked in self._asked.values():
            asked.set(None)

    def _heed(self, peer: Lines, message: dict[str, Any]) -> None:
        if message.get("op") == "hello":
            self.pid, self._protocol = message["pid"], message["protocol"]
            return
        asked = self._asked.get(message.get("id", 0))
        if asked is not None:
            asked.set(message)

    async def _reach(self) -> Lines:
        """A connection to a live spawner of our version."""
        peer = await self._dial()
        if peer is not None and self._protocol not in versions.SLOTS:
            # It stays behind for its slots, and lets go of the socket and the lock before it hangs up.
            peer.send({"op": "retire"})
            await peer.lost()
            peer = None
        while peer is None:  # one that was just started may be dead again; `_start` counts
            await self._start()
            peer = await self._dial()
        if self._protocol not in versions.SLOTS:
            peer.close()
            raise RunnerError(
                f"{_SCRIPT} is of another version than this daemon (protocol {self._protocol}, not {record.PROTOCOL}):"
                " jobkeep was upgraded while it ran; restart the daemon"
            )
        return peer

    async def _dial(self) -> Lines | None:
        for patience in (_NUDGE_AFTER, _READY_WITHIN):
            try:
                with anyio.fail_after(patience):
                    return await Lines.dial(record.spawner_socket(self._runtime), self._heed)
            except TimeoutError:  # of OSErrors the one that means: somebody is there
                identity.wake(record.spawner_lock(self._runtime), self._audit)
            except OSError:
                return None
        return None

    async def _start(self) -> None:
        """Returns once a spawner was there. Raises RunnerError where that is of no use."""
        now = anyio.current_time()
        if len(self._starts) == _STARTS and now - self._starts[0] < _STARTS_WITHIN:
            raise RunnerError(f"the spawner died {_STARTS} times in {_STARTS_WITHIN:.0f} s; see spawner.log")
        self._starts.append(now)
        self.close()  # collect the one that died, now or when another one is started
        said = b"it said nothing\n"
        with anyio.move_on_after(_READY_WITHIN):
            said = await anyio.to_thread.run_sync(self._launch, abandon_on_cancel=True)
        if said not in (b"ready\n", b""):  # without a word means that it was killed, or has a bug
            raise RunnerError(f"the spawner does not start: {said.decode(errors='replace').strip()}")

    def _launch(self) -> bytes:
        """Start a spawner and return what it says first: one line, once it can be called."""
        command = [self._python, "-I", "-S", "-X", "utf8", _SCRIPT, self._runtime]
        with open(f"{self._runtime}/spawner.log", "ab") as log:
            process = self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
        assert process.stdout is not None
        with process.stdout as out:
            return out.readline()
