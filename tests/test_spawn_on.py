"""`node.spawn_on`: an engine of another node for the length of a block, and nothing of it afterwards (PROTOCOL W)."""

from __future__ import annotations

import pytest
import trio
from proxies import ID, Bench, Question, bench, introduce, outcome, virtual

from actors.engine import Engine, on
from actors.errors import Down, EngineNameError, Expired, Refused
from actors.identity import EngineID, NodeID
from actors.messages import Message, Request
from actors.net.keeping import Lend, Release
from actors.node import Node, open_node

LINKED = pytest.mark.parametrize("permanent", [False, True], ids=["ephemeral", "permanent"])


class Add(Request[int]):
    amount: int


class Leave(Message):
    """The engine stops itself."""


class Break(Message):
    """The engine crashes."""


class Adder(Engine):
    total: int = 0

    @on(Add)
    def add(self, msg: Add) -> int:
        self.total += msg.amount
        return self.total

    @on(Leave)
    def leave(self, _: Leave) -> None:
        self.stop()

    @on(Break)
    def fall(self, _: Break) -> None:
        raise ValueError("as told")


def lent(nodes: Bench, name: str = "b") -> list[str]:
    """The engines that run for others there."""
    return [engine for engine in nodes[name].runtime.directory if engine.startswith("adder")]


async def offering(nodes: Bench, *, permanent: bool = True, total: int = 0) -> None:
    if permanent:
        await nodes.link("a", "b")
    nodes["b"].offer(Adder(total=total), "adder")


async def until_it_is_down(node: Node, peer: NodeID, told: Message) -> None:
    """A block that ends by itself never; the engine is told something four times, which may be its end."""
    async with node.spawn_on(peer, "adder") as adder:
        for _ in range(4):
            await node.tell(adder, told)
        await trio.sleep_forever()


# -- the good case ----------------------------------------------------------------------------------------------


@virtual
@LINKED
async def test_an_engine_lives_as_long_as_its_block(permanent: bool) -> None:
    async with bench("a", "b") as nodes:
        await offering(nodes, permanent=permanent, total=5)
        async with nodes["a"].spawn_on(ID["b"], "adder") as adder:
            assert await nodes["a"].ask(adder, Add(1)) == 6
            await trio.sleep(1000)
            assert await nodes["a"].ask(adder, Add(1)) == 7
            assert lent(nodes) == [adder.name]
        assert lent(nodes) == []  # at once: who left the block knows that it is gone
        assert not nodes["b"]._network.loans._loans


@virtual
async def test_each_block_has_a_fresh_engine_of_its_own() -> None:
    async with bench("a", "b") as nodes:
        await offering(nodes)
        node = nodes["a"]
        async with node.spawn_on(ID["b"], Adder) as one, node.spawn_on(ID["b"], Adder) as other:
            assert one != other
            assert [await node.ask(one, Add(1)), await node.ask(other, Add(10))] == [1, 10]
        async with node.spawn_on(ID["b"], Adder) as third:
            assert third not in (one, other)
            assert await node.ask(third, Add(1)) == 1


@virtual
async def test_a_node_may_spawn_on_itself() -> None:
    async with bench("a") as nodes:
        nodes["a"].offer(Adder(), "adder")
        async with nodes["a"].spawn_on(ID["a"], "adder") as adder:
            assert await nodes["a"].ask(adder, Add(1)) == 1
            await trio.sleep(1000)
        assert lent(nodes, "a") == []


async def test_over_real_sockets() -> None:
    async with open_node() as a, open_node() as b:
        introduce(a, b)
        b.offer(Adder(), "adder")
        await a.connect(b.id)
        async with a.spawn_on(b.id, "adder") as adder:
            assert await a.ask(adder, Add(2)) == 2
            assert a.cut(b.id)
            assert await a.ask(adder, Add(2)) == 4  # over another connection
        assert b.runtime.find(adder.name) is None
        with pytest.raises(Down, match="stopped"):
            await until_it_is_down(a, b.id, Leave())


# -- what is refused --------------------------------------------------------------------------------------------


@virtual
async def test_only_what_is_offered_is_started_and_the_reason_is_in_words() -> None:
    async with bench("a", "b") as nodes:
        await offering(nodes)
        with pytest.raises(Refused, match=r"not_offered\): the app of node \w+ offers no engine 'sink'"):
            async with nodes["a"].spawn_on(ID["b"], "sink"):
                pytest.fail("it began")
        with pytest.raises(Refused, match="unknown_node"):
            async with nodes["a"].spawn_on(ID["h"], "adder"):
                pytest.fail("it began")
        assert nodes.running["a"].letters() == []  # there was nothing to give back


@virtual
async def test_a_refusal_that_the_block_itself_meets_ends_the_engine() -> None:
    async with bench("a", "b") as nodes:
        await offering(nodes)
        with pytest.raises(Refused, match="no_engine"):
            async with nodes["a"].spawn_on(ID["b"], "adder"):
                await nodes["a"].ask(nodes.to("b", "nobody"), Add(1))
        assert lent(nodes) == []


@virtual
async def test_engines_are_bounded_for_each_peer() -> None:
    async with bench("a", "b", "c") as nodes:
        await offering(nodes)
        nodes["b"]._network.loans._most_loans = 2
        node = nodes["a"]
        async with node.spawn_on(ID["b"], "adder"), node.spawn_on(ID["b"], "adder"):
            with pytest.raises(Refused, match=r"too_many\): node \w+ runs as many engines for this one as it allows"):
                async with node.spawn_on(ID["b"], "adder"):
                    pytest.fail("it began")
            async with nodes["c"].spawn_on(ID["b"], "adder"):  # others have room of their own
                assert len(lent(nodes)) == 3
        async with node.spawn_on(ID["b"], "adder"):
            assert len(lent(nodes)) == 1


@virtual
async def test_engines_that_have_ended_are_not_remembered_without_end() -> None:
    async with bench("a", "b") as nodes:
        await offering(nodes)
        keeper = EngineID(ID["b"], "router.keeper")
        for token in range(300):
            answer = await nodes["a"].ask(keeper, Lend("adder", token, 1000.0))
            await nodes["a"].ask(EngineID(ID["b"], answer.name), Leave())  # type: ignore[union-attr]
            await trio.sleep(0.01)
        assert lent(nodes) == []
        assert len(nodes["b"]._network.loans._loans[ID["a"]]) <= 128


@virtual
@pytest.mark.parametrize("within", [0.0, -1.0, float("nan"), float("inf")])
async def test_a_time_that_is_none_is_a_mistake(within: float) -> None:
    async with bench("a", "b") as nodes:
        with pytest.raises(ValueError, match="within is a number of seconds"):
            async with nodes["a"].spawn_on(ID["b"], "adder", within=within):
                pytest.fail("it began")
        with pytest.raises(ValueError, match="within is a number of seconds"):
            async with nodes["a"].watch(nodes.to("b"), within=within):
                pytest.fail("it began")


@virtual
async def test_mistakes_in_offers_are_told() -> None:
    async with bench("a") as nodes:
        nodes["a"].offer(Adder(), "adder")
        for name, why in (("adder", "offered already"), ("router", "reserved"), ("a b", "spaces"), ("x" * 190, "180")):
            with pytest.raises(EngineNameError, match=why):
                nodes["a"].offer(Adder(), name)


@virtual
async def test_a_node_that_cannot_be_reached_is_an_outcome() -> None:
    async with bench("a", "b") as nodes:
        nodes.wires.silent.add("b")
        with pytest.raises(Expired):
            async with nodes["a"].spawn_on(ID["b"], "adder", within=10):
                pytest.fail("it began")
        assert trio.current_time() == pytest.approx(10, abs=0.5)
        nodes.wires.silent.clear()
        await trio.sleep(100)


@virtual
async def test_nobody_can_end_or_prolong_what_runs_for_another() -> None:
    async with bench("a", "b", "c") as nodes:
        await offering(nodes)
        keeper = EngineID(ID["b"], "router.keeper")
        assert await nodes["a"].ask(keeper, Lend("adder", 7, 10.0)) == await nodes["a"].ask(
            keeper, Lend("adder", 7, 10.0)
        )
        await nodes["c"].ask(keeper, Release(7))
        assert len(lent(nodes)) == 1
        await nodes["c"].ask(keeper, Lend("adder", 7, 100.0))  # its own
        assert len(lent(nodes)) == 2
        await trio.sleep(11)
        assert len(lent(nodes)) == 1


@virtual
@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), 1e9])
async def test_a_lease_without_end_or_sense_is_refused(seconds: float) -> None:
    async with bench("a", "b") as nodes:
        await offering(nodes)
        refused = await outcome(lambda: nodes["a"].ask(EngineID(ID["b"], "router.keeper"), Lend("adder", 7, seconds)))
        assert isinstance(refused, Refused)
        assert refused.reason == "bad_message"
        assert lent(nodes) == []


# -- the end ----------------------------------------------------------------------------------------------------


@virtual
@pytest.mark.parametrize(("how", "reason"), [(Leave(), "stopped"), (Break(), "crashed")])
async def test_an_engine_that_ends_first_ends_its_block(how: Message, reason: str) -> None:
    async with bench("a", "b") as nodes:
        nodes.crashes_expected = True
        await offering(nodes)
        with pytest.raises(Down, match=reason):
            await until_it_is_down(nodes["a"], ID["b"], how)
        assert trio.current_time() < 1
        assert lent(nodes) == []
        assert not nodes["b"]._network.loans._loans


@virtual
@LINKED
async def test_it_outlives_connections_that_come_back(permanent: bool) -> None:
    async with bench("a", "b") as nodes:
        await offering(nodes, permanent=permanent)
        async with nodes["a"].spawn_on(ID["b"], "adder") as adder:
            for _ in range(10):
                await trio.sleep(5)
                nodes.wires.cut("a", "b")
            await trio.sleep(1)
            assert await nodes["a"].ask(adder, Add(1)) == 1
        assert lent(nodes) == []


@virtual
@LINKED
async def test_when_the_connection_does_not_come_back_both_sides_let_go_the_block_first(permanent: bool) -> None:
    async with bench("a", "b") as nodes:
        await offering(nodes, permanent=permanent)
        ended: list[str] = []

        async def block() -> None:
            with pytest.raises(Down, match="connection_lost"):
                async with nodes["a"].spawn_on(ID["b"], "adder", within=20):
                    await trio.sleep_forever()
            ended.append("block")

        nodes._nursery.start_soon(block)
        await nodes.until(lambda: lent(nodes))
        await trio.sleep(11)
        nodes.wires.silent |= {"a", "b"}
        for connection in nodes.wires.connections:
            connection.blackhole()
        broke = trio.current_time()
        await nodes.until(lambda: not lent(nodes))
        assert ended == ["block"]
        assert trio.current_time() - broke <= 25.1
        nodes.wires.silent.clear()


@virtual
@LINKED
async def test_nothing_runs_for_a_node_that_runs_anew(permanent: bool) -> None:
    async with bench("a", "b") as nodes:
        await offering(nodes, permanent=permanent)
        keeper = EngineID(ID["b"], "router.keeper")
        await nodes["a"].ask(keeper, Lend("adder", 7, 1000.0))
        await nodes.kill("a", silently=True)
        assert len(lent(nodes)) == 1
        await nodes.start("a")
        assert await nodes["a"].ask(nodes.to("b"), Question(1)) == -1
        assert lent(nodes) == []


@virtual
async def test_the_lease_of_a_node_that_is_gone_runs_out() -> None:
    async with bench("a", "b") as nodes:
        await offering(nodes)
        nodes._nursery.start_soon(_hold, nodes)
        await nodes.until(lambda: lent(nodes))
        await nodes.kill("a", silently=True)
        await trio.sleep(20)
        assert len(lent(nodes)) == 1
        await trio.sleep(30)
        assert lent(nodes) == []


async def _hold(nodes: Bench) -> None:
    with pytest.raises(Down):
        async with nodes["a"].spawn_on(ID["b"], "adder"):
            await trio.sleep_forever()


@virtual
@LINKED
async def test_a_cancelled_block_leaves_nothing(permanent: bool) -> None:
    async with bench("a", "b") as nodes:
        await offering(nodes, permanent=permanent)
        for seconds in (0.0, 0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008, 0.01, 0.02, 1.0):
            with trio.move_on_after(seconds):
                async with nodes["a"].spawn_on(ID["b"], "adder"):
                    await trio.sleep_forever()
            await trio.sleep(0.1)
            assert lent(nodes) == [], seconds
            assert not nodes["b"]._network.loans._loans


@virtual
async def test_what_a_block_raises_comes_out_as_it_is_and_the_engine_ends() -> None:
    async with bench("a", "b") as nodes:
        await offering(nodes)
        with pytest.raises(KeyError, match="mine"):
            async with nodes["a"].spawn_on(ID["b"], "adder"):
                raise KeyError("mine")
        assert lent(nodes) == []


@virtual
async def test_names_are_used_again_only_after_many_others() -> None:
    async with bench("a", "b") as nodes:
        await offering(nodes)
        keeper = EngineID(ID["b"], "router.keeper")
        names = []
        for token in range(1030):
            answer = await nodes["a"].ask(keeper, Lend("adder", token, 10.0))
            names.append(answer.name)  # type: ignore[union-attr]
            await nodes["a"].ask(keeper, Release(token))
        assert len(set(names)) == 1024
