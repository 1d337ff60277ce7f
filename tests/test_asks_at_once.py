"""A lone ask of another node is handled by the task that brought it. Nobody may notice."""

from __future__ import annotations

import pytest
import trio
from proxies import bench, virtual

from actors.engine import Engine, on
from actors.errors import Crashed, Refused
from actors.events import EngineCrashed, EngineRestarted
from actors.identity import EngineID
from actors.messages import Message, Request, Started


class Add(Request[int]):
    amount: int


class Slowly(Request[int]):
    pass


class Note(Message):
    text: str


class Notes(Request[tuple[str, ...]]):
    pass


class Break(Request[int]):
    how: str


class Witness(Engine):
    """Remembers, and does everything that a handler can do."""

    friend: EngineID = EngineID(None, "friend")
    total: int = 0
    notes: tuple[str, ...] = ()
    task: object = None

    @on(Started)
    def started(self, _: Started) -> None:
        self.task = trio.lowlevel.current_task()

    @on(Add)
    def add(self, msg: Add) -> int:
        self.total += msg.amount
        return self.total if trio.lowlevel.current_task() is not self.task else -self.total

    @on(Slowly)
    async def slowly(self, _: Slowly) -> int:
        await trio.sleep(1)
        return 0

    @on(Note)
    def note(self, msg: Note) -> None:
        self.notes += (msg.text,)

    @on(Notes)
    def all_notes(self, _: Notes) -> tuple[str, ...]:
        return self.notes

    @on(Break)
    def break_(self, msg: Break) -> int:
        self.tell(self.friend, Note(f"never: {msg.how}"))
        if msg.how == "raise":
            raise ValueError("as told")
        if msg.how == "stop":
            self.effects.clear()
            self.tell(self.friend, Note("stopping"))
            self.stop()
            return 7
        return object()  # type: ignore[return-value]  # what cannot be encoded


@virtual
async def test_an_idle_engine_answers_in_the_readers_task_and_a_busy_one_in_its_own() -> None:
    async with bench("a", "b") as nodes:
        witness = nodes["b"].spawn(Witness(), "witness")
        await nodes.link("a", "b")
        assert await nodes["a"].ask(witness, Add(1)) == 1
        assert await nodes["a"].ask(witness, Add(2)) == 3
        async with trio.open_nursery() as nursery:
            nursery.start_soon(nodes["a"].ask, witness, Slowly())
            await trio.sleep(0.5)
            began = trio.current_time()
            assert await nodes["a"].ask(witness, Add(3)) == -6, "one message at a time"
            assert trio.current_time() - began > 0.4


@virtual
async def test_what_was_told_before_is_handled_before() -> None:
    async with bench("a", "b") as nodes:
        witness = nodes["b"].spawn(Witness(), "witness")
        await nodes.link("a", "b")
        for n in range(50):
            await nodes["a"].tell(witness, Note(str(n)))
            if n % 7 == 0:
                assert len(await nodes["a"].ask(witness, Notes())) == n + 1
        assert await nodes["a"].ask(witness, Notes()) == tuple(str(n) for n in range(50))


@pytest.mark.parametrize("how", ["raise", "unfit"])
@virtual
async def test_a_handler_that_fails_there_crashes_its_engine_and_nothing_else(how: str) -> None:
    async with bench("a", "b") as nodes:
        nodes.crashes_expected = True
        nodes["b"].spawn(Witness(), "friend")
        witness = nodes["b"].spawn(Witness(friend=EngineID(None, "friend")), "witness")
        await nodes.link("a", "b")
        assert await nodes["a"].ask(witness, Add(5)) == 5
        with pytest.raises(Crashed):
            await nodes["a"].ask(witness, Break(how))
        assert await nodes["a"].ask(witness, Add(1)) == 1, "a fresh copy"
        assert [event.tag for event in nodes.running["b"].events(EngineCrashed)] == ["break"]
        assert len(nodes.running["b"].events(EngineRestarted)) == 1
        assert await nodes["a"].ask(nodes.to("b", "friend"), Notes()) == (), "no effect of a handler that failed"
        proxy = nodes.proxy("a", "b")
        assert proxy is not None
        assert proxy.connections == 1


@virtual
async def test_effects_take_hold_before_the_answer() -> None:
    async with bench("a", "b") as nodes:
        friend = nodes["b"].spawn(Witness(), "friend")
        witness = nodes["b"].spawn(Witness(friend=EngineID(None, "friend")), "witness")
        await nodes.link("a", "b")
        assert await nodes["a"].ask(witness, Break("stop")) == 7
        assert await nodes["a"].ask(friend, Notes()) == ("stopping",)
        with pytest.raises(Refused, match=r"no_engine|stopped"):
            await nodes["a"].ask(witness, Add(1))
