"""Service nurseries: children outlive the body, whatever ends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from actors.runtime import ServiceNursery, open_service_nursery, unwrapped


class Recorder:
    """What ended, in order."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def service(self, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started("ready")
        try:
            await trio.sleep_forever()
        finally:
            self.log.append("service")

    async def use(self, seconds: float = 1.0) -> None:
        """A body whose cleanup takes a while."""
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(seconds)
            self.log.append("body")


async def test_cancelled_from_outside_the_children_end_after_the_body(autojump_clock: trio.testing.MockClock) -> None:
    seen = Recorder()
    with trio.move_on_after(1):
        async with open_service_nursery() as nursery:
            nursery.start_soon(seen.service)
            assert await nursery.start(seen.service) == "ready"
            await seen.use()
    assert seen.log == ["body", "service", "service"]


async def test_cancelling_its_own_scope_ends_the_body_first(autojump_clock: trio.testing.MockClock) -> None:
    seen = Recorder()
    async with open_service_nursery() as nursery:
        await nursery.start(seen.service)
        nursery.cancel_scope.cancel()
        await seen.use()
    assert seen.log == ["body", "service"]


async def test_an_exception_in_the_body_ends_the_children(autojump_clock: trio.testing.MockClock) -> None:
    seen = Recorder()
    with pytest.RaisesGroup(ValueError):
        async with open_service_nursery() as nursery:
            await nursery.start(seen.service)
            raise ValueError("body")
    assert seen.log == ["service"]


async def test_a_child_that_fails_ends_the_body_and_then_the_other_children(
    autojump_clock: trio.testing.MockClock,
) -> None:
    seen = Recorder()

    async def fail() -> None:
        await trio.sleep(1)
        raise ValueError("child")

    with pytest.RaisesGroup(ValueError):
        async with open_service_nursery() as nursery:
            await nursery.start(seen.service)
            nursery.start_soon(fail)
            await seen.use()
    assert seen.log == ["body", "service"]


async def test_leaving_the_block_waits_for_the_children(autojump_clock: trio.testing.MockClock) -> None:
    async with open_service_nursery() as nursery:
        nursery.start_soon(trio.sleep, 5)
        assert len(nursery.child_tasks) == 1
    assert trio.current_time() >= 5


async def test_a_child_started_during_the_cleanup_of_the_body_is_still_a_child(
    autojump_clock: trio.testing.MockClock,
) -> None:
    seen = Recorder()
    with trio.move_on_after(1):
        async with open_service_nursery() as nursery:
            try:
                await trio.sleep_forever()
            finally:
                nursery.start_soon(seen.service)
                with trio.CancelScope(shield=True):
                    await trio.sleep(1)
                seen.log.append("body")
    assert seen.log == ["body", "service"]


async def test_a_child_started_by_a_sibling_after_the_body_is_not_sheltered(
    autojump_clock: trio.testing.MockClock,
) -> None:
    seen = Recorder()

    async def starts_another(nursery: ServiceNursery) -> None:
        try:
            await trio.sleep_forever()
        finally:
            nursery.start_soon(seen.service)

    with trio.move_on_after(1):
        async with open_service_nursery() as nursery:
            nursery.start_soon(starts_another, nursery)
            await trio.sleep_forever()
    assert seen.log == ["service"]


async def test_until_it_has_started_a_child_belongs_to_its_starter(autojump_clock: trio.testing.MockClock) -> None:
    async def never_starts(*, task_status: trio.TaskStatus[None]) -> None:
        try:
            await trio.sleep_forever()
        finally:
            # Too late: the one who waits for the start has been cancelled. Sheltered now, it would never end.
            task_status.started()
            await trio.sleep(1000)

    async with open_service_nursery() as nursery:
        with trio.move_on_after(1) as scope:
            await nursery.start(never_starts)
        assert scope.cancelled_caught
        assert not nursery.child_tasks
        assert trio.current_time() == 1


async def blocks(body: Callable[[], Awaitable[object]], beside: Callable[[], Awaitable[object]]) -> None:
    """What `open_node` is to its users: nurseries that are nobody's business, with a body."""
    with unwrapped() as block:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(beside)
            await trio.testing.wait_all_tasks_blocked()
            with block:
                await body()


async def test_what_a_body_raises_comes_out_as_it_is_though_it_is_cancelled_in_that_moment() -> None:
    async def body() -> None:
        scope.cancel()
        raise KeyError("k")

    with trio.CancelScope() as scope, pytest.raises(KeyError):
        await blocks(body, trio.sleep_forever)


async def test_a_body_that_is_only_cancelled_raises_nothing() -> None:
    async def body() -> None:
        scope.cancel()
        await trio.sleep_forever()

    with trio.CancelScope() as scope:
        await blocks(body, trio.sleep_forever)
    assert scope.cancelled_caught


async def test_what_a_child_raises_beside_the_body_is_not_lost() -> None:
    async def body() -> None:
        raise KeyError("k")

    async def fails() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("v")

    with pytest.raises(ExceptionGroup) as raised:
        await blocks(body, fails)
    assert raised.group_contains(KeyError)
    assert raised.group_contains(ValueError)
