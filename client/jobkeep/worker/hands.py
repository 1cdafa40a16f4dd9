"""The local crew of a map: processes beside the worker, each with one bundle at a time."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from jobkeep.sdk.crew import Done, Function


class Hand:
    """One process. It ends with the socket between the two, so that it outlives nobody."""

    def __init__(self, setup: bytes) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            argv = [sys.executable, "-m", "jobkeep.worker.hand", str(theirs.fileno())]
            self._popen = subprocess.Popen(argv, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        with ours:
            self._stream = ours.makefile("rwb")
        self._send(setup)

    def work_off(self, items: bytes) -> Done:
        try:
            self._send(items)
            answer: bytes = pickle.load(self._stream)  # noqa: S301 - of our own child
            done: Done = pickle.loads(answer)  # noqa: S301 - as above
        except (OSError, EOFError):
            return Done(died=f"the process of the item ended: {_described(self._popen.wait())}")
        return done

    def kill(self) -> None:
        self._popen.kill()

    def close(self) -> None:
        with suppress(OSError):
            self._stream.close()
        self._popen.wait()

    def _send(self, content: bytes) -> None:
        with suppress(BrokenPipeError):  # who reads the answer finds out
            pickle.dump(content, self._stream)
            self._stream.flush()


def _described(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit code {status}"


class Hands:
    """Implements Crew. As many processes are started as there are bundles to work off at once."""

    def __init__(self, function: Function, most: int | None, announce: Callable[[], None]) -> None:
        self.width = most or len(os.sched_getaffinity(0))
        self.done: deque[tuple[int, Done]] = deque()
        self._setup = _pickled((sys.path, _pickled(function, f"the function of a map, {function!r},")), "")
        self._announce = announce
        self._orders: SimpleQueue[tuple[int, bytes] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._hands: set[Hand] = set()
        self._lock = threading.Lock()
        self._over = False

    def hand_out(self, number: int, items: list[Any]) -> None:
        self._orders.put((number, _pickled(items, "an item of a map")))
        if len(self._threads) < self.width:
            thread = threading.Thread(target=self._serve, name="jobkeep map", daemon=True)
            self._threads.append(thread)
            thread.start()

    def end(self) -> None:
        with self._lock:
            self._over = True
            for hand in self._hands:
                hand.kill()
        for _ in self._threads:
            self._orders.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        hand: Hand | None = None
        while (order := self._orders.get()) is not None:
            number, items = order
            try:
                hand = hand or self._start()
                if hand is None:
                    break
                done = hand.work_off(items)
            except Exception as error:  # noqa: BLE001 - the host may be out of processes or memory
                done = Done(broken=error)
            if done.died is not None and hand is not None:
                self._dismiss(hand)
                hand = None
            self.done.append((number, done))
            self._announce()
        if hand is not None:
            self._dismiss(hand)

    def _start(self) -> Hand | None:
        with self._lock:
            if self._over:
                return None
            hand = Hand(self._setup)
            self._hands.add(hand)
            return hand

    def _dismiss(self, hand: Hand) -> None:
        with self._lock:
            self._hands.discard(hand)
        hand.close()


def _pickled(value: object, what: str) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception as error:  # noqa: BLE001 - whatever a class of the job raises
        top = "functions of a map are at the top level of a module"
        raise TypeError(f"{what} cannot go to another process: {error}; {top}") from None
