"""Tell all that is wrong with the daemon's configuration, or what it comes to and where each value is from."""

from __future__ import annotations

from jobkeep.cli.daemons import jobkeepd
from jobkeep.cli.diagnosis import placed
from jobkeep.cli.failures import OK, USAGE, Failure
from jobkeep.cli.render.daemon import settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
jobkeep daemon check-config                        the file that your daemon would read now
jobkeep daemon check-config --config new.toml      another one, before it takes its place

The file is $JOBKEEP_CONFIG, else ~/.config/jobkeep/config.toml, if there is one; variables JOBKEEP_<SECTION>_<KEY> of
this shell win over it. With -q only what is not a default is shown. Values of `env` are never shown.

Exit codes: 0 it is right, 2 it is not: all problems are told at once."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "jobkeep daemon check-config [OPTIONS]"
    parser.add_argument("--config", metavar="FILE", help="this file")


def run(context: Context, arguments: Options) -> int:
    words = ["check-config", *([f"--config={arguments.config}"] if arguments.config else [])]
    report = jobkeepd(words, "the configuration cannot be checked", (USAGE,))
    if context.options.json:
        context.print_json(report)
    else:
        for problem in report["problems"]:
            context.complain(Failure(placed(problem, report["file"]), USAGE))
        if report["ok"] and report["file"]:
            context.note(f"file is {report['file']}")  # once: in each row it would leave no room for the values
        context.print(*settings(report, context.style, quiet=context.options.quiet))
    return OK if report["ok"] else USAGE
