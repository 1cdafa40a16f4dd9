"""The books of a job in one run: where all its batches are, their tallies, and what is still unsent."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from jobkeep.errors import TooLarge
from jobkeep.protocol.jobs import FailedItem
from jobkeep.protocol.values import encode_value
from jobkeep.protocol.vocabulary import STATE_LIMIT
from jobkeep.protocol.worker import ItemKey, RunOrder
from jobkeep.sdk.port import CheckpointContent, Port, ProgressContent

FAILED: Final = "failed"
NOTE_LIMIT: Final = 1024  # characters
_UNSHOWABLE = re.compile(  # what the wire's Text refuses, and what cannot be encoded
    "[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]"
)


class BatchRecord(Struct, omit_defaults=True):
    """A batch as the cursor holds it: `count` items from the start are finished, and those at `beyond`."""

    count: int = 0
    last: str | None = None  # key of item count - 1
    beyond: list[int] = []  # ordinals
    tallies: dict[str, int] = {}
    complete: bool = False

    @property
    def done(self) -> int:
        """Finished items, whatever became of them."""
        return self.count + len(self.beyond)


class CursorDocument(Struct):
    """The cursor of a job: its batches by name."""

    batches: dict[str, BatchRecord] = {}


_decode_cursor = msgspec.json.Decoder(CursorDocument | None).decode
_encode = msgspec.json.Encoder().encode


class Ledger:
    """`clock` is monotonic seconds. Batches register a function that gives their record of this instant."""

    def __init__(self, order: RunOrder, port: Port, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.only_failed: bool = order.only_failed
        self.every: int = order.checkpoint_every
        self.failed: list[FailedItem] = []  # not yet sent
        self.resolved: list[ItemKey] = []  # not yet sent
        self.run_number: int = order.number
        self._port = port
        self._state: Raw = order.state
        self._records = (_decode_cursor(order.cursor) or CursorDocument()).batches
        self._open: dict[str, Callable[[], BatchRecord]] = {}
        self._totals: dict[str, int | None] = {}
        self._unnamed = 0
        self._done = order.done
        self._total = order.total
        self._note: str | None = None

    def open(
        self, name: str | None, total: int | None, current: Callable[[], BatchRecord]
    ) -> tuple[str, BatchRecord]:
        """Begin a batch: its name, and its record as of the checkpoint. Raises ValueError if it was begun."""
        if name is None:
            name, self._unnamed = str(self._unnamed), self._unnamed + 1
        if name in self._open:
            raise ValueError(f"there has been a batch {name!r} in this run already")
        record = self._records.get(name) or BatchRecord()
        self._open[name] = current
        self._totals[name] = record.count if record.complete else total
        return name, record

    def set_state(self, state: Any) -> None:
        """Take over the job's own state, a JSON value of at most 64 KiB. Raises TypeError, TooLarge."""
        encoded = encode_value(state, "the state")
        if len(encoded) > STATE_LIMIT:
            raise TooLarge(f"the state is {len(encoded)} bytes as JSON, over the limit of {STATE_LIMIT}")
        self._state = Raw(encoded)

    def set_progress(self, done: int | None, total: int | None, note: str | None) -> None:
        """What the job says about itself; its batches know better how many items are done.

        Raises ValueError for a negative number. The note becomes one line of at most 1024 characters.
        """
        if (done is not None and done < 0) or (total is not None and total < 0):
            raise ValueError("done and total are not negative")
        note = None if note is None else _UNSHOWABLE.sub(" ", note)[:NOTE_LIMIT]
        self._done = self._done if done is None else done
        self._total = self._total if total is None else total
        self._note = self._note if note is None else note

    def send_checkpoint(self) -> int:
        """Send everything as of now; the seq of the checkpoint. Raises TooLarge for the cursor."""
        records = self._current()
        cursor = _encode(CursorDocument(records)) if records else b"null"
        if len(cursor) > STATE_LIMIT:
            raise TooLarge(f"the cursor is {len(cursor)} bytes as JSON, over the limit of {STATE_LIMIT}")
        done, total = self._progress(records)
        failed, self.failed = self.failed, []
        resolved, self.resolved = self.resolved, []
        return self._port.send_checkpoint(
            CheckpointContent(
                cursor=Raw(cursor),
                state=self._state,
                done=done,
                total=total,
                note=self._note,
                tallies=_sum(records),
                failed=failed,
                resolved=resolved,
            )
        )

    def send_progress(self) -> None:
        """Send how far the job is."""
        records = self._current()
        done, total = self._progress(records)
        tallies = _sum(records) if records else None
        self._port.send_progress(ProgressContent(done=done, total=total, note=self._note, tallies=tallies))

    def _current(self) -> dict[str, BatchRecord]:
        records = self._records
        for name, current in self._open.items():
            records[name] = current()
        return records

    def _progress(self, records: dict[str, BatchRecord]) -> tuple[int, int | None]:
        if not records:
            return self._done, self._total
        done, total = 0, 0
        all_known = True
        for name, record in records.items():
            done += record.done
            known = self._totals.get(name, record.count if record.complete else None)
            if known is None:
                all_known = False
            else:
                total += known
        return done, total if all_known else self._total


def _sum(records: dict[str, BatchRecord]) -> dict[str, int]:
    tallies: dict[str, int] = {}
    for record in records.values():
        for label, number in record.tallies.items():
            tallies[label] = tallies.get(label, 0) + number
    return tallies
