"""A nursery for services: its children outlive the body that uses them, whatever ends the body."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any

import trio


class ServiceNursery:
    """What `open_service_nursery` gives: `start_soon`, `start` and `cancel_scope`, as a nursery has them.

    `cancel_scope.cancel()` reaches the body at once and the children once the body has ended.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._scopes: set[trio.CancelScope] = set()
        self._serving = True

    @property
    def cancel_scope(self) -> trio.CancelScope:
        return self._nursery.cancel_scope

    @property
    def child_tasks(self) -> frozenset[trio.lowlevel.Task]:
        return self._nursery.child_tasks

    def start_soon(self, fn: Callable[..., Awaitable[object]], *args: object, name: object = None) -> None:
        """As Nursery.start_soon."""
        self._nursery.start_soon(self._sheltered, fn, args, name=name or fn)

    async def start(self, fn: Callable[..., Awaitable[object]], *args: object, name: object = None) -> Any:
        """As Nursery.start. Until the child has called `started()` it belongs to the caller, then it is sheltered."""

        async def begin(*, task_status: trio.TaskStatus[Any]) -> None:
            with trio.CancelScope() as scope:
                try:
                    await fn(*args, task_status=_Sheltering(self, scope, task_status))
                finally:
                    self._scopes.discard(scope)

        return await self._nursery.start(begin, name=name or fn)

    async def _sheltered(self, fn: Callable[..., Awaitable[object]], args: tuple[object, ...]) -> None:
        with trio.CancelScope() as scope:
            self._shelter(scope)
            try:
                await fn(*args)
            finally:
                self._scopes.discard(scope)

    def _shelter(self, scope: trio.CancelScope) -> None:
        scope.shield = self._serving
        self._scopes.add(scope)

    def _end(self) -> None:
        """The body has ended: from here on the children are a nursery's children like any other."""
        self._serving = False
        for scope in self._scopes:
            scope.shield = False


class _Sheltering:
    """A task_status that shelters its task the moment it has started."""

    def __init__(self, nursery: ServiceNursery, scope: trio.CancelScope, status: trio.TaskStatus[Any]) -> None:
        self._nursery = nursery
        self._scope = scope
        self._status = status
        self._task = trio.lowlevel.current_task()

    def started(self, value: object = None) -> None:
        self._status.started(value)
        if self._task.parent_nursery is self._nursery._nursery:
            # Else the caller of start() was cancelled, and the child still belongs to it.
            self._nursery._shelter(self._scope)


@asynccontextmanager
async def open_service_nursery() -> AsyncIterator[ServiceNursery]:
    """A nursery whose children are cancelled only after the body has ended, even when cancelled from outside.

    A plain nursery cancels its body and its children at the same moment: cleanup in the body then finds the
    service gone. As with a plain nursery, leaving the block waits for the children; cancel `cancel_scope` to
    end them.
    """
    async with trio.open_nursery() as nursery:
        service = ServiceNursery(nursery)
        try:
            yield service
        finally:
            service._end()


class _Body(AbstractContextManager[None]):
    """Notes what the body of a block raised."""

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.error = error


@contextmanager
def unwrapped() -> Iterator[_Body]:
    """`with unwrapped() as body: async with nurseries: with body: yield`: what the body raises comes out as it is.

    That there are nurseries around it is nobody's business. If anything but Cancelled was raised too, the group is.
    """
    body = _Body()
    try:
        yield body
    except BaseExceptionGroup as group:
        _, raised = group.split(trio.Cancelled)  # a block that is cancelled as well has still raised
        if not (_is_only(body.error, group) or _is_only(body.error, raised)):
            raise
    if body.error is not None:
        raise body.error from body.error.__cause__  # not "during handling of" the group


def _is_only(error: BaseException | None, inner: BaseException | None) -> bool:
    """Whether it is all that there is, in however many groups."""
    while isinstance(inner, BaseExceptionGroup) and len(inner.exceptions) == 1 and not _same(inner, error):
        inner = inner.exceptions[0]
    return inner is not None and _same(inner, error)


def _same(one: BaseException, other: BaseException | None) -> bool:
    """Trio copies groups on their way out."""
    if isinstance(one, BaseExceptionGroup) and isinstance(other, BaseExceptionGroup):
        return one.exceptions == other.exceptions
    return one is other
