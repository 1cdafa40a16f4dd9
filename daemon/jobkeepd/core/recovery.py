"""What becomes of a run that was open when the daemon last ended: evidence in, one decision out."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from jobkeepd.core.model import Exit, Job

# await: its slot may have been sent more than anybody knows; it has to answer first, or be dead
Fate = Literal["adopt", "record_exit", "record_failure", "record_result", "requeue", "await", "lost", "rebooted"]
Begun = Literal["never", "last", "earlier"]  # earlier: the worker has begun another run since


class Evidence(Struct, frozen=True):
    """What the runtime and spool directories, and the slots themselves, say of one run's seat."""

    same_boot: bool
    slot_alive: bool
    accepted: bool  # the slot (or its records) has accepted this run; for a function: the worker lives there
    leader_alive: bool
    exit: Exit | None = None  # of the leader
    result_spooled: bool = False
    refused: bool = False  # the slot says that it could not be started
    silent: bool = False  # the slot lives and does not answer: this is what its records say
    begun: Begun | None = None  # of a function, if its worker has left that on record


class Recovery(Struct, frozen=True):
    fate: Fate
    why: str


def decide_recovery(job: Job, seen: Evidence) -> Recovery:
    """Never 'requeue' unless it is proven that nothing ran; never 'lost' while anything may live."""
    if seen.result_spooled:
        return Recovery("record_result", "the worker left its result in the spool")
    if not seen.same_boot:
        return Recovery("rebooted", "the host was restarted since")
    if seen.leader_alive and seen.accepted:
        return Recovery("adopt", "its process is alive")
    if seen.begun == "never" and not seen.leader_alive:
        return Recovery("requeue", "its worker is dead, and had not begun it")
    if seen.refused and seen.accepted:
        return Recovery("record_failure", "its slot could not start it")
    if seen.exit is not None and seen.accepted:
        if seen.begun == "earlier":
            return Recovery("lost", "it had ended, and its worker is dead and has not told how")
        is_starting = job.run is not None and job.run.state == "starting"
        if job.spec.function is not None and is_starting and seen.begun is None:
            return Recovery("lost", "its worker is dead, and may have had it or not")
        return Recovery("record_exit", "its exit is on record")
    if seen.silent and not seen.accepted:
        return Recovery("await", "its slot does not answer, and may have it")
    if seen.slot_alive and not seen.accepted:
        return Recovery("requeue", "its slot is alive and never accepted it")
    if not seen.accepted and job.run is not None and job.run.state == "starting":
        return Recovery("requeue", "no trace of a start, and its slot is gone")
    return Recovery("lost", "it had started, and nobody saw its end")
