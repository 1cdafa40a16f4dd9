"""Where the items of a batch come from, and how a resumed batch finds its place in them."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any, TypeAlias, TypeVar

from msgspec import Struct

from jobkeep.errors import InputChanged

T = TypeVar("T")
KEY_LIMIT = 1024


class Cursor(Struct, frozen=True):
    """Where to begin: `count` items are finished, `last` is the key of the last (None: count is 0)."""

    count: int = 0
    last: str | None = None


Items: TypeAlias = Iterable[T] | AsyncIterable[T]
Source: TypeAlias = Items[T] | Callable[[Cursor], Items[T]]
START = Cursor()
_OTHER = "with its old source in place again the job can be resumed; a new job begins from the top"


def batch_words(name: str) -> str:
    """A batch as people know it: by its name, or by how many came before it."""
    if not name.isdecimal():
        return f"batch {name!r}"
    return "the batch" if name == "0" else f"batch number {int(name) + 1}"


def open_source(source: Source[T], at: Cursor) -> tuple[Items[T], int]:
    """The items, and how many of them are still to be skipped. Only a callable seeks."""
    if isinstance(source, Iterable | AsyncIterable):
        return source, at.count
    if callable(source):
        return source(at), 0
    raise TypeError(f"a source is an iterable or a callable that takes a Cursor, not {type(source).__name__}")


def known_total(source: object) -> int | None:
    """How many items there are, where that can be told."""
    try:
        return len(source)  # type: ignore[arg-type] # that is the question
    except TypeError:
        return None


def key_of(item: Any, ordinal: int, key: Callable[[Any], object] | None) -> str:
    """The key under which an item is known: text, at most 1024 characters. Without `key`, its ordinal."""
    if key is None:
        return str(ordinal)
    return checked_key(key(item), ordinal)


def checked_key(value: object, ordinal: int) -> str:
    """What a key function has returned, as text. Raises TypeError, ValueError."""
    if type(value) is not str:
        if value is not None and not isinstance(value, str | int | float):
            raise TypeError(f"the key of item {ordinal} is a {type(value).__name__}, not text or a number")
        value = str(value)
    if len(value) > KEY_LIMIT:
        raise ValueError(f"the key of item {ordinal} is longer than {KEY_LIMIT} characters")
    return value


class Skipper:
    """Checks that the finished items of an earlier run are still where they were."""

    def __init__(self, batch: str, at: Cursor, key: Callable[[Any], object] | None) -> None:
        self._batch = batch
        self._at = at
        self._key = key

    def verify(self, skipped: int, last: Any) -> None:
        """`skipped` items were there, `last` is the last of them. Raises InputChanged."""
        if skipped < self._at.count:
            raise InputChanged(
                f"{batch_words(self._batch)} was interrupted after {self._at.count} items, "
                f"but its source now has only {skipped}: {_OTHER}"
            )
        found = key_of(last, skipped - 1, self._key)
        if found != self._at.last:
            raise InputChanged(
                f"item {skipped} of {batch_words(self._batch)} was {self._at.last!r} when it was finished "
                f"and is now {found!r}: {_OTHER}"
            )

    def skip(self, items: Iterator[Any]) -> None:
        """Move past the finished items."""
        last, skipped = None, 0
        for item in items:
            last, skipped = item, skipped + 1
            if skipped == self._at.count:
                break
        self.verify(skipped, last)

    async def skip_async(self, items: AsyncIterator[Any]) -> None:
        """Move past the finished items."""
        last, skipped = None, 0
        async for item in items:
            last, skipped = item, skipped + 1
            if skipped == self._at.count:
                break
        self.verify(skipped, last)


def open_plain(
    source: Any, name: str, at: Cursor, key: Callable[[Any], object] | None, if_async: str
) -> Iterator[Any]:
    """The items of the batch of that name behind the place. Raises TypeError, with `if_async`, where they are async."""
    items, to_skip = open_source(source, at)
    if isinstance(items, AsyncIterable):
        raise TypeError(if_async)
    iterator = iter(items)
    if to_skip:
        Skipper(name, at, key).skip(iterator)
    return iterator
