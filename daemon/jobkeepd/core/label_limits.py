"""Limits per value of a label: at most so many runs at once of each, in whatever queue. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping


def tag(key: str, value: str) -> str:
    """How a value of a label is named: `client=acme`."""
    return f"{key}={value}"


def tags(labels: Mapping[str, str]) -> list[str]:
    return [tag(key, value) for key, value in labels.items()]


def limited(labels: Mapping[str, str], limits: Mapping[str, int]) -> Iterable[tuple[str, int]]:
    """Those of a job's labels that have a limit, each with it."""
    return [(tag(key, value), limits[key]) for key, value in labels.items() if key in limits]


def full(labels: Mapping[str, str], limits: Mapping[str, int], running: Callable[[str], int]) -> str | None:
    """The first of its labels of which no more may run now."""
    return next((name for name, limit in limited(labels, limits) if running(name) >= limit), None)
