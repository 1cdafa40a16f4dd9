"""Reads ordinary command lines from the same declarations as argparse, in a tenth of the time.

Whatever is unusual or wrong is left to argparse: it knows all the rules, and words the error.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from jobkeep.cli.options import Options


class Unusual(Exception):
    """Ask argparse."""


class Argument:
    """One declaration."""

    def __init__(self, names: tuple[str, ...], given: dict[str, Any]) -> None:
        long = next((name for name in names if name.startswith("--")), names[0])
        self.dest: str = given.get("dest") or long.lstrip("-").replace("-", "_")
        self.action: str = given.get("action", "store")
        self.nargs: str | None = given.get("nargs")
        self.default: Any = given.get("default", False if self.action == "store_true" else None)
        self.const: Any = given.get("const", True)
        self.rivals: list[Argument] = []  # of which only one may be given, this one included
        self._type: Callable[[str], Any] | None = given.get("type")
        self._choices: Sequence[Any] | None = given.get("choices")

    def convert(self, text: str) -> Any:
        """The value of a word. Raises Unusual for one that is not allowed."""
        if self._type is not None:
            try:
                return self._type(text)
            except (ValueError, TypeError):
                raise Unusual from None
        if self._choices is not None and text not in self._choices:
            raise Unusual
        return text


class QuickParser:
    """The part of ArgumentParser's interface that commands declare themselves with."""

    def __init__(self) -> None:
        self.usage: str | None = None
        self._options: dict[str, Argument] = {}
        self._positional: list[Argument] = []

    def add_argument(self, *names: str, **given: Any) -> Argument:
        argument = Argument(names, given)
        if names[0].startswith("-"):
            self._options.update(dict.fromkeys(names, argument))
        else:
            self._positional.append(argument)
        return argument

    def add_argument_group(self, _title: str) -> QuickParser:
        return self

    def add_mutually_exclusive_group(self) -> Rivals:
        return Rivals(self)

    def parse(self, words: Sequence[str], options: Options, in_order: bool) -> None:
        """Fill `options`, all at once, or raise Unusual."""
        found: dict[str, Any] = {}
        given: list[Argument] = []
        rest: list[str] = []
        queue = list(reversed(words))
        while queue:
            word = queue.pop()
            if word == "--" and not in_order:  # all others are no options, whatever they begin with
                if not self._positional:
                    raise Unusual
                rest += reversed(queue)
                break
            if word[:1] == "-" and word not in ("-", "--"):
                self._option(word, queue, found, given)
            elif in_order:
                rest = [word, *reversed(queue)]
                break
            else:
                rest.append(word)
        self._assign(rest, found)
        for argument in (*self._options.values(), *self._positional):
            if argument.dest not in found and not hasattr(options, argument.dest):
                found[argument.dest] = argument.default
        for name, value in found.items():
            setattr(options, name, value)

    def _option(self, word: str, queue: list[str], found: dict[str, Any], given: list[Argument]) -> None:
        name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        argument = self._options.get(name)
        if argument is None or any(rival in given for rival in argument.rivals if rival is not argument):
            raise Unusual
        given.append(argument)
        if argument.action in ("store_true", "store_const"):
            if equals:
                raise Unusual
            found[argument.dest] = argument.const
            return
        if not equals:
            if not queue or queue[-1][:1] == "-":
                raise Unusual
            value = queue.pop()
        if argument.action == "append":
            found.setdefault(argument.dest, []).append(argument.convert(value))
        elif argument.action == "store":
            found[argument.dest] = argument.convert(value)
        else:
            raise Unusual

    def _assign(self, words: list[str], found: dict[str, Any]) -> None:
        for argument in self._positional:
            if argument.nargs is None:
                if not words:
                    raise Unusual
                found[argument.dest] = argument.convert(words.pop(0))
            elif argument.nargs == "?":
                found[argument.dest] = argument.convert(words.pop(0)) if words else argument.default
            else:
                if argument.nargs == "+" and not words:
                    raise Unusual
                found[argument.dest] = [argument.convert(word) for word in words]
                words = []
        if words:
            raise Unusual


class Rivals:
    """Options of which only one may be given."""

    def __init__(self, parser: QuickParser) -> None:
        self._parser = parser
        self._arguments: list[Argument] = []

    def add_argument(self, *names: str, **given: Any) -> None:
        argument = self._parser.add_argument(*names, **given)
        argument.rivals = self._arguments
        self._arguments.append(argument)
