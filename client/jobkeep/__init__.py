"""jobkeep keeps every job of a host alive, exclusive, visible and resumable. This is what programs import.

Names are loaded when they are first used (PEP 562): `import jobkeep` itself costs next to nothing.
"""

TYPE_CHECKING = False  # typing itself is not cheap to import
if TYPE_CHECKING:
    from jobkeep.blocking.client import BlockingClient as BlockingClient
    from jobkeep.blocking.client import connect_blocking as connect_blocking
    from jobkeep.blocking.jobs import BlockingJobHandle as BlockingJobHandle
    from jobkeep.client.client import Client as Client
    from jobkeep.client.client import connect as connect
    from jobkeep.client.jobs import JobHandle as JobHandle
    from jobkeep.client.lease import Lease as Lease
    from jobkeep.client.session import Session as Session
    from jobkeep.errors import ActionRefused as ActionRefused
    from jobkeep.errors import Ambiguous as Ambiguous
    from jobkeep.errors import BadConfiguration as BadConfiguration
    from jobkeep.errors import Conflict as Conflict
    from jobkeep.errors import ConnectionLost as ConnectionLost
    from jobkeep.errors import DaemonError as DaemonError
    from jobkeep.errors import DaemonUnreachable as DaemonUnreachable
    from jobkeep.errors import EventsGone as EventsGone
    from jobkeep.errors import InputChanged as InputChanged
    from jobkeep.errors import InvalidRequest as InvalidRequest
    from jobkeep.errors import JobFailed as JobFailed
    from jobkeep.errors import JobkeepError as JobkeepError
    from jobkeep.errors import KeyConflict as KeyConflict
    from jobkeep.errors import LeaseLost as LeaseLost
    from jobkeep.errors import LimitReached as LimitReached
    from jobkeep.errors import LockHeld as LockHeld
    from jobkeep.errors import MessageTooLarge as MessageTooLarge
    from jobkeep.errors import NoDaemon as NoDaemon
    from jobkeep.errors import NoResult as NoResult
    from jobkeep.errors import NoRun as NoRun
    from jobkeep.errors import NotFound as NotFound
    from jobkeep.errors import NotPermitted as NotPermitted
    from jobkeep.errors import OutcomeUnknown as OutcomeUnknown
    from jobkeep.errors import Permanent as Permanent
    from jobkeep.errors import ProtocolError as ProtocolError
    from jobkeep.errors import RequestMismatch as RequestMismatch
    from jobkeep.errors import RunLeaseLost as RunLeaseLost
    from jobkeep.errors import SessionFailed as SessionFailed
    from jobkeep.errors import SessionInUse as SessionInUse
    from jobkeep.errors import ShuttingDown as ShuttingDown
    from jobkeep.errors import StaleToken as StaleToken
    from jobkeep.errors import StepsChanged as StepsChanged
    from jobkeep.errors import Stopped as Stopped
    from jobkeep.errors import StorageFull as StorageFull
    from jobkeep.errors import StreamDropped as StreamDropped
    from jobkeep.errors import TimedOut as TimedOut
    from jobkeep.errors import TooLarge as TooLarge
    from jobkeep.errors import TooManyFailures as TooManyFailures
    from jobkeep.errors import UnknownLock as UnknownLock
    from jobkeep.errors import UnknownQueue as UnknownQueue
    from jobkeep.errors import UnknownSession as UnknownSession
    from jobkeep.errors import UnknownWorker as UnknownWorker
    from jobkeep.errors import WrongProtocol as WrongProtocol
    from jobkeep.sdk.blocking import BlockingJobContext as BlockingJobContext
    from jobkeep.sdk.context import JobContext as JobContext

__version__ = "0.1.0"

_MODULES = {
    "jobkeep.client.client": ("Client", "connect"),
    "jobkeep.client.jobs": ("JobHandle",),
    "jobkeep.client.lease": ("Lease",),
    "jobkeep.client.session": ("Session",),
    "jobkeep.blocking.client": ("BlockingClient", "connect_blocking"),
    "jobkeep.blocking.jobs": ("BlockingJobHandle",),
    "jobkeep.sdk.context": ("JobContext",),
    "jobkeep.sdk.blocking": ("BlockingJobContext",),
    "jobkeep.errors": (
        "ActionRefused", "Ambiguous", "BadConfiguration", "Conflict", "ConnectionLost", "DaemonError",
        "DaemonUnreachable", "EventsGone", "InputChanged", "InvalidRequest", "JobFailed", "JobkeepError",
        "KeyConflict", "LeaseLost", "LimitReached", "LockHeld", "MessageTooLarge", "NoDaemon", "NoResult", "NoRun",
        "NotFound", "NotPermitted", "OutcomeUnknown", "Permanent", "ProtocolError", "RequestMismatch",
        "RunLeaseLost", "SessionFailed", "SessionInUse", "ShuttingDown", "StaleToken", "StepsChanged",
        "Stopped", "StorageFull", "StreamDropped", "TimedOut", "TooLarge", "TooManyFailures", "UnknownLock",
        "UnknownQueue", "UnknownSession", "UnknownWorker", "WrongProtocol",
    ),
}  # fmt: skip
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'jobkeep' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
