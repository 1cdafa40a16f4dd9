"""Which jobs a list is about: conditions from the address of a page, and the address of conditions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, cast
from urllib.parse import urlencode

from jobkeep.protocol.durations import to_seconds
from jobkeep.protocol.vocabulary import ENDED_STATES, LIVE_STATES, JobState

ACTIVE: Final = "active"
STATES: Final[tuple[JobState, ...]] = (*LIVE_STATES, *ENDED_STATES)
TABS: Final = (ACTIVE, "running", "queued", "scheduled", "succeeded", "failed", "cancelled", "all")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,127}\Z")
_LONGEST_LABEL = 256


@dataclass(frozen=True, slots=True)
class Filter:
    """Checked conditions; `problems` tells what of the address was not understood, and is left out."""

    tab: str = ACTIVE
    queue: str = ""
    label: tuple[tuple[str, str], ...] = ()
    since: str = ""
    before: int | None = None
    problems: tuple[str, ...] = field(default=(), compare=False)

    @property
    def states(self) -> tuple[JobState, ...] | None:
        """None: all of them."""
        if self.tab == ACTIVE:
            return LIVE_STATES
        if self.tab == "all":
            return None
        if self.tab == "running":
            return ("running", "cancelling")
        return (cast("JobState", self.tab),)

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.label)

    @property
    def narrowed(self) -> bool:
        """Whether there is a condition beside the state."""
        return bool(self.queue or self.label or self.since)

    @property
    def label_text(self) -> str:
        """As people write it."""
        return " ".join(f"{key}={value}" for key, value in self.label)

    def fields(self) -> list[tuple[str, str]]:
        """For an address or for hidden fields of a form."""
        found = [("state", self.tab)] if self.tab != ACTIVE else []
        found += [("queue", self.queue)] if self.queue else []
        found += [("label", f"{key}={value}") for key, value in self.label]
        found += [("since", self.since)] if self.since else []
        found += [("before", str(self.before))] if self.before is not None else []
        return found

    def address(self, path: str = "/jobs") -> str:
        """With all conditions."""
        query = urlencode(self.fields())
        return f"{path}?{query}" if query else path

    def on_tab(self, tab: str) -> Filter:
        """The same conditions on another tab, from its first page on."""
        return replace(self, tab=tab, before=None, problems=())

    def older(self, before: int | None) -> Filter:
        """The page that follows."""
        return replace(self, before=before, problems=())


def parse(given: Sequence[tuple[str, str]]) -> Filter:
    """The conditions of an address: `?state=failed&queue=io&label=client=acme&since=2h`."""
    single: dict[str, str] = {}
    label: dict[str, str] = {}
    problems = []
    for name, raw in given:
        text = raw.strip()
        if name == "label":
            for word in text.split():
                key, equals, value = word.partition("=")
                if equals and _NAME.match(key) and len(value) <= _LONGEST_LABEL:
                    label[key] = value
                else:
                    problems.append(f"{word!r} is no label; write it as client=acme")
        elif text:
            single[name] = text
    tab, queue, since, before = _checked(single, problems)
    return Filter(tab, queue, tuple(sorted(label.items())), since, before, tuple(problems))


def _checked(single: Mapping[str, str], problems: list[str]) -> tuple[str, str, str, int | None]:
    tab, queue, since = single.get("state", ACTIVE), single.get("queue", ""), single.get("since", "")
    if tab not in TABS:
        problems.append(f"{tab!r} is no state")
        tab = ACTIVE
    if queue and not _NAME.match(queue):
        problems.append(f"{queue!r} is no name of a queue")
        queue = ""
    if since:
        try:
            to_seconds(since)
        except ValueError as error:
            problems.append(str(error))
            since = ""
    before = single.get("before", "")
    number = int(before) if re.fullmatch(r"[0-9]{1,18}", before) else None
    return tab, queue, since, number
