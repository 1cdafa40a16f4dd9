"""The bookkeeping of one batch: which items are finished, which are durable, and what has to be sent when."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from jobkeep.errors import InputChanged, TooManyFailures
from jobkeep.protocol.jobs import ErrorInfo, FailedItem
from jobkeep.protocol.worker import ItemKey
from jobkeep.sdk.failures import ITEM_ERROR_LIMIT, error_info
from jobkeep.sdk.ledger import FAILED, BatchRecord, Ledger
from jobkeep.sdk.options import Batch, BatchOptions, is_name
from jobkeep.sdk.port import Port
from jobkeep.sdk.source import KEY_LIMIT, Cursor, batch_words, key_of

CHECKPOINT_S: Final = 1.0  # at most so long is a finished item left unsent
PROGRESS_S: Final = 0.25
DONE: Final = "done"  # the label of an item whose body returned nothing
ROWS: Final = 100  # failed items in one checkpoint, so that it stays under the limit of a message


class BatchWork:
    """One batch under way. `count` items from the start are finished, `last` is the key of the last of them.

    Items are told apart by ordinal, their position in the source. The fast loops for one item at a time add
    to `count`, `last` and `tallies` themselves; all else goes through admit, finish and fail. Of the `count` items
    `accounted` are in `tallies` or have failed; the others are "done", since their bodies returned nothing.
    """

    def __init__(self, ledger: Ledger, port: Port, options: BatchOptions) -> None:
        options.check()
        self._ledger = ledger
        self._port = port
        self.clock: Callable[[], float] = ledger.clock
        self.key: Callable[[Any], object] | None = options.key
        self.name: str
        self.name, record = ledger.open(options.batch, options.total, self.record)
        self.count: int = record.count
        self.accounted: int = record.count
        self.last = record.last
        self.complete: bool = record.complete
        self.tallies: dict[str, int] = dict(record.tallies)
        self.failed: int = self.tallies.pop(FAILED, 0)
        self.in_flight: int = 0
        self.due: float = 0.0
        self.newest_seq: int = port.durable_seq
        every = options.every or ledger.every
        self._step = max(1, every // 2)
        self.window: int = max(every, options.concurrency)
        self._max_failures = options.max_failures
        self._failures = 0  # of this run
        self._skip = set(record.beyond)  # finished before, and not yet met again in this run
        self._beyond: dict[int, str | None] = {}  # finished beyond `count`, and their keys
        self._next = record.count
        self._redone = 0
        self._only: set[str] | None = None
        self._met = 0
        self._on_record: set[str] = set()
        self._sent = self._durable = self.finished
        self._in_transit: deque[tuple[int, int]] = deque()  # (seq, finished items in it)
        self._sent_at = self._told_at = ledger.clock()
        self._schedule()

    # How it begins

    @property
    def needs_failed_keys(self) -> bool:
        """Whether `know_failed` must be called before the first item."""
        return self._ledger.only_failed or (self.failed > 0 and self.key is not None and not self.complete)

    def know_failed(self, keys: list[ItemKey]) -> None:
        """The items that are on record as failed, of all batches."""
        self._on_record = {item.key for item in keys if item.batch == self.name}
        if self._ledger.only_failed:
            self._only = set(self._on_record)
            self._next = 0

    @property
    def settled(self) -> bool:
        """There is nothing to do."""
        return self.complete if self._only is None else not self._only

    @property
    def straight(self) -> bool:
        """Every item is run and in order, if it is done one at a time: the fast loop will do."""
        return self._only is None and not self._skip

    def number_keys(self) -> None:
        """From here on keys are ordinals, which `last` need not hold."""
        if self.key is None:
            self.last = None

    def cursor(self) -> Cursor:
        """Where in the source to begin."""
        if self._only is not None or not self.count:
            return Cursor()
        return Cursor(self.count, self._last_key())

    # Item by item

    def admit(self, item: Any) -> tuple[int, str] | None:
        """Take the next item of the source: its ordinal and key, or None if it is not to be run."""
        ordinal, self._next = self._next, self._next + 1
        name = key_of(item, ordinal, self.key)
        if self._only is not None:
            for stored in (_numbered(name, ordinal), name):
                if stored in self._only:
                    self._only.discard(stored)
                    self._met += 1
                    self.in_flight += 1
                    return ordinal, stored
            return None
        if ordinal in self._skip:
            self._skip.discard(ordinal)
            self._advance(ordinal, name)
            return None
        self.in_flight += 1
        return ordinal, name

    def finish(self, ordinal: int, name: str, label: Any) -> None:
        """The item has come to `label`. Raises TypeError for what is no label."""
        label = DONE if label is None else label
        if type(label) is not str or label not in self.tallies:
            self.add_label(label)
        self.in_flight -= 1
        self.tallies[label] += 1
        if self._only is None:
            self._advance(ordinal, name)
            return
        self.failed -= 1
        self._redone += 1
        self._ledger.resolved.append(ItemKey(self.name, name))

    def fail(self, ordinal: int, name: str, error: Exception | ErrorInfo) -> None:
        """The item has failed. See `check_failures`."""
        self.in_flight -= 1
        if self._only is None:
            self.put_on_record(ordinal, name, error)
            self._advance(ordinal, name)
        else:
            self._failures += 1
            self._redone += 1
            self._add_row(ordinal, name, error)

    def put_on_record(self, ordinal: int, name: str, error: Exception | ErrorInfo) -> None:
        """Count and keep a failed item. Its key is unique in the batch, so a second one gets its ordinal."""
        self.failed += 1
        self._failures += 1
        if self.key is not None:
            if name in self._on_record:
                name = _numbered(name, ordinal)
            self._on_record.add(name)
        self._add_row(ordinal, name, error)

    def _add_row(self, ordinal: int, name: str, error: Exception | ErrorInfo) -> None:
        info = error if isinstance(error, ErrorInfo) else error_info(error, ITEM_ERROR_LIMIT, skip=_HERE)
        row = FailedItem(key=name, error=info, batch=self.name, ordinal=ordinal, run=self._ledger.run_number)
        self._ledger.failed.append(row)

    def add_label(self, label: object) -> None:
        """Begin to count `label`. Raises TypeError for what is none."""
        if not isinstance(label, str) or not is_name(label):
            raise TypeError(f"the body of {batch_words(self.name)} returned {label!r}, which is no label: "
                            "a word of letters, digits and ._:@/+-, or None")  # fmt: skip
        if label == FAILED:
            raise TypeError("a body cannot return 'failed': it raises, so that the error is on record")
        self.tallies[label] = 0

    def check_failures(self) -> None:
        """Raises TooManyFailures once more items have failed in this run than max_failures."""
        if self._max_failures is not None and self._failures > self._max_failures:
            items = "1 item" if self._failures == 1 else f"{self._failures} items"
            raise TooManyFailures(
                f"{items} of {batch_words(self.name)} failed, and at most {self._max_failures} may (max_failures)",
                self._failures,
            )

    def _advance(self, ordinal: int, name: str | None) -> None:
        beyond = self._beyond
        beyond[ordinal] = name
        while self.count in beyond:
            self.last = beyond.pop(self.count)
            self.count += 1
            self.accounted += 1

    # What is sent when

    @property
    def finished(self) -> int:
        """Rises by one with each finished item."""
        return self.count + len(self._beyond) + len(self._skip) + self._redone

    @property
    def limit(self) -> int:
        """The value of `finished` at which `report` or a wait is next due."""
        self._settle()
        return min(self._sent + self._step, self._durable + self.window)

    @property
    def full(self) -> bool:
        """The next item has to wait until more of the finished ones are durable."""
        self._settle()
        return self.finished - self._durable + self.in_flight >= self.window

    def report(self) -> None:
        """Send what is due: a checkpoint, a word on progress, or nothing."""
        unsent = self.finished - self._sent
        now = self._ledger.clock()
        late = unsent and now >= self._sent_at + CHECKPOINT_S
        if unsent >= self._step or late or len(self._ledger.failed) >= ROWS:
            self._send(now)
        elif now >= self.due:
            if unsent and now >= self._told_at + PROGRESS_S:
                self._ledger.send_progress()
            self._told_at = now
            self._schedule()

    def flush(self) -> int:
        """Send what is unsent; the seq of the newest checkpoint."""
        if self.finished > self._sent:
            self._send(self._ledger.clock())
        return self.newest_seq

    def make_room(self) -> int:
        """When `full`: send what is unsent; the seq of the checkpoint to wait for, which is the oldest in transit."""
        newest = self.flush()
        return self._in_transit[0][0] if self._in_transit else newest

    def end(self) -> int:
        """The source is used up: send that. Raises InputChanged if none of the failed items was met in it."""
        if self._only is None:
            self.complete = True
            self._send(self._ledger.clock())
        elif self._only:
            some = ", ".join(repr(key) for key in sorted(self._only)[:5])
            if not self._met:
                raise InputChanged(f"no failed item of {batch_words(self.name)} is in its source any more: {some}")
            self._ledger.set_progress(None, None, f"{len(self._only)} failed items are gone from the source")
            self._send(self._ledger.clock())
        return self.flush()

    def _send(self, now: float) -> None:
        self.newest_seq = self._ledger.send_checkpoint()
        self._sent = self.finished
        self._in_transit.append((self.newest_seq, self._sent))
        self._sent_at = self._told_at = now
        self._schedule()

    def _schedule(self) -> None:
        self.due = min(self._sent_at + CHECKPOINT_S, self._told_at + PROGRESS_S)

    def _settle(self) -> None:
        durable, transit = self._port.durable_seq, self._in_transit
        while transit and transit[0][0] <= durable:
            self._durable = transit.popleft()[1]

    # How it looks from outside

    def record(self) -> BatchRecord:
        """The batch as of now."""
        tallies = dict(self.tallies)
        if unlabelled := self.count - self.accounted:
            tallies[DONE] = tallies.get(DONE, 0) + unlabelled
        if self.failed:
            tallies[FAILED] = self.failed
        if self.complete:
            return BatchRecord(count=self.count, tallies=tallies, complete=True)
        beyond = sorted([*self._beyond, *self._skip])
        return BatchRecord(count=self.count, last=self._last_key(), beyond=beyond, tallies=tallies)

    def result(self) -> Batch:
        """The batch as its job sees it."""
        record = self.record()
        return Batch(tallies=record.tallies, done=record.done, failed_items=self.failed)

    def _last_key(self) -> str | None:
        if not self.count:
            return None
        return str(self.count - 1) if self.last is None else self.last


_HERE = __file__.rpartition("/")[0]


def _numbered(name: str, ordinal: int) -> str:
    suffix = f"#{ordinal}"
    return name[: KEY_LIMIT - len(suffix)] + suffix
