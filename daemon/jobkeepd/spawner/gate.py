"""Starts a leader behind a gate without copying this process.

fork() would be the dearest part of a run: both sides copy, page by page, whatever they touch next. posix_spawn lends
the memory to the child instead, but keeps its caller waiting until exec. So a second thread makes the call, and the
child is held back by its own file actions: it opens one FIFO to say that it exists, and another one to wait. Once
its identity is on record the main thread opens that one, too, and the child goes on to exec. Opening a FIFO waits for
the other side; where the child cannot come, the second thread takes its place.

The record is what counts: the child's last action before exec is to open it, and without it there is no exec. So if
this process dies with a child at one of the FIFOs, whoever cleans up after it just throws them open: the child either
is on record, and runs, or it is not, and ends.
"""

from __future__ import annotations

import _thread
import ctypes
import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from jobkeepd.spawner import leader, record, tree
else:
    import leader
    import record
    import tree

_POSIX_SPAWN_SETSIGMASK, _POSIX_SPAWN_SETSID = 0x08, 0x80
_libc = ctypes.PyDLL(None)
_spawn = ctypes.CDLL(None).posix_spawn  # releases the interpreter lock, unlike os.posix_spawn
_open_in_child = _libc.posix_spawn_file_actions_addopen
_open_in_child.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_int)
_spawn.argtypes = (
    ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p,
)  # fmt: skip


class Gate:
    """One start at a time: `hold`, then `open`, then, once `fileno` is readable, `result`."""

    def __init__(self, runtime: str, slot: str) -> None:
        self._runtime = runtime
        self._here = record.slot_here(runtime, slot)
        self._gate = record.slot_gate(runtime, slot)
        for path in (self._here, self._gate):
            os.mkfifo(path, 0o600)
        self._called = _thread.allocate_lock()
        self._called.acquire()
        self._call: tuple[object, ...] = ()
        self._error = 0
        self._opened = self._over = False
        self._stand_ins: list[int] = []  # both ends of both FIFOs
        self._returned, self._say_returned = os.pipe2(os.O_CLOEXEC)
        self._attributes = ctypes.create_string_buffer(1024)  # larger than any libc's type
        _libc.posix_spawnattr_init(self._attributes)
        flags = _POSIX_SPAWN_SETSID | _POSIX_SPAWN_SETSIGMASK  # with the attributes' mask, which is empty
        _libc.posix_spawnattr_setflags(self._attributes, ctypes.c_short(flags))
        self._actions = ctypes.create_string_buffer(512)
        self._thread = 0
        started = _thread.allocate_lock()
        started.acquire()
        _thread.start_new_thread(self._make_calls, (started,))
        started.acquire()
        try:
            self._children: int | None = os.open(tree.list_of(self._thread), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._children = None

    def fileno(self) -> int:
        """Readable once the child has passed exec, or cannot."""
        return self._returned

    def hold(self, run: str, command: leader.Command, out: int, err: int) -> int | None:
        """Start a child with the current directory and umask, up to the gate. None: there is none, see `result`."""
        actions = self._actions
        _libc.posix_spawn_file_actions_init(actions)
        # All at descriptor 1: each one that is opened closes the one before.
        _open_in_child(actions, 1, os.fsencode(self._here), os.O_WRONLY, 0)
        _open_in_child(actions, 1, os.fsencode(self._gate), os.O_RDONLY, 0)
        _open_in_child(actions, 1, os.fsencode(record.run_path(self._runtime, run)), os.O_RDONLY, 0)
        _libc.posix_spawn_file_actions_adddup2(actions, out, 1)
        _libc.posix_spawn_file_actions_adddup2(actions, err, 2)
        self._call = (os.fsencode(command.path), command.argv, command.env)
        self._opened = self._over = False
        self._called.release()
        os.close(os.open(self._here, os.O_RDONLY | os.O_CLOEXEC))
        return None if self._over else self._child()

    def open(self) -> None:
        """Let the child go: wait until it is in front of the gate, or dead."""
        os.close(os.open(self._gate, os.O_WRONLY | os.O_CLOEXEC))
        self._opened = True

    def result(self) -> int:
        """Wait for exec: 0, or its errno."""
        os.read(self._returned, 1)
        for fd in self._stand_ins:
            os.close(fd)
        self._stand_ins.clear()
        _libc.posix_spawn_file_actions_destroy(self._actions)
        return self._error

    def abandon(self, pid: int) -> None:
        """End the child that was held: it has not begun."""
        tree.kill([pid])
        self.result()
        os.waitpid(pid, 0)

    def _child(self) -> int | None:
        """The child of the other thread. There is one: the slot was empty, and orphans go to the main thread."""
        pids = os.pread(self._children, 64, 0) if self._children is not None else b""
        return int(pids) if pids else next(iter(tree.children_of(self._thread)), None)

    def _make_calls(self, started: _thread.LockType) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())  # they are to wake the main thread
        self._thread = _thread.get_native_id()
        started.release()
        pid = ctypes.c_int()
        while True:
            self._called.acquire()
            path, argv, env = self._call
            self._error = _spawn(ctypes.byref(pid), path, self._actions, self._attributes, argv, env)
            self._over = True
            if not self._opened:  # the main thread must not wait for a child that will never come
                self._stand_ins.extend(os.open(path, os.O_RDWR | os.O_CLOEXEC) for path in (self._here, self._gate))
            os.write(self._say_returned, b"\n")


def hold(order: dict[str, Any], base: leader.Base, gate: Gate) -> tuple[leader.Command, int, set[int]]:
    """A child in front of the gate, which has taken directory, umask and log files with it, and those files.

    Raises Failed; then there is no child.
    """
    out, err = leader.open_logs(order)
    try:
        leader.enter(order)
        command = leader.Command(order, base)
        os.umask(order["umask"])
        pid = gate.hold(order["run"], command, out, err)
        if pid is None:
            number = gate.result()
            why = os.strerror(number) if number else "it was killed before it began"
            raise leader.Failed("slot", number, f"the slot cannot start a process: {why}")
    except leader.Failed:
        for fd in {out, err}:
            os.close(fd)
        raise
    finally:
        os.umask(0o077)
        os.chdir("/")
    return command, pid, {out, err}
