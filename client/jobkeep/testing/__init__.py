"""For tests of code that uses jobkeep: a daemon of their own, a job without one, a context for a single call."""

from jobkeep.testing.contexts import BlockingFakeContext, FakeContext
from jobkeep.testing.daemon import PrivateDaemon
from jobkeep.testing.rehearsal import Rehearsal

__all__ = ["BlockingFakeContext", "FakeContext", "PrivateDaemon", "Rehearsal"]
