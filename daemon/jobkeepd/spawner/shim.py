"""A slot: the parent of one run at a time. Forked from the spawner, outlives the daemon.

It takes the next run only after ECHILD has proved that nothing of the last one is left. It never waits for the
daemon: what happens goes on record first and is then told to whoever is connected.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import time
from _socket import socket  # `socket` itself would bring in a good deal more

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobkeepd.spawner import leader, record, tree, wakeup
    from jobkeepd.spawner.channel import Channel
    from jobkeepd.spawner.gate import Gate, hold
    from jobkeepd.spawner.leftovers import Leftovers
    from jobkeepd.spawner.run_record import RunRecord
else:
    import leader
    import record
    import tree
    import wakeup
    from channel import Channel
    from gate import Gate, hold
    from leftovers import Leftovers
    from run_record import RunRecord

IDLE_FOR = 60.0  # seconds an idle slot waits for its daemon to come back
_GLANCE = 0.005  # a run that has ended this soon is told of in one go
_REAP_AT_ONCE = 128  # a tree that dies and forks at full speed must not keep the loop from its other duties
_IDLE, _RUNNING, _DRAINING = "idle", "running", "draining"


class Shim:
    """State of the slot. `_state` is idle, running (the leader lives) or draining (only its leftovers do)."""

    def __init__(self, runtime: str, name: str, listener: socket, boot_id: str) -> None:
        self._runtime = runtime
        self._name = name
        self._listener = listener
        self._boot_id = boot_id
        self._lock = record.take_lock(record.slot_lock(runtime, name))
        self._daemon: Channel | None = None
        self._greeted = False
        self._state = _IDLE
        self._run: str | None = None  # the last one accepted
        self._leader = 0
        self._identity: list[Any] = []
        self._signature = ""  # the same as JSON
        self._gate = Gate(runtime, name)
        self._base = leader.Base({})  # of the connection
        self._command: leader.Command | None = None  # until the leader has passed exec
        self._watching = False  # the gate, for that
        self._untold = b""  # goes before what is told next
        self._record = RunRecord(runtime, name)
        self._logs: set[int] = set()
        self._grace = 0.0
        self._leftovers = Leftovers()
        self._deadline: float | None = time.monotonic() + IDLE_FOR
        self._retiring = False
        self._poll = select.poll()
        self._wakeup = wakeup.descriptor()
        for fd in (listener.fileno(), self._wakeup):
            self._poll.register(fd, select.POLLIN)

    def serve(self) -> None:
        """Until retired, or idle for long without a daemon."""
        while not (self._state == _IDLE and self._retiring):
            ready = {fd for fd, _ in self._poll.poll(self._timeout_ms())}
            if self._listener.fileno() in ready:
                self._accept()  # first: what an older connection still holds must stay unread
            elif self._daemon is not None and self._daemon.fileno() in ready:
                self._receive(self._daemon)
            if self._command is not None and self._gate.fileno() in ready:
                self._pass_gate(self._command)
                self._tell(b"")
            if self._wakeup in ready:
                os.read(self._wakeup, 4096)
                self._reap()
            if self._deadline is not None and time.monotonic() >= self._deadline:
                self._expire()
        record.remove_slot(self._runtime, self._name)

    def retire_soon(self, *_: object) -> None:
        """TERM from a host that shuts down: end once idle, unless a daemon is there to decide."""
        if self._daemon is None:
            self._retiring = True

    def _timeout_ms(self) -> int | None:
        if self._deadline is None:
            return None
        return max(0, int((self._deadline - time.monotonic()) * 1000) + 1)

    def _expire(self) -> None:
        if self._state == _IDLE:
            self._retiring = True
        elif self._command is not None and not self._watching:
            self._poll.register(self._gate, select.POLLIN)
            self._watching, self._deadline = True, None
            self._press_on()
        else:
            self._kill()

    # -- the daemon -------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        self._hang_up()
        fd, _ = self._listener._accept()  # type: ignore[attr-defined]  # accept() is of the socket module
        self._daemon = Channel(socket(fileno=fd))
        self._base = leader.Base({})
        self._greeted = False
        self._poll.register(self._daemon, select.POLLIN)
        if self._state == _IDLE:
            self._deadline = None
        if self._command is None:  # else it is not known yet whether the command can be started
            self._greet()

    def _greet(self) -> None:
        hello = {
            "op": "hello", "slot": self._name, "pid": os.getpid(), "protocol": record.PROTOCOL,
            "run": self._run, "state": self._state, "leader": self._identity,
        }  # fmt: skip
        self._greeted = True
        self._tell(record.encode(hello))

    def _hang_up(self) -> None:
        if self._daemon is not None:
            self._poll.unregister(self._daemon)
            self._daemon.close()
            self._daemon = None
            if self._state == _IDLE:
                self._deadline = time.monotonic() + IDLE_FOR

    def _tell(self, lines: bytes) -> None:
        lines, self._untold = self._untold + lines, b""
        if self._daemon is not None and not self._daemon.send(lines):
            self._hang_up()

    def _receive(self, daemon: Channel) -> None:
        messages: list[dict[str, Any]] = []
        alive = daemon.receive(messages)
        for message in messages:
            self._obey(message)
        if not alive and self._daemon is daemon:
            self._hang_up()

    def _obey(self, message: dict[str, Any]) -> None:
        op = message.get("op")
        if op == "start":
            self._start(message)
        elif op == "signal" and message.get("run") == self._run and self._leader and not self._command:
            tree.signal_group(self._leader, int(message["number"]))
        elif op == "end" and message.get("run") == self._run and self._state != _IDLE:
            self._kill()
        elif op == "retire":
            self._retiring = True

    # -- the start --------------------------------------------------------------------------------------------------

    def _start(self, order: dict[str, Any]) -> None:
        run = order["run"]
        if "base" in order:  # the connection's from now on
            self._base = leader.Base(order["base"])
        if self._state != _IDLE or self._retiring:
            return self._tell(leader.Failed("slot", None, "the slot is busy").line(run, self._name))
        self._run, self._identity, self._grace = run, [], float(order["grace"])
        try:
            self._command, self._leader, self._logs = hold(order, self._base, self._gate)
            self._sign_for(run, self._leader)
        except leader.Failed as failure:
            return self._fail(failure)
        self._state, self._deadline = _RUNNING, time.monotonic() + _GLANCE
        return self._gate.open()

    def _sign_for(self, run: str, pid: int) -> None:
        """Put the leader on record: from here on it may run."""
        try:
            self._identity = [self._boot_id, pid, record.start_ticks(pid), record.pidfd_inode(pid)]
            boot_id, pid, ticks, inode = self._identity
            self._signature = f'["{boot_id}",{pid},{ticks},{inode}]'
            who = f'{{"op":"leader","slot":"{self._name}","leader":{self._signature},"grace":{self._grace}}}\n'
            self._record.begin(run, who.encode())
        except OSError as error:
            tree.kill([pid])
            self._gate.result()
            os.waitpid(pid, 0)
            begun = error.errno == errno.EEXIST
            why = f"the slot cannot write the run's record: {'it was begun before' if begun else error.strerror}"
            raise leader.Failed("record", error.errno, why) from None

    def _fail(self, failure: leader.Failed) -> None:
        line = failure.line(self._run or "", self._name)
        self._record.fail(self._run or "", line)
        self._become_idle()
        self._answer_start(line)
        self._tell(b"")

    def _pass_gate(self, command: leader.Command) -> None:
        """Exec has taken place, or has failed; then the child is gone, and libc or `_reap` has collected it."""
        number = self._gate.result()
        self._command = None
        if self._watching:
            self._poll.unregister(self._gate)
            self._watching = False
        elif not self._leftovers.killing:
            self._deadline = None
        if number:
            self._fail(command.failure(number))
        else:
            self._answer_start(f'{{"op":"started","run":"{self._run}","leader":{self._signature}}}\n'.encode())

    def _answer_start(self, line: bytes) -> None:
        """To be told right after; a daemon that came in between hears it with its hello."""
        if self._daemon is not None and not self._greeted:
            self._greet()
        else:
            self._untold = line

    # -- the end ----------------------------------------------------------------------------------------------------

    def _reap(self) -> None:
        """Collect what has ended. Says what it learned of the leader and of ECHILD in one message."""
        exit_line: bytes | None = None
        for _ in range(_REAP_AT_ONCE):
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                if self._command is not None:
                    self._pass_gate(self._command)  # libc has collected a child that could not exec
                if self._state != _IDLE:
                    self._drained(exit_line)
                return
            if pid == 0:
                break
            self._leftovers.reaped(pid)
            if pid == self._leader:
                exit_line = self._leader_ended(status, usage)
        else:
            signal.raise_signal(signal.SIGCHLD)
        if exit_line is not None:
            self._record.add(exit_line + b"}\n")
            self._state, self._deadline = _DRAINING, time.monotonic() + self._grace
            self._tell(exit_line + b"}\n")
        self._press_on()

    def _leader_ended(self, status: int, usage: Any) -> bytes | None:
        """The exit record without its end, to which the proof of ECHILD may be added."""
        self._leader = 0
        if self._command is not None:
            self._pass_gate(self._command)
        if self._state == _IDLE:
            return None  # it could not exec, and has said so
        return (
            f'{{"op":"exit","run":"{self._run}","status":{status},"ended_at":{time.time()!r},'
            f'"usage":[{usage.ru_utime!r},{usage.ru_stime!r},{usage.ru_maxrss}],"writer":"shim"'
        ).encode()

    def _drained(self, exit_line: bytes | None) -> None:
        if exit_line is not None:  # the usual case: nothing was left, one line says both
            silent = all(os.fstat(fd).st_size == 0 for fd in self._logs)
            line = exit_line + (b',"drained":true,"silent":true}\n' if silent else b',"drained":true}\n')
        else:
            line = f'{{"op":"drained","run":"{self._run}"}}\n'.encode()
        self._record.add(line)
        self._become_idle()
        self._tell(line)

    def _become_idle(self) -> None:
        self._state, self._leader, self._leftovers = _IDLE, 0, Leftovers()
        self._deadline = None if self._daemon is not None else time.monotonic() + IDLE_FOR
        for fd in self._logs:
            os.close(fd)
        self._logs = set()
        self._record.close()

    def _press_on(self) -> None:
        """Something of the run is left: once the leader is gone it gets TERM, and after its grace KILL."""
        if self._leftovers.killing:
            self._kill()
        elif self._state == _DRAINING:
            self._leftovers.warn()

    def _kill(self) -> None:
        self._deadline = time.monotonic() + self._leftovers.kill()


def run(runtime: str, name: str, listener: socket, boot_id: str) -> None:
    """The life of a slot, called in the forked child."""
    os.setsid()
    tree.become_subreaper()
    shim = Shim(runtime, name, listener, boot_id)
    signal.signal(signal.SIGTERM, shim.retire_soon)
    shim.serve()
