"""Commands of two words, such as `lock run`: the module of the first names its PARTS, each has a module of its own."""

from __future__ import annotations

from jobkeep.cli.failures import OK, UsageError
from jobkeep.cli.options import closest, split
from jobkeep.cli.reading import full_parser, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from jobkeep.cli.options import Options


def part_of(
    name: str, module: ModuleType, words: list[str], options: Options
) -> tuple[str, ModuleType, list[str]]:
    """Name and module of the part, and what is left of the words. Without a second word it is the first part."""
    head, part, rest = split(words)
    if part in ("-h", "--help"):
        full_parser(name, module).print_help()
        raise SystemExit(OK)
    if head:
        read("", None, head, options)
    parts = module.PARTS
    part = part or parts[0]
    if part not in parts:
        close = closest(part, parts)
        hint = f"did you mean jobkeep {name} {close}?" if close else f"jobkeep {name} {'|'.join(parts)}"
        raise UsageError(f"{name}: there is no {part!r}", hint)
    module_name = f"{name}_{part}".replace("-", "_")
    return f"{name} {part}", __import__(f"jobkeep.cli.commands.{module_name}", fromlist=["run"]), rest
