"""Submit and SubmitMany: from what people ask for to jobs that the store can keep."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec import MsgspecError, structs

from jobkeep.protocol.jobs import (
    JobSpec,
    SubmitManyParameters,
    SubmitManyReply,
    SubmitParameters,
    SubmitReply,
)
from jobkeep.protocol.vocabulary import ARGUMENTS_LIMIT, OnConflict
from jobkeepd.core.model import Peer
from jobkeepd.errors import UnknownQueue
from jobkeepd.rpc.faults import invalid, too_large
from jobkeepd.rpc.parameters import located
from jobkeepd.rpc.services import Services
from jobkeepd.store.changes import NewJob, Submitted

BATCH_LIMIT: Final = 16 << 20  # bytes of all specs of a batch: a large template times many items is much
_sorted: Final = msgspec.json.Encoder(order="sorted").encode
_encode: Final = msgspec.json.Encoder().encode


class Batch:
    """Judges specs and takes environments out of them."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._queues = services.queues()
        self._digest = sha256()
        self._size = 0
        self.jobs: list[NewJob] = []
        self.environments: dict[str, bytes] = {}

    def add(self, spec: JobSpec, environment: str | None, prefix: str = "") -> None:
        """One job; `environment` is the hash of one that `keep` took. Raises Refusal, UnknownQueue."""
        _check(spec, prefix)
        if spec.queue not in self._queues:
            raise UnknownQueue(spec.queue, sorted(self._queues))
        encoded = _sorted(spec)
        self._size += len(encoded)
        if self._size > BATCH_LIMIT:
            raise too_large("items", self._size, BATCH_LIMIT)
        # Without the environment: the same request from another shell is the same request.
        self._digest.update(encoded)
        self._digest.update(b"\0")
        self.jobs.append(NewJob(self._services.new_id(), spec, environment))

    def keep(self, environment: dict[str, str] | None, field: str) -> str | None:
        """Its hash."""
        if environment is None:
            return None
        _check_variables(environment, field)
        encoded = _sorted(environment)
        hash = sha256(encoded).hexdigest()
        self.environments[hash] = encoded
        return hash

    async def submit(self, peer: Peer, request: str | None, on_conflict: OnConflict) -> Submitted:
        self._digest.update(on_conflict.encode())
        return await self._services.jobs.submit(
            tuple(self.jobs),
            tuple(self.environments.items()),
            peer,
            request=request,
            digest=self._digest.hexdigest(),
            on_conflict=on_conflict,
        )


def submit(services: Services, asked: SubmitParameters, peer: Peer) -> Coroutine[Any, Any, SubmitReply]:
    batch = Batch(services)
    environment = batch.keep(asked.spec.environment, "spec.environment")
    batch.add(structs.replace(asked.spec, environment=None), environment, "spec.")
    return _submitted(batch, asked, peer)


async def _submitted(batch: Batch, asked: SubmitParameters, peer: Peer) -> SubmitReply:
    done = await batch.submit(peer, asked.request_id, asked.on_conflict)
    return SubmitReply(done.ids[0], done.state, done.created)


def submit_many(services: Services, asked: SubmitManyParameters, peer: Peer) -> Coroutine[Any, Any, SubmitManyReply]:
    batch = Batch(services)
    template = msgspec.to_builtins(asked.template)
    shared = batch.keep(template.pop("environment", None), "template.environment")
    for number, item in enumerate(asked.items):
        place = f"items[{number}]"
        spec = _merged(template, item, place)
        own = batch.keep(spec.environment, f"{place}.environment")
        batch.add(structs.replace(spec, environment=None), own or shared, f"{place}.")
    return _submitted_many(batch, asked, peer)


async def _submitted_many(batch: Batch, asked: SubmitManyParameters, peer: Peer) -> SubmitManyReply:
    return SubmitManyReply(list((await batch.submit(peer, asked.request_id, "reject")).ids))


def _merged(template: dict[str, Any], item: dict[str, Any], place: str) -> JobSpec:
    try:
        return msgspec.convert({**template, **item}, JobSpec)
    except (MsgspecError, ValueError, RecursionError) as error:
        why = located(error)
        raise invalid(f"{place}.{why.parameter}", f"{place}.{why.message}") from None


def _check(spec: JobSpec, prefix: str) -> None:
    """What types cannot say."""
    if (spec.command is None) == (spec.function is None):
        wrong = "neither a command nor" if spec.command is None else "both a command and"
        raise invalid(f"{prefix}command", f"{wrong} a function is given; one of the two is needed")
    if spec.command is not None:
        _check_command(spec.command, prefix)
        if spec.arguments:
            raise invalid(f"{prefix}arguments", "a command takes no arguments but those in its list")
    elif (size := len(_encode(spec.arguments))) > ARGUMENTS_LIMIT:
        raise too_large(f"{prefix}arguments", size, ARGUMENTS_LIMIT)
    for name in ("cwd", "python"):
        path = getattr(spec, name)
        if path is not None and (not path.startswith("/") or "\0" in path):
            raise invalid(f"{prefix}{name}", f"{name} is an absolute path")
    _check_variables(spec.env, f"{prefix}env")


def _check_command(command: Sequence[str], prefix: str) -> None:
    if not command[0]:
        raise invalid(f"{prefix}command[0]", "the command has no name")
    for number, word in enumerate(command):
        if "\0" in word:
            raise invalid(f"{prefix}command[{number}]", "a NUL cannot be passed to a command")


def _check_variables(variables: dict[str, str], field: str) -> None:
    for name, value in variables.items():
        if not name or "=" in name or "\0" in name:
            raise invalid(field, f"{name!r} cannot be the name of a variable")
        if "\0" in value:
            raise invalid(f"{field}.{name}", "a NUL cannot be part of a variable")
