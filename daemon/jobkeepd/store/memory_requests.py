"""The request ids of the store in memory."""

from __future__ import annotations

from collections.abc import Sequence

from jobkeepd.store.changes import Submitted

Key = tuple[int, str]  # uid, id


class MemoryRequests:
    """What each was answered, and when."""

    def __init__(self) -> None:
        self._answers: dict[Key, tuple[str, Submitted, float]] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def answered(self, key: Key) -> tuple[str, Submitted] | None:
        found = self._answers.get(key)
        return None if found is None else found[:2]

    def remember(self, key: Key, digest: str, answer: Submitted, at: float) -> None:
        self._answers[key] = (digest, answer, at)

    def asked(self, behind: Key, limit: int) -> list[tuple[int, str, float]]:
        return [(*key, self._answers[key][2]) for key in sorted(self._answers) if key > behind][:limit]

    def forget(self, keys: Sequence[Key]) -> None:
        for key in keys:
            del self._answers[key]
