"""The changes that remove ended jobs. Journal: `removed` with a reason, if there is one: the last that a job is in."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from jobkeepd.core.model import Job, Peer


class RemoveJobs(Struct, frozen=True, kw_only=True):
    """Remove those of the jobs that have ended, with all that hangs on them: runs, checkpoint, failed items, steps,
    result, labels. -> Removed. Journal: removed, one per job.

    Live jobs stay; of one that is not there (any more) nothing is said: to ask twice does no harm. What the journal
    has told of a job stays there, so that its order has no gaps. The output of runs is in files, which somebody has to
    delete after the commit: until ForgetLeftovers says that it is done, it is on record that they may be there.
    """

    jobs: tuple[str, ...]
    by: Peer | None  # None: the daemon by itself
    at: float
    reason: str | None = None


class Leftover(Struct, frozen=True):
    """The output of the runs 1 to `runs` of a job that was removed may still be on disk."""

    job: str
    runs: int


class Removed(Struct, frozen=True):
    """What became of the jobs of a RemoveJobs."""

    ids: tuple[str, ...] = ()
    live: tuple[Job, ...] = ()
    leftovers: tuple[Leftover, ...] = ()


class EraseRemoved(Struct, frozen=True, kw_only=True):
    """Delete up to `limit` rows of a job that was removed, and that had too many to go with it in one commit. -> False
    where there is none. Journal: none."""

    limit: int


class ForgetEnvironments(Struct, frozen=True, kw_only=True):
    """Of the next `limit` environments after the hash `after` those go that nothing uses: `is_used` knows of all jobs
    up to the seq `behind`. -> the last that was looked at, or None once there are no more. Journal: none."""

    is_used: Callable[[str], bool]
    behind: int
    limit: int
    after: str = ""


class ForgetEvents(Struct, frozen=True, kw_only=True):
    """The journal up to `through` goes, but for what it tells of jobs that are there: that goes with them.

    Journal: none. So it is whole behind that, and the history of a job is whole as long as there is the job.
    """

    through: int


class ForgetRequests(Struct, frozen=True, kw_only=True):
    """Of the next `limit` request ids behind `behind` those that were answered before `since` go: who asks again by one
    of them asks for the first time. -> the last that was looked at, or None once there are no more. Journal: none.
    """

    since: float
    limit: int
    behind: tuple[int, str] = (-1, "")  # uid and id


class ForgetLeftovers(Struct, frozen=True, kw_only=True):
    """The output of these jobs is gone from the disk. Journal: none."""

    jobs: tuple[str, ...]
