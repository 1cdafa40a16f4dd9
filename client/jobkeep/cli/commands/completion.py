"""Print the script that lets a shell complete commands, options, and ids and names that there are."""

from __future__ import annotations

from jobkeep.cli.failures import OK
from jobkeep.cli.shells import SCRIPTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
in this shell:
  source <(jobkeep completion bash)
  source <(jobkeep completion zsh)          behind compinit
  jobkeep completion fish | source

for good:
  jobkeep completion bash > ~/.local/share/bash-completion/completions/jobkeep
  jobkeep completion zsh > FOLDER/_jobkeep  where FOLDER is one of $fpath
  jobkeep completion fish > ~/.config/fish/completions/jobkeep.fish

The script asks jobkeep itself, so that it fits every version. Ids, queues, locks, schedules and sessions are those of
the daemon that runs; none is started for that.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=tuple(SCRIPTS), metavar="|".join(SCRIPTS))


def run(context: Context, arguments: Options) -> int:
    script = SCRIPTS[arguments.shell]
    if arguments.json:
        context.print_json({"shell": arguments.shell, "script": script})
    else:
        context.print(script.removesuffix("\n"))
    return OK
