"""Ask the database of the daemon: one read-only query, of 5 seconds at most."""

from __future__ import annotations

from jobkeep.cli.failures import OK, UsageError
from jobkeep.cli.render.daemon import query
from jobkeep.cli.wire import ADMIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
examples:
  jobkeep sql 'SELECT * FROM job_status'
  jobkeep sql --json 'SELECT id FROM stuck_runs'

With --json: a list of objects, one per row. With -q: the first column.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", metavar="QUERY", help="a SELECT over the views job_status, stuck_runs, …")


def run(context: Context, arguments: Options) -> int:
    if not arguments.query.strip():
        raise UsageError("sql: the query is empty", "jobkeep sql 'SELECT * FROM job_status'")
    reply = context.link.call(ADMIN + "Sql", query=arguments.query)
    columns, rows = reply["columns"], reply["rows"]
    if arguments.json:
        context.print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif arguments.quiet:
        context.print(*(str(row[0]) for row in rows))
    else:
        context.print(*query(columns, rows, context.style))
    if reply.get("truncated"):
        context.note("only the first rows are shown; narrow the query with WHERE or LIMIT")
    return OK
