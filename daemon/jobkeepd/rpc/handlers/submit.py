"""Submit and SubmitMany: from what people ask for to jobs that the store can keep."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from hashlib import sha256
from secrets import token_hex
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import MsgspecError, Struct, structs

from jobkeep.protocol import checks
from jobkeep.protocol.checks import BadSpec
from jobkeep.protocol.jobs import (
    JobSpec,
    SubmitManyParameters,
    SubmitManyReply,
    SubmitParameters,
    SubmitReply,
)
from jobkeep.protocol.vocabulary import OnConflict
from jobkeepd.core.model import Peer
from jobkeepd.core.secrets import Kept, encoded, parted
from jobkeepd.errors import UnknownQueue
from jobkeepd.latch import Latch
from jobkeepd.rpc.faults import Refusal, invalid, too_large
from jobkeepd.rpc.parameters import located
from jobkeepd.rpc.services import Services
from jobkeepd.store.changes import NewJob, Submitted

NEAR: Final = 1000  # jobs of a batch whose ids begin with the same letter: it takes fewer pages to index them
_NAME_BYTES: Final = 16  # of what is kept of a job that has secrets
BATCH_LIMIT: Final = 16 << 20  # bytes of all specs of a batch: a large template times many items is much
Answer: TypeAlias = Latch[Struct | Exception]
_encode: Final = msgspec.json.Encoder().encode
_sorted: Final = msgspec.json.Encoder(order="sorted").encode
_recent: Final[deque[tuple[dict[str, str], str, bytes]]] = deque(maxlen=4)  # environments, their hashes and encodings


class Batch:
    """Judges specs and takes environments out of them."""

    def __init__(self, services: Services, request: str | None, *, one: bool = False) -> None:
        """`one`: there is but one job, and a message bounds its size."""
        self._services = services
        self._queues = services.queues.names
        self._request = request
        self._digest = sha256() if request is not None else None  # only a repeated request is compared
        self._encodes = not one or request is not None
        self._size = 0
        self._encoded = b""  # the last spec
        self._kept = b"", ""  # the last secrets, and what they are called
        self.jobs: list[NewJob] = []
        self.environments: dict[str, bytes] = {}

    def add(self, asked: JobSpec, prefix: str, inherited: dict[str, str] | None = None) -> None:
        """One job, as somebody asks for it; `inherited` is its environment where it has none. Raises Refusal,
        UnknownQueue."""
        check_spec(asked, prefix)
        spec, kept = parted(asked, inherited)
        self.add_kept(spec, None if kept is None else self._keep(kept, prefix))

    def add_kept(self, spec: JobSpec, environment: str | None) -> None:
        """One whose `environment` is in the store, or in `environments`. Raises UnknownQueue."""
        if spec.queue not in self._queues:
            raise UnknownQueue(spec.queue, sorted(self._queues))
        self._encoded = _sorted(_repeatable(spec)) if self._encodes else b""
        self._weigh(self._encoded)
        self.jobs.append(NewJob(self._id(), spec, environment))

    def repeat(self) -> None:
        """One more like the last one, which was found good."""
        last = self.jobs[-1]
        self._weigh(self._encoded)
        self.jobs.append(NewJob(self._id(), last.spec, last.environment))

    def _id(self) -> str:
        drawn, jobs = self._services.new_id(), self.jobs
        first = len(jobs) // NEAR * NEAR
        return drawn if first == len(jobs) else jobs[first].id[0] + drawn[1:]

    def _weigh(self, encoded: bytes) -> None:
        """Without the environment: the same request from another shell is the same request."""
        self._count(len(encoded))
        if self._digest is not None:
            self._digest.update(encoded)
            self._digest.update(b"\0")

    def _count(self, size: int) -> None:
        self._size += size
        if self._size > BATCH_LIMIT:
            raise too_large("items", self._size, BATCH_LIMIT)

    def _keep(self, kept: Kept, prefix: str) -> str:
        """What it is called from now on. Where there are secrets that tells nothing of them, as a hash would."""
        name, data = _hashed(kept.environment, prefix)
        if kept.has_secrets:
            data = encoded(kept)
            if data == self._kept[0]:  # as text, since 1 and True are equal otherwise
                return self._kept[1]
            name = token_hex(_NAME_BYTES)
            self._kept = data, name
            self._count(len(data))
        self.environments[name] = data
        return name

    def submit(
        self, peer: Peer, on_conflict: OnConflict | None, reply: Callable[[Submitted], Struct], *, others: bool = True
    ) -> Answer:
        """`others`: it may replace jobs of others that have its key."""
        digest = ""
        if self._digest is not None:
            self._digest.update((on_conflict or "reject").encode())
            digest = self._digest.hexdigest()
        accepted = self._services.jobs.submit(
            tuple(self.jobs),
            tuple(self.environments.items()),
            peer,
            request=self._request,
            digest=digest,
            on_conflict=on_conflict,
            others=others,
        )
        answer: Answer = Latch()
        accepted.then(lambda done: answer.set(done if isinstance(done, Exception) else reply(done)))
        return answer


def _repeatable(spec: JobSpec) -> JobSpec:
    """What a repetition of the request must have in common: not the trace that it is part of."""
    if spec.traceparent is None and spec.tracestate is None:
        return spec
    return structs.replace(spec, traceparent=None, tracestate=None)


def _hashed(environment: dict[str, str], prefix: str) -> tuple[str, bytes]:
    """Hash and encoding. One shell submits many jobs: comparing is cheaper than hashing."""
    for known, hash, data in _recent:
        if known is environment or known == environment:
            return hash, data
    try:
        checks.check_variables(environment, "environment")
    except BadSpec as error:
        raise _refusal(error, prefix) from None
    data = encoded(Kept(environment))
    hash = sha256(data).hexdigest()
    _recent.appendleft((environment, hash, data))
    return hash, data


def submit(services: Services, asked: SubmitParameters, peer: Peer, *, own: bool = False) -> Answer:
    batch = Batch(services, asked.request_id, one=True)
    checked_conflict(asked.on_conflict, asked.spec)
    batch.add(asked.spec, "spec.")
    return batch.submit(peer, asked.on_conflict, _submitted, others=not own)


def checked_conflict(on_conflict: OnConflict | None, spec: JobSpec) -> None:
    """Raises Refusal for what means nothing without a key."""
    try:
        checks.check_conflict(on_conflict, spec)
    except BadSpec as error:
        raise _refusal(error, "") from None


def _submitted(done: Submitted) -> SubmitReply:
    return SubmitReply(done.ids[0], done.state, done.created)


def submit_many(services: Services, asked: SubmitManyParameters, peer: Peer) -> Answer:
    batch = Batch(services, asked.request_id)
    template = msgspec.to_builtins(asked.template)
    shared = template.pop("environment", None)
    last = b""
    for number, item in enumerate(asked.items):
        if (said := _encode(item)) == last:  # as text, since 1 and True are equal otherwise
            batch.repeat()
            continue
        last = said
        place = f"items[{number}]"
        batch.add(_merged(template, item, place), f"{place}.", shared)
    return batch.submit(peer, None, lambda done: SubmitManyReply(list(done.ids)))


def _merged(template: dict[str, Any], item: dict[str, Any], place: str) -> JobSpec:
    try:
        return msgspec.convert({**template, **item}, JobSpec)
    except (MsgspecError, ValueError, RecursionError) as error:
        why = located(error)
        raise invalid(f"{place}.{why.parameter}", f"{place}.{why.message}") from None


def check_spec(spec: JobSpec, prefix: str) -> None:
    """What types cannot say. Raises Refusal."""
    try:
        checks.check_spec(spec)
    except BadSpec as error:
        raise _refusal(error, prefix) from None


def _refusal(error: BadSpec, prefix: str) -> Refusal:
    if error.limit:
        return too_large(f"{prefix}{error.field}", error.size, error.limit)
    return invalid(f"{prefix}{error.field}", str(error))
