"""Asks between nodes: every way in which one can end, and what becomes of its handler (PROTOCOL Q, S13)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from proxies import ID, Bench, Fail, Item, Mute, Question, Wait, bench, mute, outcome, virtual

from actors.config import Limits
from actors.engine import Engine, on
from actors.errors import Crashed, Expired, Lost, Refused
from actors.events import Disconnected, EngineCrashed
from actors.identity import EngineID
from actors.messages import Request
from actors.net.network import NetworkCfg
from actors.net.session.delivery import _Door


class Strange(Request[int]):
    """What a Sink has no action for."""


class Shouted(Request[int], tag="question"):
    """What a Question is called, with another idea of what it holds."""

    n: str


class Ask(Request[str]):
    """Ask somebody else, and tell what it came to."""

    to: EngineID
    seconds: float
    expiry: float


class Asker(Engine):
    """An engine that asks other nodes."""

    @on(Ask)
    async def ask_them(self, msg: Ask) -> str:
        return await self.ask(msg.to, Wait(0, msg.seconds), expiry=msg.expiry)


# -- outcomes ---------------------------------------------------------------------------------------------------


@virtual
async def test_an_ask_is_answered() -> None:
    async with bench("a", "b") as nodes:
        assert await nodes["a"].ask(nodes.to("b"), Question(7)) == -7
        assert await nodes["b"].ask(nodes.to("a"), Question(8)) == -8
        assert await nodes["a"].ask(nodes.to("b"), Wait(1, 2.0)) == "waited for 1"
        await nodes["a"].ask(nodes.to("b"), Item(2))  # answered with nothing, once it is handled


@virtual
@pytest.mark.parametrize(
    ("engine", "question", "reason"),
    [
        ("nobody", Question(1), "no_engine"),
        ("sink", Mute(), "unhandled"),
        ("sink", Strange(), "bad_message"),
        ("sink", Shouted("one"), "bad_message"),
    ],
    ids=["no engine", "no guard holds", "an unknown message", "a message of another shape"],
)
async def test_an_ask_that_nobody_can_answer_is_refused_at_once(
    engine: str, question: Request[int], reason: str
) -> None:
    async with bench("a", "b") as nodes:
        refused = await outcome(lambda: nodes["a"].ask(nodes.to("b", engine), question))
        assert isinstance(refused, Refused)
        assert refused.reason == reason
        assert trio.current_time() < 0.1
        assert await nodes["a"].ask(nodes.to("b"), Question(1)) == -1  # the link goes on


@virtual
async def test_an_ask_whose_handler_raises_is_told_so_and_no_more() -> None:
    async with bench("a", "b") as nodes:
        nodes.crashes_expected = True
        crashed = await outcome(lambda: nodes["a"].ask(nodes.to("b"), Fail()))
        assert isinstance(crashed, Crashed)
        assert crashed.detail == ""
        assert len(nodes.running["b"].events(EngineCrashed)) == 1
        assert await nodes["a"].ask(nodes.to("b"), Question(1)) == -1


@virtual
async def test_asks_of_an_engine_that_is_stopped_are_refused() -> None:
    async with bench("a", "b") as nodes:
        asking = [nodes.sending(lambda n=n: nodes["a"].ask(nodes.to("b"), Wait(n, 10.0))) for n in (0, 1)]  # type: ignore[misc]
        await nodes.until(lambda: len(nodes.journal("b").began) == 1)
        await nodes["b"].runtime.stop_engine("sink")
        for one in asking:
            refused = await one.wait()
            assert isinstance(refused, Refused)
            assert refused.reason == "stopped"


@virtual
async def test_an_ask_expires_and_its_handler_with_it() -> None:
    async with bench("a", "b") as nodes:
        expired = await outcome(lambda: nodes["a"].ask(nodes.to("b"), Wait(0, 10.0), expiry=3))
        assert isinstance(expired, Expired)
        assert expired.maybe_sent
        assert trio.current_time() == pytest.approx(3, abs=0.1)
        await trio.sleep(0.1)
        assert nodes.journal("b").ended == [(0, "cancelled")]


@virtual
async def test_a_lost_ephemeral_connection_ends_its_asks_at_once() -> None:
    async with bench("a", "b") as nodes:
        asking = nodes.sending(lambda: nodes["a"].ask(nodes.to("b"), Wait(0, 10.0)))
        await nodes.until(lambda: nodes.journal("b").began == [0])
        nodes.wires.cut("a", "b")
        lost = await asking.wait()
        assert isinstance(lost, Lost)
        assert (lost.reason, lost.maybe_processed) == ("connection_lost", True)
        assert trio.current_time() < 0.1
        await trio.sleep(20)
        assert len(nodes.wires.dials) == 1  # nobody waits for the answer: it is no reason to dial


@virtual
async def test_an_ask_over_a_permanent_link_survives_breaks() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        asking = nodes.sending(lambda: nodes["a"].ask(nodes.to("b"), Wait(0, 5.0)))
        await nodes.until(lambda: nodes.journal("b").began == [0])
        for _ in range(3):
            await nodes.reconnect("a", "b")
        assert await asking.wait() == "waited for 0"
        assert trio.current_time() == pytest.approx(5, abs=0.1)


@virtual
async def test_an_answer_finds_its_way_though_the_proxy_that_brought_the_question_has_ended() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        asking = nodes.sending(lambda: nodes["a"].ask(nodes.to("b"), Wait(0, 1.0)))
        await nodes.until(lambda: nodes.journal("b").began == [0])
        nodes.wires.refused.add("b")  # a cannot dial b again
        nodes.wires.cut("a", "b")
        assert await asking.wait() == "waited for 0"  # but b dials a, for a waits for the answer
        assert nodes.wires.dialed("b") != []


@virtual
async def test_an_ask_keeps_its_place_among_tells() -> None:
    async with bench("a", "b") as nodes:
        for n in range(0, 300, 3):
            await nodes["a"].tell(nodes.to("b"), Item(n))
            await nodes["a"].tell(nodes.to("b"), Item(n + 1))
            assert await nodes["a"].ask(nodes.to("b"), Question(n + 2)) == -n - 2
        assert nodes.journal("b").numbers() == list(range(300))


# -- cancelling -------------------------------------------------------------------------------------------------


@virtual
async def test_cancelling_an_ask_cancels_its_handler_on_the_other_node() -> None:
    async with bench("a", "b") as nodes:
        asking = nodes.sending(lambda: nodes["a"].ask(nodes.to("b"), Wait(0, 10.0)))
        await nodes.until(lambda: nodes.journal("b").began == [0])
        await asking.cancel()
        await nodes.until(lambda: nodes.journal("b").ended == [(0, "cancelled")], within=0.01)
        assert await nodes["a"].ask(nodes.to("b"), Question(1)) == -1


@virtual
async def test_cancelling_an_ask_that_waits_for_its_turn_takes_it_out() -> None:
    async with bench("a", "b") as nodes:
        asking = [nodes.sending(lambda n=n: nodes["a"].ask(nodes.to("b"), Wait(n, 1.0))) for n in range(3)]  # type: ignore[misc]
        await nodes.until(lambda: len(nodes.journal("b").began) == 1)
        (first,) = nodes.journal("b").began
        second, third = (n for n in range(3) if n != first)
        await asking[second].cancel()
        assert await asking[third].wait() == f"waited for {third}"
        assert nodes.journal("b").began == [first, third]


@virtual
async def test_cancelling_an_ask_that_was_never_written_leaves_no_trace() -> None:
    async with bench("a", "b") as nodes:
        nodes.wires.silent.add("b")
        asking = nodes.sending(lambda: nodes["a"].ask(nodes.to("b"), Question(0)))
        await trio.sleep(1)
        await asking.cancel()
        await trio.sleep(0.1)
        assert nodes.state("a", "b") == "none"  # there was nothing else to connect for
        nodes.wires.silent.clear()
        assert await nodes["a"].ask(nodes.to("b"), Question(1)) == -1
        assert nodes.journal("b").numbers() == [1]
        assert nodes.ledger("a").expired == 1


@virtual
async def test_asks_that_are_given_up_on_their_way_to_the_wire_are_forgotten() -> None:
    # Behind tells that nobody has forwarded yet, an ask lies in a channel; it must not come back from there.
    async with bench("a", "b") as nodes:
        nodes.wires.silent.add("b")
        for n in range(10):
            await nodes["a"].tell(nodes.to("b"), Item(n), expiry=2)
            with trio.move_on_after(0):
                await nodes["a"].ask(nodes.to("b"), Question(99), expiry=1)
        await trio.sleep(10)
        ledger = nodes.ledger("a")
        assert ledger.in_flight == 0
        assert nodes.state("a", "b") == "none"


@virtual
async def test_a_cancel_reaches_the_handler_through_another_connection_and_another_proxy() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        asking = nodes.sending(lambda: nodes["a"].ask(nodes.to("b"), Wait(0, 10.0)))
        await nodes.until(lambda: nodes.journal("b").began == [0])
        await nodes.reconnect("a", "b")
        await asking.cancel()
        await nodes.until(lambda: nodes.journal("b").ended == [(0, "cancelled")], within=0.05)


@virtual
async def test_a_cancel_that_was_cut_off_is_sent_again() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        asking = nodes.sending(lambda: nodes["a"].ask(nodes.to("b"), Wait(0, 20.0)))
        await nodes.until(lambda: nodes.journal("b").began == [0])
        mute(nodes.wires.only("a", "b"), "a")
        await asking.cancel()
        await trio.sleep(1)
        assert nodes.journal("b").ended == []
        await nodes.reconnect("a", "b")
        await nodes.until(lambda: nodes.journal("b").ended == [(0, "cancelled")], within=0.1)


@virtual
async def test_a_cancel_does_not_wait_behind_asks_for_which_there_is_no_room() -> None:
    async with bench("a", "b", limits=Limits(mailbox_messages=4)) as nodes:
        await nodes.link("a", "b")
        asking = nodes.sending(lambda: nodes["a"].ask(nodes.to("b"), Wait(0, 1000.0), expiry=2000))
        await nodes.until(lambda: nodes.journal("b").began == [0])
        for n in range(1, 100):
            nodes.sending(lambda n=n: nodes["a"].ask(nodes.to("b"), Wait(n, 0.0), expiry=2000))  # type: ignore[misc]
        await trio.sleep(1)
        assert nodes.ledger("a").in_flight > 0  # most of them have no room over there
        await asking.cancel()
        await nodes.until(lambda: nodes.journal("b").ended[:1] == [(0, "cancelled")], within=0.01)
        await nodes.until(lambda: len(nodes.journal("b").ended) == 100)


@virtual
async def test_a_cancel_lasts_as_long_as_its_ask() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        asking = nodes.sending(lambda: nodes["a"].ask(nodes.to("b"), Wait(0, 3000.0), expiry=5000))
        await nodes.until(lambda: nodes.journal("b").began == [0])
        nodes.wires.refused |= {"a", "b"}
        nodes.wires.cut("a", "b")
        await asking.cancel()
        await trio.sleep(600)
        nodes.wires.refused.clear()
        await nodes.until(lambda: nodes.journal("b").ended == [(0, "cancelled")], within=60)


@virtual
async def test_nothing_is_kept_of_asks_that_were_withdrawn() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        for n in range(100):
            with trio.move_on_after(0.1):
                await nodes["a"].ask(nodes.to("b"), Wait(n, 10.0))
        await nodes.until(lambda: len(nodes.journal("b").ended) == 100)
        session = nodes["b"]._network.table.find(ID["a"]).session  # type: ignore[union-attr]
        assert session is not None
        door = session._engines.find("sink")
        assert isinstance(door, _Door)
        assert door._origin is not None
        assert door._origin._deadlines == {}


@virtual
async def test_an_answer_whose_time_is_over_is_not_sent() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        nodes.sending(lambda: nodes["a"].ask(nodes.to("b"), Wait(0, 2.0)))
        await nodes.until(lambda: nodes.journal("b").began == [0])
        behind = nodes.sending(lambda: nodes["a"].ask(nodes.to("b"), Question(1), expiry=1))
        await trio.sleep(0.1)
        mute(nodes.wires.only("a", "b"), "a")  # the cancel does not reach b
        assert isinstance(await behind.wait(), Expired)
        await nodes.until(lambda: nodes.journal("b").numbers() == [1])
        await trio.sleep(0.1)
        assert nodes.ledger("b").expired == 1
        assert nodes.running["a"].events(Disconnected) == []


@virtual
async def test_an_ask_of_an_engine_ends_with_its_askers_time() -> None:
    async with bench("a", "b", "c") as nodes:
        asker = nodes["b"].spawn(Asker(), "asker")
        assert await nodes["a"].ask(asker, Ask(nodes.to("c"), 1.0, 30.0)) == "waited for 0"
        expired = await outcome(lambda: nodes["a"].ask(asker, Ask(nodes.to("c"), 20.0, 30.0), expiry=3))
        assert isinstance(expired, Expired)
        await trio.sleep(0.1)
        assert nodes.journal("c").ended == [(0, "done"), (0, "cancelled")]  # and so did what it had asked itself
        assert nodes["b"].runtime.statistics().asks == 0


# -- late answers, dead letters ---------------------------------------------------------------------------------


@virtual
async def test_an_answer_that_crosses_its_cancel_is_late_and_counted() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        asking = nodes.sending(lambda: nodes["a"].ask(nodes.to("b"), Wait(0, 0.5)))
        await nodes.until(lambda: nodes.journal("b").ended == [(0, "done")], every=0.0001)
        await asking.cancel()
        await nodes.until(lambda: nodes["a"].runtime.statistics().late == 1, within=0.05)
        await nodes.until(lambda: nodes.ledger("b").in_flight == 0)
        assert nodes.ledger("b").refused == 1
        assert nodes.running["b"].letters() == []  # nobody waits for it: no loss


def _to_nobody(nodes: Bench) -> EngineID:
    return nodes.to("b", "nobody")


def _to_a_stranger(nodes: Bench) -> EngineID:
    return EngineID(ID["h"], "sink")


def _to_a_dead_address(nodes: Bench) -> EngineID:
    nodes.wires.refused.add("b")
    return nodes.to("b")


@virtual
@pytest.mark.parametrize(
    ("where", "why"),
    [
        (_to_nobody, "refused (no_engine)"),
        (_to_a_stranger, "refused (unknown_node)"),
        (_to_a_dead_address, "expired before it was sent"),
    ],
)
async def test_what_is_told_and_does_not_arrive_is_a_dead_letter(where: Callable[[Bench], EngineID], why: str) -> None:
    async with bench("a", "b") as nodes:
        await nodes["a"].tell(where(nodes), Item(0), expiry=5)
        await trio.sleep(10)
        (letter,) = nodes["a"].runtime.dead_letters.recent
        assert letter.outcome.startswith(why)
        assert letter.tag == "item"
        assert letter.sender == EngineID(ID["a"], "")


@virtual
async def test_a_told_message_that_its_engine_does_not_take_is_a_dead_letter_of_that_node() -> None:
    async with bench("a", "b", cfg=NetworkCfg()) as nodes:
        await nodes["a"].tell(nodes.to("b"), Mute())
        await nodes.until(lambda: nodes.running["b"].letters() != [])
        await nodes.until(lambda: nodes.ledger("a").delivered == 1, within=0.1)
        assert nodes.running["a"].letters() == []
