"""Forget ended jobs, with their runs, failed items and output. The journal keeps what it has told."""

from __future__ import annotations

from jobkeep.cli.verbs import act, add_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from jobkeep.cli.context import Context
    from jobkeep.cli.options import Options

EXAMPLES = """\
examples:
  jobkeep rm 4f3a2b1c 9d8e7f6a
  jobkeep rm --all-matching --state succeeded --queue bulk
  jobkeep rm --all-matching --all --dry-run        how many have ended

A job that lives is not removed: jobkeep cancel ID ends it first. What depends on a removed job stays as it is."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser)


def run(context: Context, arguments: Options) -> int:
    return act(context, arguments, "Remove")
