"""Reading command lines."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from jobkeep.cli.failures import UsageError
from jobkeep.cli.listing import names
from jobkeep.cli.options import Options, add_globals, closest, split
from jobkeep.cli.parsers import CommandParser
from jobkeep.cli.quick import QuickParser, Unusual

WORDS = [
    "a", "b1", "m:f", "k=1", "-d", "--detach", "--name", "--name=x", "--label", "l=1", "--json", "-q", "--", "-",
    "--state", "failed", "--since", "5m", "--limit", "3", "--all", "--timeout", "--any", "--force", "-f", "-n",
    "--run", "--reason", "--priority", "-5", "--color", "never", "--no-trunc", "--on-conflict", "return", "-nq",
    "--args", "{}", "start", "status", "--help", "", "--bogus", "--retries", "2", "--env", "--failed-items",
    "--stdout", "--stderr",
]  # fmt: skip


def command(name: str) -> ModuleType:
    return import_module(f"jobkeep.cli.commands.{name}")


def declare(parser: object, module: ModuleType) -> None:
    module.add_arguments(parser)
    add_globals(parser, timeout=not getattr(module, "OWN_TIMEOUT", False))  # type: ignore[arg-type]


@settings(max_examples=400, deadline=None)
@given(some.sampled_from(names()), some.lists(some.sampled_from(WORDS), max_size=7))
def test_the_quick_parser_reads_as_argparse_does(name: str, words: list[str]) -> None:
    """It either gives up or comes to the very result that argparse comes to."""
    module = command(name)
    in_order = getattr(module, "IN_ORDER", False)
    if "--" in words and not in_order:
        return  # see below: argparse loses its way there
    quick, slow = Options(), Options()
    try:
        parser = QuickParser()
        declare(parser, module)
        parser.parse(words, quick, in_order)
    except Unusual:
        return
    full = CommandParser(name)
    declare(full, module)
    (full.parse_args if in_order else full.parse_intermixed_args)(words, namespace=slow)

    assert vars(quick) == vars(slow)


@pytest.mark.parametrize(
    ("name", "words", "ids"),
    [("wait", ["a", "--", "-d"], ["a", "-d"]), ("watch", ["--"], []), ("recover", ["--"], None)],
)
def test_what_is_behind_two_dashes_is_no_option(name: str, words: list[str], ids: list[str] | None) -> None:
    """Whatever it begins with. A command that takes no words has none there either."""
    parser, options = QuickParser(), Options()
    declare(parser, command(name))
    if ids is None:
        with pytest.raises(Unusual):
            parser.parse(words, options, in_order=False)
    else:
        parser.parse(words, options, in_order=False)
        assert options.ids == ids


@pytest.mark.parametrize("name", names())
def test_every_command_can_be_read_without_argparse(name: str) -> None:
    """What they declare is what the quick parser knows."""
    declare(QuickParser(), command(name))


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ([], ([], None, [])),
        (["ls", "--json"], ([], "ls", ["--json"])),
        (["--json", "-q"], (["--json", "-q"], None, [])),
        (["--socket", "ls", "show", "a"], (["--socket", "ls"], "show", ["a"])),
        (["--socket=x", "ls"], (["--socket=x"], "ls", [])),
        (["--timeout", "3", "run", "-d", "x"], (["--timeout", "3"], "run", ["-d", "x"])),
        (["--help"], ([], "--help", [])),
    ],
)
def test_common_options_may_stand_before_the_command(
    line: list[str], parts: tuple[list[str], str | None, list[str]]
) -> None:
    """The command is the first word that is neither a common option nor the value of one."""
    assert split(line) == parts


def test_another_option_before_the_command_is_refused() -> None:
    """It names the closest common option."""
    with pytest.raises(UsageError) as caught:
        split(["--jsn", "ls"])

    assert caught.value.hint == "did you mean --json?"


def test_the_closest_word_is_found() -> None:
    """A typo finds its word, nonsense finds none."""
    assert closest("shwo", names()) == "show"
    assert closest("xyzzy", names()) is None
