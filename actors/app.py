"""A user's own code in a node process: found by its name, imported, and every mistake told in words.

What is imported is named by the node's own command line or file, never by the wire.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias, cast

from actors.engine import Engine
from actors.errors import ConfigError
from actors.messages.kinds import tag_of

if TYPE_CHECKING:
    from actors.node import Node

Setup: TypeAlias = "Callable[[Node], Awaitable[None] | None]"
"""What `app = "module:setup"` names; `def` or `async def`."""


class AppError(ConfigError):
    """The user's code cannot be imported, is not what it should be, or raised. Names the file and the line."""

    code = "app"

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


def load_setup(reference: str) -> Setup:
    """The function that `module:setup` names."""
    found = _load(reference)
    if not callable(found):
        raise AppError(f"app {reference!r}: it is {_kind(found)}, not a function", "write: def setup(node): ...")
    return cast("Setup", found)


def load_engine(reference: str) -> tuple[str, Engine]:
    """A fresh engine of the class that `module:Class` names, and the name to spawn it under: `Counter` -> `counter`."""
    found = _load(reference)
    if not (isinstance(found, type) and issubclass(found, Engine)):
        raise AppError(f"engine {reference!r}: it is {_kind(found)}, no Engine class", "write: class Counter(Engine)")
    try:
        return tag_of(found.__name__), found()
    except Exception as error:  # the user's own code, whatever it raises
        raise AppError(
            f"engine {reference!r} cannot be made without arguments: {told(error)}",
            "give every field a default, or spawn it in the app's setup",
        ) from None


def load_module(name: str) -> ModuleType:
    """The module of this name, from where the command was started, too."""
    return _import(name, name)


async def call_setup(reference: str, setup: Setup, node: Node) -> None:
    """Run the app's setup; AppError if it raises."""
    try:
        result = setup(node)
        if isawaitable(result):
            await result
    except Exception as error:  # the user's own code, whatever it raises
        raise AppError(f"app {reference!r}: setup raised {told(error)}{place(error)}", "mend it there") from None


def told(error: BaseException) -> str:
    """An exception on one line; of a group, the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def place(error: BaseException) -> str:
    """Where the user's code failed, as ` (file, line n)`: the innermost line that is neither ours nor Python's."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}, line {error.lineno})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_machinery(frame.filename)]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def _load(reference: str) -> object:
    module_name, _, name = reference.partition(":")
    if not (module_name and name):
        raise AppError(f"{reference!r} names nothing to import", "write module:name, such as myapp:setup")
    module = _import(reference, module_name)
    try:
        return getattr(module, name)
    except AttributeError:
        near = difflib.get_close_matches(name, [key for key in vars(module) if not key.startswith("_")], 1)
        hint = f"did you mean {module_name}:{near[0]}?" if near else f"define {name} there"
        raise AppError(f"{reference!r}: {module.__file__ or module_name} has no {name}", hint) from None


def _import(reference: str, module_name: str) -> ModuleType:
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise AppError(
                f"{reference!r}: there is no module {error.name}", f"start it where {error.name} lies; this is {here}"
            ) from None
        raise _broken(reference, error, "install it, or mend the import") from None
    except (Exception, SystemExit) as error:  # the user's own code, whatever it raises
        raise _broken(reference, error, "mend it there") from None


def _broken(reference: str, error: BaseException, hint: str) -> AppError:
    return AppError(f"{reference!r} cannot be imported: {told(error)}{place(error)}", hint)


_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep
_PYTHON = os.path.dirname(os.path.abspath(os.__file__)) + os.sep


def _is_machinery(filename: str) -> bool:
    return filename.startswith(("<", _OURS, _PYTHON))


def _kind(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"of type {type(value).__name__}"
