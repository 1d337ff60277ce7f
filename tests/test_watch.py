"""`node.watch`: a block that ends with its engine, once, whatever became of it (PROTOCOL W)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from proxies import ID, Bench, Fail, Journal, Question, Sink, bench, virtual

from actors.config import Limits
from actors.engine import Engine, Policy, on
from actors.errors import Down, Refused
from actors.identity import EngineID
from actors.messages import Message


class Leave(Message):
    """The engine stops itself."""


class Guest(Engine):
    @on(Leave)
    def leave(self, _: Leave) -> None:
        self.stop()


class Watch:
    """A watch in a task of its own, over a block that goes on for ever."""

    def __init__(self) -> None:
        self.began = trio.Event()
        self.downs: list[Down] = []
        self.ended_at = 0.0
        self.scope = trio.CancelScope()

    async def run(self, nodes: Bench, name: str, engine: EngineID, within: float) -> None:
        with self.scope:
            try:
                async with nodes[name].watch(engine, within=within):
                    self.began.set()
                    await trio.sleep_forever()
            except Down as down:
                self.downs.append(down)
        self.ended_at = trio.current_time()

    @property
    def reasons(self) -> list[str]:
        return [down.reason for down in self.downs]


async def watching(nodes: Bench, engine: EngineID, *, by: str = "a", within: float = 30.0) -> Watch:
    watch = Watch()
    nodes._nursery.start_soon(watch.run, nodes, by, engine, within)
    await watch.began.wait()
    return watch


WHERE = pytest.mark.parametrize("where", ["a", "b"], ids=["local", "remote"])
LINKED = pytest.mark.parametrize("permanent", [False, True], ids=["ephemeral", "permanent"])


# -- why it ends ------------------------------------------------------------------------------------------------


@virtual
@WHERE
async def test_a_watch_ends_when_its_engine_stops(where: str) -> None:
    async with bench("a", "b") as nodes:
        guest = nodes[where].spawn(Guest(), "guest")
        watch = await watching(nodes, guest)
        await trio.sleep(1000)
        assert watch.reasons == []
        began = trio.current_time()
        await nodes["a"].tell(guest, Leave())
        await nodes.until(lambda: watch.reasons)
        assert watch.reasons == ["stopped"]
        assert watch.downs[0].engine == str(guest)
        assert watch.ended_at - began < 0.1


@virtual
@WHERE
async def test_a_watch_outlives_restarts_and_ends_with_the_last_crash(where: str) -> None:
    async with bench("a", "b") as nodes:
        nodes.crashes_expected = True
        sink = nodes[where].spawn(Sink(journal=Journal()), "brittle", policy=Policy(most=2, within=60))
        watch = await watching(nodes, sink)
        for crashes in range(3):
            assert watch.reasons == [], crashes
            await nodes["a"].tell(sink, Fail())
            await trio.sleep(0.5)
        assert watch.reasons == ["crashed"]


@virtual
@WHERE
async def test_an_engine_that_is_not_there_is_down_before_the_block_begins(where: str) -> None:
    async with bench("a", "b") as nodes:
        with pytest.raises(Down, match=r"nobody is down \(no_engine\)"):
            async with nodes["a"].watch(nodes.to(where, "nobody")):
                pytest.fail("it began")


@virtual
async def test_the_networks_own_engines_are_nobody_elses_business() -> None:
    async with bench("a", "b") as nodes:
        for name in ("router", "router.keeper", str(ID["a"])):
            with pytest.raises(Down, match="no_engine"):
                async with nodes["a"].watch(nodes.to("b", name)):
                    pytest.fail("it began")


@virtual
async def test_another_engine_that_gets_the_name_is_another_one() -> None:
    async with bench("a", "b") as nodes:
        guest = nodes["b"].spawn(Guest(), "guest")
        watch = await watching(nodes, guest)
        await nodes["b"].runtime.stop_engine("guest")
        nodes["b"].spawn(Guest(), "guest")
        await nodes.until(lambda: watch.reasons, within=0.1)
        assert watch.reasons == ["stopped"]
        second = await watching(nodes, guest)
        await trio.sleep(100)
        assert second.reasons == []
        second.scope.cancel()


@virtual
@LINKED
async def test_a_watch_outlives_connections_that_come_back(permanent: bool) -> None:
    async with bench("a", "b") as nodes:
        if permanent:
            await nodes.link("a", "b")
        watch = await watching(nodes, nodes.to("b"))
        for _ in range(5):
            await trio.sleep(7)
            nodes.wires.cut("a", "b")
        await trio.sleep(100)
        assert watch.reasons == []
        await nodes["b"].runtime.stop_engine("sink")
        await nodes.until(lambda: watch.reasons, within=0.1)
        assert watch.reasons == ["stopped"]


@virtual
@LINKED
async def test_an_engine_that_stops_while_the_connection_is_gone_is_down_for_what_it_did(permanent: bool) -> None:
    async with bench("a", "b") as nodes:
        if permanent:
            await nodes.link("a", "b")
        watch = await watching(nodes, nodes.to("b"))
        nodes.wires.refused |= {"a", "b"}
        nodes.wires.cut("a", "b")
        await nodes["b"].runtime.stop_engine("sink")
        nodes["b"].spawn(Guest(), "sink")
        await trio.sleep(1)
        assert watch.reasons == []
        nodes.wires.refused.clear()
        await nodes.until(lambda: watch.reasons)
        assert watch.reasons == ["stopped"]


@virtual
@LINKED
async def test_a_node_that_is_cancelled_says_so(permanent: bool) -> None:
    async with bench("a", "b") as nodes:
        if permanent:
            await nodes.link("a", "b")
        watch = await watching(nodes, nodes.to("b"))
        await trio.sleep(1)
        await nodes.kill("b")
        await nodes.until(lambda: watch.reasons, within=0.1)
        assert watch.reasons == ["node_stopped"]


@virtual
@LINKED
async def test_a_node_that_does_not_come_back_is_lost_in_time(permanent: bool) -> None:
    async with bench("a", "b") as nodes:
        if permanent:
            await nodes.link("a", "b")
        watch = await watching(nodes, nodes.to("b"), within=60)
        await trio.sleep(25)
        killed = trio.current_time()
        await nodes.kill("b", silently=True)
        await nodes.until(lambda: watch.reasons)
        assert watch.reasons == ["connection_lost"]
        assert 60 * 3 / 4 - 0.1 <= watch.ended_at - killed <= 60.1


@virtual
@LINKED
async def test_a_node_that_runs_anew_has_none_of_its_engines(permanent: bool) -> None:
    async with bench("a", "b") as nodes:
        if permanent:
            await nodes.link("a", "b")
        watch = await watching(nodes, nodes.to("b"))
        await nodes.kill("b", silently=True)
        await nodes.start("b")
        await nodes.until(lambda: watch.reasons)
        assert watch.reasons == ["peer_restarted"]
        assert trio.current_time() < 20


@virtual
@LINKED
async def test_a_node_that_stops_says_so(permanent: bool) -> None:
    async with bench("a", "b") as nodes:
        if permanent:
            await nodes.link("a", "b")
        watch = await watching(nodes, nodes.to("b"))
        local = await watching(nodes, nodes.to("b"), by="b")
        await trio.sleep(
            1
        )  # the question stands: what is not written when a node says that it stops waits for its next run
        await nodes.stop("b")
        assert trio.current_time() < 2
        assert watch.reasons == ["node_stopped"]
        assert local.reasons == ["node_stopped"]


@virtual
@WHERE
async def test_a_watch_ends_with_the_node_that_watches(where: str) -> None:
    async with bench("a", "b") as nodes:
        watch = await watching(nodes, nodes.to(where))
        await nodes.stop("a")
        assert watch.reasons == ["node_stopped"]


@virtual
async def test_a_node_that_cannot_be_reached_at_all_is_lost_and_an_unknown_one_refused() -> None:
    async with bench("a", "b") as nodes:
        nodes.wires.silent.add("b")
        with pytest.raises(Down, match="connection_lost"):
            async with nodes["a"].watch(nodes.to("b"), within=12):
                pytest.fail("it began")
        assert trio.current_time() == pytest.approx(12, abs=0.5)
        with pytest.raises(Refused, match="unknown_node"):
            async with nodes["a"].watch(EngineID(ID["h"], "sink")):
                pytest.fail("it began")


# -- the block --------------------------------------------------------------------------------------------------


async def _ends(nodes: Bench) -> None:
    await nodes["a"].ask(nodes.to("b"), Question(1))


async def _raises(nodes: Bench) -> None:
    raise KeyError("mine")


async def _raises_a_group(nodes: Bench) -> None:
    raise ExceptionGroup("mine", [KeyError("mine")])


@virtual
@WHERE
@pytest.mark.parametrize("body", [_ends, _raises, _raises_a_group])
async def test_a_block_that_ends_first_ends_as_it_does(where: str, body: Callable[[Bench], object]) -> None:
    async with bench("a", "b") as nodes:
        raised: BaseException | None = None
        try:
            async with nodes["a"].watch(nodes.to(where)) as engine:
                assert engine == nodes.to(where)
                await body(nodes)  # type: ignore[misc]
        except (KeyError, ExceptionGroup) as error:
            raised = error
        assert (raised is None) == (body is _ends)
        assert isinstance(raised, ExceptionGroup) == (body is _raises_a_group)
        await trio.sleep(0.1)
        assert not nodes["b"]._network.loans._watches  # nobody waits any more over there
        assert nodes["a"].runtime.statistics().asks == 0


@virtual
@WHERE
async def test_a_cancelled_watch_is_only_cancelled(where: str) -> None:
    async with bench("a", "b") as nodes:
        with trio.move_on_after(5) as scope:
            async with nodes["a"].watch(nodes.to(where)):
                await trio.sleep_forever()
        assert scope.cancelled_caught
        assert trio.current_time() == pytest.approx(5, abs=0.1)
        await trio.sleep(0.1)
        assert not nodes["b"]._network.loans._watches


@virtual
async def test_many_watch_one_and_each_is_told_once() -> None:
    async with bench("a", "b") as nodes:
        watches = [await watching(nodes, nodes.to("b")) for _ in range(50)]
        await nodes["b"].runtime.stop_engine("sink")
        await nodes.until(lambda: all(watch.reasons for watch in watches), within=0.1)
        await trio.sleep(100)
        assert [watch.reasons for watch in watches] == [["stopped"]] * 50


@virtual
async def test_watches_are_bounded_for_each_peer() -> None:
    async with bench("a", "b", "c", cfg=None, limits=Limits()) as nodes:
        nodes["b"]._network.loans._most_watches = 2
        watches = [await watching(nodes, nodes.to("b")) for _ in range(2)]
        with pytest.raises(Down, match="too_many"):
            async with nodes["a"].watch(nodes.to("b")):
                await trio.sleep_forever()
        other = await watching(nodes, nodes.to("b"), by="c")
        await trio.sleep(100)
        assert [watch.reasons for watch in (*watches, other)] == [[], [], []]
        for watch in (*watches, other):
            watch.scope.cancel()


@virtual
async def test_a_watched_link_is_not_closed_for_being_idle() -> None:
    async with bench("a", "b") as nodes:
        watch = await watching(nodes, nodes.to("b"), within=1500)
        await trio.sleep(5000)
        assert watch.reasons == []
        assert len(nodes.wires.dials) == 1
        watch.scope.cancel()


@virtual
async def test_a_node_that_nobody_watches_has_no_keeper() -> None:
    async with bench("a", "b") as nodes:
        assert await nodes["a"].ask(nodes.to("b"), Question(1)) == -1
        assert nodes["b"].runtime.find("router.keeper") is None
        async with nodes["a"].watch(nodes.to("b")):
            assert nodes["b"].runtime.find("router.keeper") is not None
