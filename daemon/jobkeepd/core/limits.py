"""What a run may take of the host, as a slot is told; and how it is said that a run wanted more. Pure."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from jobkeep.protocol.jobs import ErrorInfo, JobSpec
from jobkeep.protocol.sizes import in_words
from jobkeepd.core.model import Exit

OUT_OF_MEMORY: Final = "OutOfMemory"  # the type of the error
NOT_OURS: Final = ", which jobkeep did not send"
_KILL: Final = 9


class Limits(Struct, frozen=True, omit_defaults=True):
    """None: what the daemon itself may take."""

    memory: int | None = None  # bytes
    cpu: float | None = None  # how many
    nofile: int | None = None
    nice: int | None = None


def limits_of(spec: JobSpec) -> Limits | None:
    """None where there are none."""
    if spec.memory_bytes is None and spec.cpu is None and spec.nofile is None and spec.nice is None:
        return None
    return Limits(spec.memory_bytes, spec.cpu, spec.nofile, spec.nice)


def out_of_memory(spec: JobSpec, exit: Exit, described: str) -> ErrorInfo | None:
    """Of a run that the kernel has ended at its limit, or a process of it; None where that is not known."""
    if not exit.oom:
        return None
    bound = "its limit" if spec.memory_bytes is None else f"its limit of {in_words(spec.memory_bytes)}"
    whole = exit.status & 0x7F == _KILL
    what = "the run" if whole else "1 process of it" if exit.oom == 1 else f"{exit.oom} processes of it"
    return ErrorInfo(OUT_OF_MEMORY, f"the kernel ended {what}, which wanted more memory than {bound} ({described})")


def killed_by_others(exit: Exit, terminated: bool) -> bool:
    """Whether it was a SIGKILL that we did not send: mostly the kernel's, for lack of memory."""
    return exit.status & 0x7F == _KILL and not terminated and not exit.oom


def suspicion(peak_kib: int | None) -> str:
    """What is known of a run that somebody else has killed."""
    used = "" if not peak_kib else f"; its largest process had used {in_words(peak_kib << 10)}"
    return f"the kernel ends processes so when the host is out of memory, and its log tells: journalctl -k{used}"
