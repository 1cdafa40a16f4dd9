"""The steps of a job that joins the line of its queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from jobkeep.protocol.jobs import JobSpec
from jobkeepd.core.line import Line, Place, Rule, advanced, first_line, join, place
from jobkeepd.store.ledger import Ledger

NO_RULE: Final = Rule()


class Lines:
    """Those that the jobs of one change join. `keep` writes what the next change has to know of them."""

    def __init__(self, rules: Mapping[str, Rule], at: float, ledger: Ledger) -> None:
        self._rules = rules
        self._at = at
        self._ledger = ledger
        self._lines: dict[str, Line] = {}
        self._flows: dict[tuple[str, str], float] = {}

    def join(self, spec: JobSpec) -> Place:
        rule = self._rules.get(spec.queue, NO_RULE)
        value = None if rule.fair is None else spec.labels.get(rule.fair)
        if value is None:
            return place(self._now(spec.queue, rule), spec.priority, rule)
        flow = (spec.queue, value)
        line = self._line(spec.queue, rule) or first_line(self._ledger.latest(self._at))
        last = self._flows.get(flow)
        if last is None:
            last = self._ledger.flow(*flow)
        self._lines[spec.queue], line_at, self._flows[flow] = join(line, last, rule)
        self._ledger.has_waiting(spec.queue, line_at)
        return place(line_at, spec.priority, rule)

    def _now(self, queue: str, rule: Rule) -> float:
        """The date of who takes no turns with anybody."""
        line = self._line(queue, rule)
        if line is None:
            return self._ledger.latest(self._at)
        self._ledger.has_waiting(queue, line.clock)
        return line.clock

    def _line(self, queue: str, rule: Rule) -> Line | None:
        """None where nobody has ever taken turns: its jobs cost no write more."""
        line = self._lines.get(queue)
        if line is None and (stored := self._ledger.line(queue)) is not None:
            line = self._lines[queue] = advanced(stored, self._at, self._ledger.served(queue), rule.ageing_s)
        return line

    def keep(self) -> None:
        for queue in {queue for queue, _ in self._flows}:
            self._ledger.put_line(queue, self._lines[queue])
        for (queue, value), following in self._flows.items():
            self._ledger.put_flow(queue, value, following, self._lines[queue].clock)
