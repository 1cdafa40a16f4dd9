"""What workers left in the spool while no daemon listened: their newest checkpoint and their result."""

from __future__ import annotations

import os
from pathlib import Path

import structlog
from msgspec import MsgspecError, Struct, json

from jobkeep.protocol.worker import CheckpointParameters, FinishParameters

log = structlog.get_logger()

_checkpoints = json.Decoder(CheckpointParameters)
_finishes = json.Decoder(FinishParameters)


class Spooled(Struct, frozen=True):
    checkpoint: CheckpointParameters | None = None
    finish: FinishParameters | None = None


class Spool:
    """The directory that workers write RUN.checkpoint and RUN.finish into, by rename."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)

    def read(self) -> dict[str, Spooled]:
        """Everything in it, by run. What cannot be read is put aside, not lost."""
        found: dict[str, Spooled] = {}
        for path in sorted(self._directory.iterdir()):
            run, dot, kind = path.name.rpartition(".")
            if not dot or kind not in ("checkpoint", "finish"):
                continue
            before = found.get(run, Spooled())
            try:
                data = path.read_bytes()
                if kind == "checkpoint":
                    found[run] = Spooled(_checkpoints.decode(data), before.finish)
                else:
                    found[run] = Spooled(before.checkpoint, _finishes.decode(data))
            except (OSError, MsgspecError, ValueError, RecursionError) as error:
                log.warning("spool_unreadable", file=path.name, error=str(error))
                os.rename(path, path.with_name(path.name + ".bad"))
        return found

    def discard(self, run: str) -> None:
        """What it held of `run` is in the store."""
        for kind in ("checkpoint", "finish"):
            (self._directory / f"{run}.{kind}").unlink(missing_ok=True)
