"""Schedules: jobs by the calendar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from jobkeep.blocking.channel import BlockingChannel
from jobkeep.blocking.jobs import BlockingJobHandle
from jobkeep.client import schedule_requests
from jobkeep.client.requests import new_id
from jobkeep.client.specs import SpecOptions
from jobkeep.protocol.schedules import Schedule
from jobkeep.protocol.vocabulary import Missed, OnConflict


class BlockingScheduling:
    """The part of a client that concerns schedules."""

    _channel: BlockingChannel

    def schedules(self) -> list[Schedule]:
        """All schedules, by name, with the next three times of each."""
        return self._channel.ask(schedule_requests.listed()).schedules

    def schedule_info(self, name: str) -> Schedule:
        """One of them, with its next three times and the latest. Raises NotFound."""
        return self._channel.ask(schedule_requests.show(name)).schedule

    def add_schedule(
        self, name: str, cron: str, argv: Sequence[str], /, *, timezone: str = "UTC", missed: Missed = "run_once",
        on_conflict: OnConflict | None = None, replace: bool = False, **options: Unpack[SpecOptions],
    ) -> Schedule:  # fmt: skip
        """Submit a command at each time that the expression names, once each; options as in `run`.

        `missed`: what becomes of times at which no daemon ran. `key` and `on_conflict` say what becomes of a job whose
        predecessor lives on. Raises InvalidRequest, UnknownQueue, Conflict where there is one of that name (without
        `replace`).
        """
        request = schedule_requests.add(name, cron, argv, timezone, missed, on_conflict, replace, options)
        return self._channel.ask(request).schedule

    def pause_schedule(self, name: str, *, reason: str | None = None) -> Schedule:
        """Fire it no more; what is due meanwhile is not made up for. Raises NotFound."""
        return self._channel.ask(schedule_requests.pause(name, reason)).schedule

    def resume_schedule(self, name: str, *, reason: str | None = None) -> Schedule:
        """Fire it again, from now on. Raises NotFound."""
        return self._channel.ask(schedule_requests.resume(name, reason)).schedule

    def remove_schedule(self, name: str, *, reason: str | None = None) -> Schedule:
        """Forget it; its jobs stay. Raises NotFound, Conflict for one of the configuration."""
        return self._channel.ask(schedule_requests.remove(name, reason)).schedule

    def trigger_schedule(self, name: str, *, request_id: str | None = None) -> BlockingJobHandle:
        """Submit its job now, beside its times. Raises NotFound, KeyConflict, LockHeld, RequestMismatch, StorageFull.
        """
        reply = self._channel.ask(schedule_requests.trigger(name, request_id or new_id()))
        return BlockingJobHandle(self._channel, reply.id)
