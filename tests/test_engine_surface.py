"""Engines without a runtime: state, behaviour, effects, lives."""

from __future__ import annotations

import functools
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from msgspec import Struct, field

from actors.engine import (
    CancelTimer,
    Context,
    Detached,
    Engine,
    EngineCfg,
    LocalCfg,
    MailboxStatistics,
    NoRuntimeError,
    Policy,
    SetTimer,
    Spawn,
    Stop,
    Tell,
    bind,
    fresh,
    has_port,
    on,
)
from actors.identity import EngineID, NodeKey
from actors.messages import EXPIRY, PREFS, Local, Message, Request, Started, Timer, TransportPrefs

NODE = NodeKey.from_seed(bytes(32)).id
ME = EngineID(NODE, "counter")
YOU = EngineID(NODE, "you")


class Add(Request[int]):
    amount: int


class Reset(Message): ...


class Tick(Timer): ...


class Opened(Local[None]): ...


class Limits(LocalCfg):
    most: int = 100


class Counter(Engine):
    limits: Limits = Limits()
    total: int = 0
    seen: list[int] = field(default_factory=list)

    @on(Started)
    def started(self, _: Started) -> None:
        self.set_timer(Tick(), after=60)

    def positive(self, msg: Add) -> bool:
        return 0 < msg.amount <= self.limits.most

    @on(Add, when=positive)
    def add(self, msg: Add) -> int:
        self.total += msg.amount
        self.seen.append(msg.amount)
        return self.total

    @on(Add)
    def decline(self, _: Add) -> int:
        return -1

    @on(Tick)
    async def tick(self, _: Tick) -> None:
        await self.send(self.sender, Reset())


def first(engine: Engine, msg: Request[Any]) -> Any:
    """What a runtime does with a message."""
    return next(action for when, action in engine.table[type(msg)] if when is None or when(engine, msg))(engine, msg)


# -- state --------------------------------------------------------------------------------------------------


def test_a_handler_can_be_called_without_a_runtime() -> None:
    assert Counter(total=3).add(Add(2)) == 5


def test_state_is_given_by_keyword_and_by_its_name_only() -> None:
    with pytest.raises(TypeError):
        Counter(Limits())  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Counter(totl=3)  # type: ignore[call-arg]


def test_misspelt_state_fails() -> None:
    with pytest.raises(AttributeError, match="totl"):
        Counter().totl = 5  # type: ignore[attr-defined]


def test_what_an_engine_keeps_for_itself_is_no_part_of_its_state() -> None:
    counter = Counter(total=3)
    assert Counter.__struct_fields__ == ("limits", "total", "seen")
    assert repr(counter) == "Counter(limits=Limits(most=100), total=3, seen=[])"


def test_engines_are_told_apart_even_when_their_state_is_equal() -> None:
    assert Counter() != Counter()
    assert len({Counter(), Counter()}) == 2


def test_an_empty_list_is_not_shared_between_engines() -> None:
    class Recorder(Engine):
        seen: list[int] = []  # noqa: RUF012 - what is tested

    one, other = Recorder(), Recorder()
    one.seen.append(1)
    assert other.seen == []


# -- configuration, environment, behaviour ------------------------------------------------------------------


def test_the_triple_of_the_specification_is_visible() -> None:
    counter = bind(Counter(total=3, limits=Limits(most=7)), Detached(id=ME))
    assert counter.cfg == EngineCfg(NODE, "counter", Limits(most=7))
    assert dict(counter.env.local_state) == {"total": 3, "seen": []}
    assert counter.env.mailbox == MailboxStatistics()
    assert counter.env.timers == ()
    assert counter.env.acquaintances == frozenset()
    assert [(g.message, g.name) for g in Counter.behaviour] == [
        (Started, "started"),
        (Add, "add"),
        (Add, "decline"),
        (Tick, "tick"),
    ]


def test_the_environment_cannot_be_changed_from_outside() -> None:
    env = Counter(total=3).env
    with pytest.raises(TypeError):
        env.local_state["total"] = 4  # type: ignore[index]


def test_an_engine_without_configuration_has_none() -> None:
    class Plain(Engine):
        total: int = 0

    assert Plain().cfg == EngineCfg(None, "", None)


def test_the_environment_comes_from_the_context() -> None:
    class Busy(Detached):
        def mailbox(self) -> MailboxStatistics:
            return MailboxStatistics(held=3, held_bytes=40, capacity=10, capacity_bytes=100)

        def timers(self) -> tuple[Timer, ...]:
            return (Tick(),)

        def acquaintances(self) -> frozenset[EngineID]:
            return frozenset({YOU})

    env = bind(Counter(), Busy()).env
    assert env.mailbox.held == 3
    assert env.timers == (Tick(),)
    assert env.acquaintances == {YOU}


def test_the_first_guard_that_holds_wins() -> None:
    counter = Counter()
    assert [first(counter, Add(n)) for n in (2, -2, 1000, 3)] == [2, -1, -1, 5]


def test_a_guard_tells_what_it_takes() -> None:
    assert repr(Counter.behaviour[1]) == "<Guard Add when positive: add>"
    assert repr(Counter.behaviour[2]) == "<Guard Add: decline>"


def test_only_what_may_cross_the_wire_is_a_wire_message() -> None:
    class Gate(Engine):
        @on(Opened)
        def opened(self, _: Opened) -> None: ...

        @on(Tick)
        def tick(self, _: Tick) -> None: ...

        @on(Reset)
        def reset(self, _: Reset) -> None: ...

    assert Gate.wire_messages == (Reset,)
    assert Counter.wire_messages == (Add,)


# -- inheritance --------------------------------------------------------------------------------------------


def test_a_subclass_comes_before_what_it_inherits() -> None:
    class Polite(Counter):
        @on(Reset)
        def reset(self, _: Reset) -> None: ...

        @on(Add, when=lambda self, msg: msg.amount == 13)
        def skip(self, _: Add) -> int:
            return 0

    assert [g.name for g in Polite.behaviour] == ["reset", "skip", "started", "add", "decline", "tick"]
    assert [first(Polite(), Add(n)) for n in (13, 12)] == [0, 12]


def test_an_action_is_replaced_by_its_name_in_its_place() -> None:
    class Double(Counter):
        factor: int = 2

        @on(Add)
        def decline(self, msg: Add) -> int:
            return super().decline(msg) * self.factor

    class Triple(Double):
        @on(Add)
        def decline(self, msg: Add) -> int:
            return super().decline(msg) + 1

    assert [g.name for g in Triple.behaviour] == ["started", "add", "decline", "tick"]
    assert [first(Double(), Add(n)) for n in (-1, 5)] == [-2, 5]
    assert [first(Triple(), Add(n)) for n in (-1, 5)] == [-1, 5]


def test_a_replacement_that_takes_all_ends_the_inherited_actions_behind_it() -> None:
    class Greedy(Counter):
        @on(Add)
        def add(self, msg: Add) -> int:
            return 7

    class Greedier(Greedy):
        pass

    assert [g.name for g in Greedy.behaviour] == ["started", "add", "tick"]
    assert Greedier.behaviour == Greedy.behaviour
    assert first(Greedier(), Add(-1)) == 7


def test_a_guard_is_replaced_by_its_name() -> None:
    class Lenient(Counter):
        def positive(self, msg: Add) -> bool:
            return True

    assert first(Lenient(), Add(-2)) == -2
    assert first(Counter(), Add(-2)) == -1


def test_actions_can_come_from_a_base_that_is_no_engine() -> None:
    class Greeting:
        __slots__ = ()

        @on(Reset)
        def greet(self, _: Reset) -> None:
            assert isinstance(self, Engine)
            self.tell(self.sender, Add(1))

    class Both(Greeting, Counter):
        pass

    both = Both(total=3)
    first(both, Reset())
    assert both.effects == [Tell(both.sender, Add(1))]
    assert first(both, Add(2)) == 5


def test_a_decorator_above_on_is_part_of_the_action() -> None:
    def doubled(action: Callable[[Any, Add], int]) -> Callable[[Any, Add], int]:
        @functools.wraps(action)
        def twice(self: Any, msg: Add) -> int:
            return 2 * action(self, msg)

        return twice

    class Twice(Engine):
        @doubled
        @on(Add)
        def add(self, msg: Add) -> int:
            return msg.amount

    assert first(Twice(), Add(3)) == 6


def test_an_engine_has_a_port_if_its_class_defines_one() -> None:
    class Gate(Engine):
        async def port(self) -> None: ...

    class Wide(Gate): ...

    assert [has_port(engine) for engine in (Gate(), Wide(), Counter())] == [True, True, False]


# -- effects ------------------------------------------------------------------------------------------------


def test_what_a_handler_asks_for_is_collected_in_order() -> None:
    counter = bind(Counter(), Detached(id=ME, sender=YOU))
    child = Counter(total=5)
    prefs = TransportPrefs(ordering="unordered")
    counter.tell(counter.sender, Reset())
    counter.tell(YOU, Add(1), prefs=prefs, expiry=2)
    spawned = counter.spawn(child, "kid", policy=Policy.TEMPORARY)
    counter.set_timer(Tick(), after=3)
    counter.cancel_timer(Tick())
    counter.stop()
    assert spawned == EngineID(NODE, "kid")
    assert counter.effects == [
        Tell(YOU, Reset(), PREFS, EXPIRY),
        Tell(YOU, Add(1), prefs, 2),
        Spawn(child, "kid", Policy.TEMPORARY),
        SetTimer(Tick(), 3),
        CancelTimer(Tick()),
        Stop(),
    ]


def test_an_action_without_a_runtime_leaves_its_effects_to_be_looked_at() -> None:
    counter = Counter()
    counter.started(Started())
    assert counter.effects == [SetTimer(Tick(), after=60)]
    assert Counter().effects == []


def test_the_scene_of_a_handler_can_be_set() -> None:
    counter = bind(Counter(), Detached(id=ME, sender=YOU, now=12.0))
    assert (counter.id, counter.sender, counter.now) == (ME, YOU, 12.0)
    assert Counter().id == EngineID(None, "")


@pytest.mark.parametrize(
    "verb",
    [
        lambda counter: counter.send(YOU, Reset()),
        lambda counter: counter.ask(YOU, Add(1)),
        lambda counter: counter.tick(Tick()),
    ],
)
async def test_waiting_for_others_without_a_runtime_is_an_error(verb: Callable[[Counter], Awaitable[Any]]) -> None:
    with pytest.raises(NoRuntimeError, match=r"cannot (send|ask) (Reset|Add): no runtime drives this engine"):
        await verb(Counter())


def test_posting_without_a_runtime_is_an_error() -> None:
    with pytest.raises(NoRuntimeError, match="cannot post Opened"):
        Counter().post(Opened())


async def test_verbs_that_wait_reach_the_context() -> None:
    class Answering(Detached):
        def __init__(self) -> None:
            super().__init__()
            self.heard: list[object] = []

        def post(self, msg: Local[object]) -> None:
            self.heard.append(msg)

        async def send(self, to: EngineID, msg: Request[object], prefs: TransportPrefs, expiry: float) -> None:
            self.heard.append((to, msg, prefs, expiry))

        async def ask(self, to: EngineID, msg: Request[Any], prefs: TransportPrefs, expiry: float) -> Any:
            self.heard.append((to, msg, prefs, expiry))
            return 42

    context = Answering()
    counter = bind(Counter(), context)
    counter.post(Opened())
    await counter.send(YOU, Reset(), expiry=1)
    assert await counter.ask(YOU, Add(1)) == 42
    assert context.heard == [Opened(), (YOU, Reset(), PREFS, 1), (YOU, Add(1), PREFS, EXPIRY)]


# -- lives --------------------------------------------------------------------------------------------------


class Notes(Struct):
    lines: list[str]


class Keeper(Engine):
    table_of: dict[str, list[int]] = field(default_factory=dict)
    counts: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    recent: deque[list[int]] = field(default_factory=deque)
    names: set[str] = field(default_factory=set)
    notes: Notes = field(default_factory=lambda: Notes([]))
    again: Notes | None = None
    pair: tuple[list[int], int] = field(default_factory=lambda: ([], 0))
    buffer: bytearray = bytearray()
    limits: Limits = Limits()
    channel: object = None
    child: Counter | None = None


def test_a_new_life_shares_no_mutable_state_with_what_was_spawned() -> None:
    pristine = Keeper(table_of={"a": [1]}, recent=deque([[1]], maxlen=3), child=Counter())
    life = fresh(pristine)
    life.table_of["a"].append(2)
    life.counts["a"] += 1
    life.recent[0].append(2)
    life.names.add("x")
    life.notes.lines.append("x")
    life.pair[0].append(1)
    life.buffer.extend(b"x")
    assert life.child is not None
    life.child.add(Add(1))
    expected = Keeper(table_of={"a": [1]}, recent=deque([[1]], maxlen=3), child=Counter())
    assert repr(pristine) == repr(expected)
    assert life.counts["b"] == 0
    assert life.recent.maxlen == 3


def test_a_new_life_shares_live_objects_and_frozen_records() -> None:
    channel = object()
    pristine = Keeper(channel=channel)
    life = fresh(pristine)
    assert life.channel is channel
    assert life.limits is pristine.limits


def test_what_is_one_object_stays_one() -> None:
    notes = Notes([])
    ring: list[Any] = []
    ring.append(ring)
    life = fresh(Keeper(notes=notes, again=notes, channel=ring))
    assert life.notes is life.again
    assert life.notes is not notes
    assert isinstance(life.channel, list)
    assert life.channel[0] is life.channel


def test_a_new_life_acts_on_its_own_context() -> None:
    pristine = Counter()
    context: Context = Detached(id=ME)
    life, other = fresh(pristine, context), fresh(pristine)
    life.stop()
    other.tell(YOU, Reset())
    assert context.effects == [Stop()]
    assert other.effects == [Tell(YOU, Reset())]
    assert pristine.effects == []
    nested = fresh(Keeper(child=pristine)).child
    assert nested is not None
    assert nested.effects == []


# -- policy -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "after_a_crash", "after_its_port_returned"),
    [(Policy.PERMANENT, True, True), (Policy.TRANSIENT, True, False), (Policy.TEMPORARY, False, False)],
)
def test_a_policy_says_when_an_engine_is_started_again(
    policy: Policy, after_a_crash: bool, after_its_port_returned: bool
) -> None:
    assert policy.restarts(crashed=True) is after_a_crash
    assert policy.restarts(crashed=False) is after_its_port_returned


def test_by_default_an_engine_is_restarted_three_times_in_five_seconds() -> None:
    assert Policy() == Policy.PERMANENT == Policy("permanent", most=3, within=5.0)
