"""Whose code is running: which line of the user's, and for which engine of which node.

A frame is judged by its module. The user's are those that lie neither in the standard library, nor among the installed
packages, nor in this one; an installed package that defines engines is the user's, too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from inspect import getcoroutinelocals
from pathlib import Path
from types import FrameType, ModuleType
from typing import Final

import trio
from trio.lowlevel import Task

from actors.engine import Engine
from actors.identity import NodeID
from actors.runtime.cell import Cell
from actors.runtime.life import Life

OURS: Final = frozenset({"actors", "transports"})
BELOW: Final = frozenset({"cryptography", "msgspec", "outcome", "trio", "trio_websocket"})
"""What we stand on, wherever it lies."""
TOOLS: Final = frozenset({"_pytest", "coverage", "hypothesis", "logging", "pluggy", "pytest", "pytest_trio"})
"""What they do on behalf of others is their own affair."""
_BEGINNINGS: Final = frozenset({"trio._core._wakeup_socketpair"})
"""What Trio does to begin a run."""
_LIBRARY: Final = os.path.dirname(os.__file__) + os.sep


def is_users(frame: FrameType) -> bool:
    """Whether this frame runs code of the user's."""
    return belongs_to_user(frame.f_globals.get("__name__") or "", frame.f_code.co_filename)


@lru_cache(maxsize=1 << 14)
def belongs_to_user(module: str, file: str) -> bool:
    """Whether code of this module and file is the user's."""
    package = module.partition(".")[0]
    if package in OURS or package in BELOW or package in TOOLS:
        return False
    if "site-packages" in file or "dist-packages" in file:
        return package in _engine_packages
    if file.startswith("<"):  # of a dataclass, of eval(): it counts where its module does
        loaded = sys.modules.get(module)
        return module == "__main__" or is_users_module(loaded)
    return bool(file) and not file.startswith(_LIBRARY)


def is_users_module(module: ModuleType | None) -> bool:
    """As `belongs_to_user`; also for what else may stand in sys.modules."""
    known = getattr(module, "__dict__", {})
    return belongs_to_user(known.get("__name__") or "", known.get("__file__") or "")


_engine_packages: set[str] = set()
"""Those that define engines, when last looked at."""


def look_again() -> None:
    """More packages may define engines by now."""
    found = set(_packages_of(Engine))
    if found != _engine_packages:
        _engine_packages.update(found)
        belongs_to_user.cache_clear()


def _packages_of(engine: type[Engine]) -> Iterator[str]:
    for cls in engine.__subclasses__():
        yield cls.__module__.partition(".")[0]
        yield from _packages_of(cls)


def stack(frame: FrameType | None) -> Iterator[FrameType]:
    """From this frame outward, as far as the task reaches."""
    while frame is not None and not _is_scheduler(frame):
        yield frame
        frame = frame.f_back


def _is_scheduler(frame: FrameType) -> bool:
    return frame.f_code.co_name == "unrolled_run" and frame.f_globals.get("__name__") == "trio._core._run"


def is_exempt(frame: FrameType) -> bool:
    """Whether what this frame leads to is nobody's mistake."""
    module = frame.f_globals.get("__name__") or ""
    return module.partition(".")[0] in TOOLS or module in _BEGINNINGS


def in_words(frame: FrameType) -> str:
    """ "myapp.py line 12"."""
    while frame.f_code.co_filename.startswith("<") and frame.f_back and is_users(frame.f_back):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name} line {frame.f_lineno}"


def name_in_words(frame: FrameType) -> str:
    """The function, by the name under which it is public: "trio.open_tcp_stream". Empty for one that is not."""
    module, name = frame.f_globals.get("__name__") or "", frame.f_code.co_qualname
    if "<" in name or name.startswith("_") or module == "contextlib":
        return ""
    return ".".join([*(part for part in module.split(".") if not part.startswith("_")), name])


# -- engines ----------------------------------------------------------------------------------------------


def engine_here(frame: FrameType) -> Cell | Engine | None:
    """The engine for which this frame runs, in its handler, its port, or a task below them.

    By the frames first: a handler may run in the task that brought the message. An Engine, if no node runs it.
    """
    for each in stack(frame):
        own = each.f_code.co_varnames[0] if each.f_code.co_argcount else None
        engine = each.f_locals.get(own) if own else None
        if isinstance(engine, Engine):
            context = engine._context
            return context.cell if isinstance(context, Life) else engine
    return _cell_above(task_here())


def task_here() -> Task | None:
    """The Trio task that is running; None outside of one."""
    return trio.lowlevel.current_task() if trio.lowlevel.in_trio_task() else None


def _cell_above(task: Task | None) -> Cell | None:
    while task is not None:
        owner = getcoroutinelocals(task.coro).get("self") if hasattr(task.coro, "cr_frame") else None
        if isinstance(owner, Cell):
            return owner
        task = task.parent_nursery.parent_task if task.parent_nursery else None
    return None


def engine_in_words(engine: Cell | Engine, node: str) -> str:
    """ "engine counter (Counter) of node b"."""
    if isinstance(engine, Cell):
        return f"engine {engine.name} ({type(engine.pristine).__name__}) of node {node}"
    return f"engine {type(engine).__name__}, of no node,"


def node_of(engine: Cell | Engine) -> NodeID | None:
    """The node that runs it."""
    return engine.runtime.id if isinstance(engine, Cell) else None
