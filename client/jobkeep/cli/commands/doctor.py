"""Look at daemon and host, and tell what is wrong and what to do about it. Changes nothing, and starts nothing."""

from __future__ import annotations

from jobkeep.cli.failures import FAILED, OK

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
jobkeep doctor          every row: ok, warning or problem, and what to do
jobkeep doctor -q       only what is not ok

It works with and without a daemon. Exit codes: 0 there is no problem (there may be warnings), 1 there is one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep doctor [OPTIONS]"


def run(context: Context, arguments: Options) -> int:
    from jobkeep.cli.diagnosis import PROBLEM, examine
    from jobkeep.cli.render.doctor import lines
    from jobkeep.cli.symptoms import look

    rows = examine(look(context))
    ok = all(row.level != PROBLEM for row in rows)
    if context.options.json:
        found = [{"name": row.name, "level": row.level, "says": row.says, "hint": row.hint} for row in rows]
        context.print_json({"ok": ok, "rows": found})
    else:
        context.print(*lines(rows, context.style, quiet=context.options.quiet))
    return OK if ok else FAILED
