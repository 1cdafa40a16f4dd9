"""Every interface of the wire with the errors it declares, and its description as text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from jobkeep.protocol import admin, jobs, locks, processes, queues, run, schedules, service, sessions, worker
from jobkeep.protocol.faults import FAULTS, Fault
from jobkeep.protocol.idl import describe
from jobkeep.protocol.interface import Interface

INTERFACES: Final[Mapping[str, Interface]] = {
    interface.name: interface
    for interface in (
        service.INTERFACE, jobs.INTERFACE, queues.INTERFACE, schedules.INTERFACE, locks.INTERFACE, sessions.INTERFACE,
        processes.INTERFACE, run.INTERFACE, worker.INTERFACE, admin.INTERFACE,
    )  # fmt: skip
}
FAULT_NAMES: Final[Mapping[type[Fault], str]] = {fault: name for name, fault in FAULTS.items()}


def faults_of(interface: str) -> tuple[type[Fault], ...]:
    """The errors that an interface declares; its methods answer with those of org.jobkeep.Admin, too."""
    return tuple(fault for name, fault in FAULTS.items() if name.rpartition(".")[0] == interface)


@cache
def description(interface: str) -> str | None:
    """The `.varlink` text of an interface; None for one that is not ours."""
    if interface == service.INTERFACE.name:
        return service.DESCRIPTION
    declared = INTERFACES.get(interface)
    return None if declared is None else describe(declared, faults_of(interface))
