"""Finds the function a run names, and checks the arguments before it is called."""

from __future__ import annotations

import importlib
import inspect
import sys
import time
from collections.abc import Callable
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any, get_type_hints

import msgspec
from msgspec import Raw, Struct

from jobkeep.sdk.blocking import BlockingJobContext
from jobkeep.sdk.context import JobContext
from jobkeep.worker.sources import Sources

_CONTEXTS = {JobContext, BlockingJobContext, "JobContext", "BlockingJobContext"}
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class UnknownFunction(Exception):
    """There is no such function, or it cannot be called by name."""


class ModuleBroken(Exception):
    """The function's module cannot be imported; the cause says why."""


class Function(Struct, frozen=True):
    """A function as runs need it. `types` has only the parameters whose values can be checked."""

    call: Callable[..., Any]
    name: str
    is_async: bool
    wants_context: bool
    names: frozenset[str]
    required: tuple[str, ...]
    open_ended: bool  # takes any keyword
    types: dict[str, Any]

    def bind(self, arguments: Raw) -> dict[str, Any]:
        """The keyword arguments. Raises TypeError that names what is missing, unknown or of a wrong type."""
        given = _decode(arguments)
        if not self.open_ended and not given.keys() <= self.names:
            extra = ", ".join(repr(name) for name in sorted(given.keys() - self.names))
            raise TypeError(f"{self.name} takes no argument {extra}")
        for name in self.required:
            if name not in given:
                raise TypeError(f"{self.name} needs an argument {name!r}")
        for name, kind in self.types.items():
            if name in given:
                try:
                    given[name] = msgspec.convert(given[name], kind, dec_hook=_custom)
                except msgspec.ValidationError as error:
                    raise TypeError(f"argument {name!r} of {self.name}: {error}") from None
        return given


class Functions:
    """Functions by name, each looked up once."""

    def __init__(self, sources: Sources) -> None:
        self._known: dict[str, Function] = {}
        self._sources = sources

    def __contains__(self, name: str) -> bool:
        """It was looked up, with success."""
        return name in self._known

    def get(self, name: str) -> tuple[Function, bool]:
        """The function, and whether it was just looked up. Raises UnknownFunction, ModuleBroken."""
        if (known := self._known.get(name)) is not None:
            return known, False
        begin = time.time_ns()
        before = set(sys.modules)
        importlib.invalidate_caches()
        try:
            found = _find(name)
        except ModuleBroken as error:
            self._sources.forget_since(before, error.__cause__)
            raise
        finally:
            self._sources.notice(begin)
        function = self._known[name] = _describe(name, found)
        return function, True


def _find(name: str) -> Callable[..., Any]:
    module_name, _, qualname = name.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if module_name == missing or module_name.startswith(f"{missing}."):
            raise UnknownFunction(
                f"there is no module {missing!r} for {name!r}, "
                f"neither in the working directory {sys.path[0]} nor among what is installed"
            ) from None
        raise ModuleBroken(f"the module of {name!r} cannot be imported: {error}") from error
    except (Exception, SystemExit) as error:
        why = f"{type(error).__name__}: {error}"
        raise ModuleBroken(f"the module of {name!r} cannot be imported: {why}") from error
    for part in qualname.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise UnknownFunction(f"module {module_name!r} has no {qualname!r}") from None
    if not callable(found):
        raise UnknownFunction(f"{name!r} is a {type(found).__name__} and cannot be called")
    function: Callable[..., Any] = found
    return function


def _describe(name: str, function: Callable[..., Any]) -> Function:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # written in C: it checks its arguments itself
        return Function(function, name, False, False, frozenset(), (), True, {})
    hints = {parameter.name: _hint(function, parameter) for parameter in parameters}
    wants_context = bool(parameters) and _is_context(parameters[0], hints[parameters[0].name])
    if wants_context:
        del parameters[0]
    open_ended = False
    plain: list[inspect.Parameter] = []
    for parameter in parameters:
        if parameter.kind is parameter.VAR_KEYWORD:
            open_ended = True
        elif parameter.kind is parameter.POSITIONAL_ONLY:
            raise UnknownFunction(f"{name!r} has a parameter {parameter.name!r} that cannot be given by name")
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            plain.append(parameter)
    return Function(
        call=function,
        name=name,
        is_async=_is_async(function),
        wants_context=wants_context,
        names=frozenset(parameter.name for parameter in plain),
        required=tuple(parameter.name for parameter in plain if parameter.default is parameter.empty),
        open_ended=open_ended,
        types={
            parameter.name: hint
            for parameter in plain
            if (hint := hints[parameter.name]) is not Any and _checkable(hint)
        },
    )


def _is_async(function: Callable[..., Any]) -> bool:
    called = getattr(function, "__call__", None)  # noqa: B004 - an object may have an async __call__
    return inspect.iscoroutinefunction(inspect.unwrap(function)) or inspect.iscoroutinefunction(called)


def _hint(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """The parameter's type; its text where names are not known at run time; Any where there is none."""
    annotation = parameter.annotation
    if annotation is parameter.empty:
        return Any
    one = SimpleNamespace(__annotations__={"it": annotation})
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        return get_type_hints(one, globalns=scope, include_extras=True)["it"]
    except Exception:  # noqa: BLE001 - an annotation may be any expression; one that fails checks nothing
        return annotation


def _is_context(parameter: inspect.Parameter, hint: Any) -> bool:
    if isinstance(hint, str):
        hint = hint.rpartition(".")[2]
    return parameter.name == "ctx" or (isinstance(hint, str | type) and hint in _CONTEXTS)


def _checkable(hint: Any) -> bool:
    if isinstance(hint, str):
        return False
    try:
        msgspec.json.Decoder(hint)
    except (TypeError, ValueError, msgspec.MsgspecError):
        return False
    return True


def _custom(kind: type, value: Any) -> Any:
    if issubclass(kind, PurePath) and isinstance(value, str):
        return kind(value)
    raise msgspec.ValidationError(f"Expected `{kind.__name__}`, which no JSON value is")
