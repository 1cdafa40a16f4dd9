"""Print the output of a job, byte for byte: its stdout to stdout, its stderr to stderr."""

from __future__ import annotations

from jobkeep.cli import values
from jobkeep.cli.failures import NOT_FOUND, OK, Failure
from jobkeep.cli.follow import Follower, JsonFollower
from jobkeep.cli.targets import job_id
from jobkeep.cli.wire import JOBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
examples:
  jobkeep logs -f k3x9           as it grows, over all runs to come
  jobkeep logs -n 20 --stderr k3x9

With --json: the chunks as they come, one object per line; "data" is base64, since output may be any bytes.
Where [logs] in the daemon's configuration limits its size, older output may be gone; stderr then says how
much. In JSON such a gap is a chunk with "dropped": so many bytes before its "offset" are not there any more.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="or the first characters of it")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the job has ended")
    parser.add_argument("-n", "--lines", type=values.count, metavar="N", help="only the last lines of each stream")
    parser.add_argument("--run", type=values.positive, metavar="N", help="of this run; default: the latest")
    streams = parser.add_mutually_exclusive_group()
    streams.add_argument("--stdout", dest="stream", action="store_const", const="stdout", help="only this")
    streams.add_argument("--stderr", dest="stream", action="store_const", const="stderr", help="only this")


def run(context: Context, arguments: Options) -> int:
    id = context.link.call(JOBS + "Get", id=job_id(arguments.id))["job"]["id"]
    follower = (JsonFollower if arguments.json else Follower)(context.link, id, arguments.stream, arguments.lines)
    if arguments.follow and arguments.run is None:
        follower.to_the_end(None)
    elif not follower.output(arguments.run, arguments.follow):
        which = "run yet" if arguments.run is None else f"run {arguments.run}"
        shown = context.id(id)
        raise Failure(f"job {shown} has no {which}", NOT_FOUND, f"jobkeep show {shown} lists its runs")
    return OK
