"""The words of one command into its options: by the quick parser, and by argparse where that gives up."""

from __future__ import annotations

from jobkeep.cli.options import add_globals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from jobkeep.cli.options import Options
    from jobkeep.cli.parsers import CommandParser


def read(name: str, module: ModuleType | None, words: list[str], options: Options) -> None:
    """Read the options of one command (None: only the common ones) into `options`."""
    from jobkeep.cli.quick import QuickParser, Unusual

    # Words of `run` belong to its command from the first one on; elsewhere options may stand anywhere.
    in_order = getattr(module, "IN_ORDER", False)
    try:
        quick = QuickParser()
        _declare(quick, module)
        quick.parse(words, options, in_order)
    except Unusual:
        parser = full_parser(name, module)
        parse = parser.parse_args if in_order else parser.parse_intermixed_args
        parse(words, namespace=options)


def full_parser(name: str, module: ModuleType | None) -> CommandParser:
    """By argparse: it also knows how to help."""
    from jobkeep.cli.parsers import CommandParser

    parser = CommandParser(name, getattr(module, "__doc__", ""), getattr(module, "EXAMPLES", ""))
    _declare(parser, module)
    return parser


def _declare(parser: Any, module: ModuleType | None) -> None:
    if module is not None:
        module.add_arguments(parser)
    add_globals(parser, timeout=not getattr(module, "OWN_TIMEOUT", False))
