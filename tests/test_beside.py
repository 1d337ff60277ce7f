"""Work that answers an ask beside its engine's other messages, for the network's own engines."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from proxies import bench, outcome, virtual

from actors.engine import Engine, on
from actors.errors import Crashed, Expired, Refused
from actors.events import EngineCrashed
from actors.messages import Request
from actors.runtime import Beside


class Later(Request[int]):
    """Answered with n after so many seconds; below zero the work raises."""

    n: int
    seconds: float


class Now(Request[int]):
    """Answered at once."""

    n: int


class Aside(Engine):
    @on(Later)
    async def later(self, msg: Later) -> int:
        return Beside(partial(self._later, msg))  # type: ignore[return-value]

    async def _later(self, msg: Later) -> int:
        await trio.sleep(abs(msg.seconds))
        if msg.seconds < 0:
            raise ValueError("as told")
        return msg.n

    @on(Now)
    def now_(self, msg: Now) -> int:
        return msg.n


WHERE = pytest.mark.parametrize("asker", ["a", "b"], ids=["local", "remote"])


@virtual
@WHERE
async def test_other_messages_are_handled_meanwhile_and_each_gets_its_own_answer(asker: str) -> None:
    async with bench("a", "b") as nodes:
        aside = nodes["a"].spawn(Aside(), "aside")
        asks = [nodes.sending(partial(nodes[asker].ask, aside, Later(n, 10.0 - n))) for n in range(8)]
        await trio.sleep(0.1)
        assert await nodes[asker].ask(aside, Now(5)) == 5
        assert trio.current_time() < 0.2
        assert [await one.wait() for one in asks] == list(range(8))
        assert trio.current_time() == pytest.approx(10, abs=0.1)


@virtual
@WHERE
async def test_work_ends_when_its_ask_is_withdrawn_or_its_time_is_over(asker: str) -> None:
    async with bench("a", "b") as nodes:
        aside = nodes["a"].spawn(Aside(), "aside")
        cell = nodes["a"].runtime.find("aside")
        assert cell is not None
        asking = nodes.sending(partial(nodes[asker].ask, aside, Later(1, 100.0)))
        await trio.sleep(1)
        assert cell._life is not None
        assert len(cell._life.nursery.child_tasks) == 1
        await asking.cancel()
        await trio.sleep(0.01)
        assert not cell._life.nursery.child_tasks
        expired = await outcome(partial(nodes[asker].ask, aside, Later(2, 100.0), expiry=2))
        assert isinstance(expired, Expired)
        await trio.sleep(0.1)
        assert not cell._life.nursery.child_tasks
        besides = cell._loop._besides
        assert besides is not None
        assert len(besides) == 0


@virtual
@WHERE
async def test_work_that_raises_is_a_crash_and_the_rest_is_told_that_its_engine_ended(asker: str) -> None:
    async with bench("a", "b") as nodes:
        nodes.crashes_expected = True
        aside = nodes["a"].spawn(Aside(), "aside")
        other = nodes.sending(partial(nodes[asker].ask, aside, Later(1, 100.0)))
        crashed = await outcome(partial(nodes[asker].ask, aside, Later(2, -1.0)))
        assert isinstance(crashed, Crashed)
        refused = await other.wait()
        assert isinstance(refused, Refused)
        assert refused.reason == "stopped"
        assert len(nodes.running["a"].events(EngineCrashed)) == 1
        assert await nodes[asker].ask(aside, Now(3)) == 3  # in its next life


@virtual
@WHERE
async def test_work_ends_with_its_engine(asker: str) -> None:
    async with bench("a", "b") as nodes:
        aside = nodes["a"].spawn(Aside(), "aside")
        asking = nodes.sending(partial(nodes[asker].ask, aside, Later(1, 100.0)))
        await trio.sleep(1)
        await nodes["a"].runtime.stop_engine("aside")
        refused = await asking.wait()
        assert isinstance(refused, Refused)
        assert refused.reason == "stopped"
        assert trio.current_time() < 1.1


@virtual
async def test_a_tell_begins_no_work() -> None:
    async with bench("a", "b") as nodes:
        aside = nodes["a"].spawn(Aside(), "aside")
        await nodes["b"].tell(aside, Later(1, 0.1))
        await trio.sleep(1)
        assert await nodes["b"].ask(aside, Now(3)) == 3
