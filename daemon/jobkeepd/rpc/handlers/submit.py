"""Submit and SubmitMany: from what people ask for to jobs that the store can keep."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import MsgspecError, Struct, structs

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
from jobkeepd.latch import Latch
from jobkeepd.rpc.faults import invalid, too_large
from jobkeepd.rpc.parameters import located
from jobkeepd.rpc.services import Services
from jobkeepd.store.changes import NewJob, Submitted

BATCH_LIMIT: Final = 16 << 20  # bytes of all specs of a batch: a large template times many items is much
Answer: TypeAlias = Latch[Struct | Exception]
_sorted: Final = msgspec.json.Encoder(order="sorted").encode
_encode: Final = msgspec.json.Encoder().encode
_recent: Final[deque[tuple[dict[str, str], str, bytes]]] = deque(maxlen=4)  # environments, their hashes and encodings


class Batch:
    """Judges specs and takes environments out of them."""

    def __init__(self, services: Services, request: str | None, *, one: bool = False) -> None:
        """`one`: there is but one job, and a message bounds its size."""
        self._services = services
        self._queues = services.queues()
        self._request = request
        self._digest = sha256() if request is not None else None  # only a repeated request is compared
        self._encodes = not one or request is not None
        self._size = 0
        self.jobs: list[NewJob] = []
        self.environments: dict[str, bytes] = {}

    def add(self, spec: JobSpec, environment: str | None, prefix: str = "") -> None:
        """One job; `environment` is the hash of one that `keep` took. Raises Refusal, UnknownQueue."""
        _check(spec, prefix)
        if spec.queue not in self._queues:
            raise UnknownQueue(spec.queue, sorted(self._queues))
        if self._encodes:
            self._weigh(_sorted(spec))
        self.jobs.append(NewJob(self._services.new_id(), spec, environment))

    def _weigh(self, encoded: bytes) -> None:
        """Without the environment: the same request from another shell is the same request."""
        self._size += len(encoded)
        if self._size > BATCH_LIMIT:
            raise too_large("items", self._size, BATCH_LIMIT)
        if self._digest is not None:
            self._digest.update(encoded)
            self._digest.update(b"\0")

    def keep(self, environment: dict[str, str] | None, field: str) -> str | None:
        """Its hash."""
        if environment is None:
            return None
        hash, encoded = _hashed(environment, field)
        self.environments[hash] = encoded
        return hash

    def submit(self, peer: Peer, on_conflict: OnConflict, reply: Callable[[Submitted], Struct]) -> Answer:
        digest = ""
        if self._digest is not None:
            self._digest.update(on_conflict.encode())
            digest = self._digest.hexdigest()
        accepted = self._services.jobs.submit(
            tuple(self.jobs),
            tuple(self.environments.items()),
            peer,
            request=self._request,
            digest=digest,
            on_conflict=on_conflict,
        )
        answer: Answer = Latch()
        accepted.then(lambda done: answer.set(done if isinstance(done, Exception) else reply(done)))
        return answer


def _hashed(environment: dict[str, str], field: str) -> tuple[str, bytes]:
    """Hash and encoding. One shell submits many jobs: comparing is cheaper than hashing."""
    for known, hash, encoded in _recent:
        if known == environment:
            return hash, encoded
    _check_variables(environment, field)
    encoded = _sorted(environment)
    hash = sha256(encoded).hexdigest()
    _recent.appendleft((environment, hash, encoded))
    return hash, encoded


def submit(services: Services, asked: SubmitParameters, peer: Peer) -> Answer:
    batch = Batch(services, asked.request_id, one=True)
    spec, environment = asked.spec, None
    if spec.environment is not None:
        environment = batch.keep(spec.environment, "spec.environment")
        spec = structs.replace(spec, environment=None)
    batch.add(spec, environment, "spec.")
    return batch.submit(peer, asked.on_conflict, _submitted)


def _submitted(done: Submitted) -> SubmitReply:
    return SubmitReply(done.ids[0], done.state, done.created)


def submit_many(services: Services, asked: SubmitManyParameters, peer: Peer) -> Answer:
    batch = Batch(services, asked.request_id)
    template = msgspec.to_builtins(asked.template)
    shared = batch.keep(template.pop("environment", None), "template.environment")
    for number, item in enumerate(asked.items):
        place = f"items[{number}]"
        spec = _merged(template, item, place)
        own = batch.keep(spec.environment, f"{place}.environment")
        if own is not None:
            spec = structs.replace(spec, environment=None)
        batch.add(spec, own or shared, f"{place}.")
    return batch.submit(peer, "reject", lambda done: SubmitManyReply(list(done.ids)))


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
    elif spec.arguments and (size := len(_encode(spec.arguments))) > ARGUMENTS_LIMIT:
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
