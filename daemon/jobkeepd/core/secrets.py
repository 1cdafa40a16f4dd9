"""What of a job is never shown: taken out of its spec before anything else sees it, and kept apart. Pure.

Whoever makes a view, a log line or an event of a spec has nothing to hide: no value is in there.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct, json
from msgspec.structs import replace

from jobkeepd.core.model import JobSpec


class Kept(Struct, frozen=True, array_like=True):
    """`environment` is the submitter's own; `variables` and `arguments` are those that were marked as secret."""

    environment: dict[str, str] = {}
    variables: dict[str, str] = {}
    arguments: dict[str, Any] = {}

    @property
    def has_secrets(self) -> bool:
        return bool(self.variables or self.arguments)


_encode: Final = json.Encoder().encode
_sorted: Final = json.Encoder(order="sorted").encode  # equal environments have the same hash
_decode: Final = json.Decoder(dict[str, str] | Kept).decode


def parted(spec: JobSpec, inherited: dict[str, str] | None = None) -> tuple[JobSpec, Kept | None]:
    """`spec` as it may be seen by anybody who sees the job, and what is kept; None where there is nothing.

    `inherited` is the environment where the spec has none of its own. `secrets` stays: the names are no secret.
    """
    environment = inherited if spec.environment is None else spec.environment
    open_env, variables = _split(spec.env, spec.secrets)
    open_arguments, arguments = _split(spec.arguments, spec.secrets)
    if environment is None and not variables and not arguments:
        return spec, None
    kept = Kept(environment or {}, variables, arguments)
    return replace(spec, environment=None, env=open_env, arguments=open_arguments), kept


def encoded(kept: Kept) -> bytes:
    """As the store has it. An environment alone is an object, as it always was."""
    return _encode(kept) if kept.has_secrets else _sorted(kept.environment)


def decoded(data: bytes) -> Kept:
    found = _decode(data)
    return Kept(found) if isinstance(found, dict) else found


def _split(values: dict[str, Any], secrets: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    if not secrets:
        return values, {}
    hidden = {name: value for name, value in values.items() if name in secrets}
    return {name: value for name, value in values.items() if name not in hidden}, hidden
