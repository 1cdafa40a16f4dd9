"""Command lines that go on with another program's: a name or two, options perhaps, and the command as it is."""

from __future__ import annotations

from jobkeep.cli import values
from jobkeep.cli.failures import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from jobkeep.cli.options import Options


def name_of(part: str, word: str, usage: str) -> str:
    """The word as a name. Raises UsageError."""
    try:
        return values.name(word)
    except values.BadValue as error:
        raise UsageError(f"{part}: {error}", usage) from None


def command_of(part: str, module: ModuleType, words: list[str], arguments: Options) -> list[str]:
    """What is behind the names: options of ours that come first go to `arguments`, the rest is the command."""
    if words and words[0][:1] == "-" and words[0] != "--":
        from jobkeep.cli.reading import read

        read(part, module, words, arguments)
        words = arguments.words
    return words[1:] if words[:1] == ["--"] else words
