"""What job code works with: a context with progress, checkpoints and resumable batches."""

from jobkeep.sdk.blocking import BlockingJobContext
from jobkeep.sdk.children import BlockingChild, Child
from jobkeep.sdk.context import JobContext
from jobkeep.sdk.options import Batch
from jobkeep.sdk.source import Cursor

__all__ = ["Batch", "BlockingChild", "BlockingJobContext", "Child", "Cursor", "JobContext"]
