"""`run --from-file`: many jobs in few messages, each accepted whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec

from jobkeep.blocking.channel import BlockingChannel
from jobkeep.cli.failures import OK, Failure, UsageError, of_client
from jobkeep.cli.specfile import Line, check, lines, opened
from jobkeep.client import queue_requests, requests, specs
from jobkeep.errors import InvalidRequest, JobkeepError
from jobkeep.protocol.jobs import JobSpec
from jobkeep.protocol.vocabulary import OnConflict

if TYPE_CHECKING:
    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

LONGEST_ID = 100  # characters: the messages' own ids are made of it
PART = 1000  # jobs of one message
WRONG_SHOWN = 10  # lines
NOTHING = "nothing was submitted; each line is a JSON object, such as the spec in jobkeep show --json"


class Bulk:
    """`accepted` jobs are in, up to line `last`."""

    def __init__(self, context: Context, arguments: Options, template: JobSpec, channel: BlockingChannel) -> None:
        self._context = context
        self._arguments = arguments
        self._template = template
        self._channel = channel
        self._request = arguments.request_id or os.urandom(16).hex()
        self.accepted = 0
        self.last = 0

    def submit(self, found: Iterator[Line]) -> None:
        """In their order. Raises Failure that says how to go on."""
        for alone, group in groupby(found, lambda line: line.on_conflict is not None):
            for part in _parts(group, 1 if alone else PART):
                try:
                    self._submit(part)
                except (JobkeepError, KeyboardInterrupt) as error:
                    raise self._broken(part, error) from None

    def _submit(self, part: list[Line]) -> None:
        request = f"{self._request}/{part[0].number}"
        if part[0].on_conflict is not None:
            spec = msgspec.convert({**msgspec.to_builtins(self._template), **part[0].item}, JobSpec)
            asked = requests.submit(spec, part[0].on_conflict, request)
            self._accept(part, [self._channel.ask(asked).id])
            return
        rest = part
        for message in requests.submit_many(msgspec.to_builtins(self._template), [line.item for line in part], request):
            ids = self._channel.ask(message).ids
            self._accept(rest[: len(ids)], ids)
            rest = rest[len(ids) :]

    def _accept(self, part: list[Line], ids: list[str]) -> None:
        if self._arguments.json:
            for line, id in zip(part, ids, strict=True):
                self._context.print_json({"id": id, "line": line.number})
        else:
            self._context.print(*ids)
        self.accepted += len(ids)
        self.last = part[-1].number

    def _broken(self, part: list[Line], error: JobkeepError | KeyboardInterrupt) -> Failure:
        cause = Failure("interrupted", 130) if isinstance(error, KeyboardInterrupt) else of_client(error)
        left = [line for line in part if line.number > self.last]
        place = f"line {left[0].number}" if len(left) == 1 else f"lines {left[0].number} to {left[-1].number}"
        culprit = next((line.number for line in left if _is_about(line, error)), None)
        where = place if culprit is None or len(left) == 1 else f"{place} (line {culprit})"
        again = f"jobkeep run --from-file {self._arguments.from_file} --request-id {self._request}"
        hint = f"{again} prints those ids again and goes on with the rest"
        inside = f"{self.accepted} jobs are in" if self.accepted else "no job is in"
        return Failure(f"{where}: {cause}; {inside}", cause.code, hint)


def submit_file(context: Context, arguments: Options, given: dict[str, Any]) -> int:
    """Check all lines, then submit them and print their ids. `given` is what the other options say of all of them."""
    if arguments.request_id and len(arguments.request_id) > LONGEST_ID:
        raise UsageError(f"--request-id: at most {LONGEST_ID} characters with --from-file")
    on_conflict: OnConflict | None = arguments.on_conflict and arguments.on_conflict.replace("-", "_")
    template = _template(given)
    with opened(arguments.from_file) as file:
        checked = check(file, template, on_conflict)
        _complain(context, arguments.from_file, checked.wrong)
        channel = BlockingChannel(context.link.path, False)
        try:
            _check_queues(channel, arguments.from_file, checked.queues)
            file.seek(0)
            bulk = Bulk(context, arguments, template, channel)
            bulk.submit(line for line in lines(file, template, on_conflict) if isinstance(line, Line))
        finally:
            channel.close()
    count = "1 job is" if bulk.accepted == 1 else f"{bulk.accepted} jobs are"
    context.note(f"{count} submitted" if checked.jobs else f"{arguments.from_file} has no lines")
    return OK


def _complain(context: Context, name: str, wrong: list[str]) -> None:
    """Raises UsageError if there is anything."""
    for one in wrong[:WRONG_SHOWN] if len(wrong) > 1 else ():
        context.note(f"{name}: {one}")
    if wrong:
        what = wrong[0] if len(wrong) == 1 else f"{len(wrong)} lines are wrong; the first is {wrong[0]}"
        raise UsageError(f"{name}: {what}", NOTHING)


def _template(given: dict[str, Any]) -> JobSpec:
    try:
        return specs.template(given)
    except InvalidRequest as error:
        raise UsageError(str(error)) from None


def _check_queues(channel: BlockingChannel, name: str, named: dict[str, int]) -> None:
    """Raises UsageError for a queue that there is not: it is better known before anything is in."""
    if not named:
        return
    known = [queue.name for queue in channel.ask(queue_requests.listed()).queues]
    for queue, number in named.items():
        if queue not in known:
            there = f"there are: {', '.join(known)}"
            raise UsageError(f"{name}: line {number}: queue: there is no queue {queue}; {there}", NOTHING)


def _parts(group: Iterator[Line], size: int) -> Iterator[list[Line]]:
    part: list[Line] = []
    for line in group:
        part.append(line)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def _is_about(line: Line, error: BaseException) -> bool:
    key, queue = getattr(error, "key", None), getattr(error, "queue", None)
    return (key is not None and line.item.get("key") == key) or (queue is not None and line.item.get("queue") == queue)
