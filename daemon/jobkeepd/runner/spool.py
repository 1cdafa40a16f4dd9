"""What workers left in the spool while no daemon listened: results of steps, newest checkpoints, and ends."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import structlog
from msgspec import MsgspecError, Struct, json

from jobkeep.protocol.worker import CheckpointParameters, FinishParameters, SaveStepParameters

log = structlog.get_logger()


# A worker of a later version may have left more than we know of: what we know means the same.
class _Checkpoint(CheckpointParameters, forbid_unknown_fields=False, kw_only=True):
    pass


class _Step(SaveStepParameters, forbid_unknown_fields=False, kw_only=True):
    pass


class _Finish(FinishParameters, forbid_unknown_fields=False, kw_only=True):
    pass


_KINDS: Final[dict[str, json.Decoder[Any]]] = {
    "checkpoint": json.Decoder(_Checkpoint),
    "step": json.Decoder(_Step),
    "finish": json.Decoder(_Finish),
}


class Spooled(Struct):
    """Of one run. `steps` are in order."""

    steps: list[SaveStepParameters] = []
    checkpoint: CheckpointParameters | None = None
    finish: FinishParameters | None = None


class Spool:
    """The directory that workers write RUN.stepN, RUN.checkpoint and RUN.finish into, by rename."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)

    def read(self) -> dict[str, Spooled]:
        """Everything in it, by run. What cannot be read is put aside, not lost."""
        return self._read(self._directory.iterdir())

    def take(self, run: str) -> Spooled:
        """What is in it of one run."""
        return self._read(self._files(run)).get(run) or Spooled()

    def discard(self, run: str) -> None:
        """What it held of `run` is in the store."""
        for path in self._files(run):
            path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what workers that are dead were about to write: .FILE.PID, not yet renamed."""
        for path in self._directory.glob(".*"):
            pid = path.suffix.removeprefix(".")
            if pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
                path.unlink(missing_ok=True)

    def _files(self, run: str) -> list[Path]:
        return [path for path in self._directory.glob(f"{run}.*") if _kind(path) in _KINDS]

    def _read(self, paths: Iterable[Path]) -> dict[str, Spooled]:
        found: dict[str, Spooled] = {}
        for path in sorted(paths):
            decoder = _KINDS.get(_kind(path))
            if decoder is None:
                continue
            try:
                report = decoder.decode(path.read_bytes())
            except FileNotFoundError:
                continue
            except (OSError, MsgspecError, ValueError, RecursionError) as error:
                log.warning("spool_unreadable", file=path.name, error=str(error))
                os.rename(path, path.with_name(path.name + ".bad"))
                continue
            left = found.setdefault(path.stem, Spooled())
            if isinstance(report, SaveStepParameters):
                left.steps.append(report)
            elif isinstance(report, CheckpointParameters):
                left.checkpoint = report
            else:
                left.finish = report
        for left in found.values():
            left.steps.sort(key=lambda step: step.ordinal)
        return found


def _kind(path: Path) -> str:
    """The last word of its name, without a number."""
    return path.suffix[1:].rstrip("0123456789")
