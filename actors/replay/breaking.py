"""The debugger: before a message, at the first line of its handler; or where the handler crashed."""

from __future__ import annotations

import pdb
import sys
from collections.abc import Callable, Generator
from types import CoroutineType, TracebackType, coroutine
from typing import Any

from actors.engine import Engine


def call_stopped(action: Callable[[Any, Any], Any], engine: Engine, message: Any) -> Any:
    """Call the action; the debugger stops at its first line."""
    debugger = pdb.Pdb()
    value = action(engine, message) if _waits(action) else debugger.runcall(action, engine, message)
    return _awaited(value, debugger) if isinstance(value, CoroutineType) else value


def look_back(traceback: TracebackType | None) -> None:
    """The debugger, where the error was raised."""
    debugger = pdb.Pdb()
    debugger.reset()
    debugger.interaction(None, traceback)


def _waits(action: Callable[[Any, Any], Any]) -> bool:
    code = getattr(action, "__code__", None)
    return code is not None and bool(code.co_flags & 0x80)  # CO_COROUTINE


async def _awaited(handler: CoroutineType[Any, Any, Any], debugger: pdb.Pdb) -> Any:
    return await _stepped(handler, debugger)


@coroutine
def _stepped(handler: CoroutineType[Any, Any, Any], debugger: pdb.Pdb) -> Generator[Any, Any, Any]:
    """Awaits the handler; what it does between two waits is traced."""
    given, error = None, None
    step: Callable[[], Any] = lambda: debugger.runcall(handler.send, None)  # noqa: E731
    while True:
        try:
            waited_for = step()
        except StopIteration as end:
            return end.value
        finally:
            sys.settrace(None)
        try:
            given, error = (yield waited_for), None
        except BaseException as raised:
            given, error = None, raised
        step = _resumed(handler, debugger, given, error)


def _resumed(
    handler: CoroutineType[Any, Any, Any], debugger: pdb.Pdb, given: Any, error: BaseException | None
) -> Callable[[], Any]:
    def step() -> Any:
        debugger.quitting = False  # it took the wait for the end
        sys.settrace(debugger.trace_dispatch)
        return handler.send(given) if error is None else handler.throw(error)

    return step
