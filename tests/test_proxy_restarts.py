"""Nodes that restart, and messages that end connections (PROTOCOL section 14: 9, 10, 19; S9, S13, S14, I)."""

from __future__ import annotations

import pytest
import trio
from proxies import ID, KEYS, Item, Question, Wait, bench, mute, virtual

from actors.errors import Lost, ProtocolError
from actors.events import Disconnected, DuplicateIdentity
from actors.net.network import NetworkCfg
from actors.net.proving.adverts import NodeAdvert
from actors.runtime.codec import Codec

# -- 10: the peer restarts --------------------------------------------------------------------------------------


@virtual
async def test_a_restart_of_the_peer_loses_what_was_written_and_nothing_else() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        nodes.wires.only("a", "b").blackhole()
        for n in range(20):
            await nodes["a"].tell(nodes.to("b"), Item(n))
        asking = nodes.sending(lambda: nodes["a"].ask(nodes.to("b"), Question(20)))
        await trio.sleep(0.1)
        proxy = nodes.proxy("a", "b")
        assert proxy is not None
        assert (proxy.retained, proxy.queued) == (8, 13)  # the first credit, and the rest
        await nodes.kill("b", silently=True)
        await trio.sleep(1)
        await nodes.start("b")
        assert await asking.wait() == -20  # it was not written either: the new run answers
        assert nodes.journal("b").numbers() == list(range(8, 21))
        assert nodes.running["a"].letters() == ["lost (peer_restarted), perhaps sent"] * 8


@virtual
async def test_a_question_that_the_earlier_run_had_taken_is_lost_at_once() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        asking = nodes.sending(lambda: nodes["a"].ask(nodes.to("b"), Wait(0, 10.0)))
        await nodes.until(lambda: nodes.journal("b").began == [0])
        await nodes.kill("b", silently=True)
        await nodes.start("b")
        await nodes["b"].connect(ID["a"])
        lost = await asking.wait()
        assert isinstance(lost, Lost)
        assert (lost.reason, lost.maybe_processed) == ("peer_restarted", True)
        assert trio.current_time() < 5


@virtual
async def test_an_answer_to_the_earlier_run_of_the_asker_goes_nowhere() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        asking = nodes.sending(lambda: nodes["a"].ask(nodes.to("b"), Wait(0, 5.0)))
        await nodes.until(lambda: nodes.journal("b").began == [0])
        await nodes.kill("a")
        assert isinstance(await asking.wait(), Lost)
        await nodes.start("a")
        await nodes.link("a", "b")
        await nodes.until(lambda: nodes.journal("b").ended != [], within=20)
        assert await nodes["a"].ask(nodes.to("b"), Question(1)) == -1
        assert nodes["a"].runtime.statistics().late == 0


@virtual
async def test_a_restart_without_a_stop_in_between_is_noticed_by_its_handshake() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        for n in range(20):
            await nodes["a"].send(nodes.to("b"), Item(n))
        await nodes.kill("b", silently=True)
        await nodes.start("b")
        await nodes["b"].send(nodes.to("a"), Item(0))  # b dials; a believes its old connection to be alive
        await nodes["a"].send(nodes.to("b"), Item(20), expiry=1)
        assert nodes.journal("b").numbers() == [20]
        assert nodes.journal("a").numbers() == [0]


# -- 9: two nodes with one key ----------------------------------------------------------------------------------


@virtual
async def test_a_node_that_is_older_than_the_one_known_is_told_so_and_changes_nothing() -> None:
    async with bench("a") as nodes:
        await nodes.start("b", boot=5)
        await nodes["b"].connect(ID["a"])
        new = nodes.running.pop("b")
        await nodes.start("b", boot=3, listen=("memory://b-old",), know=False)
        nodes["b"].learn(nodes["a"].advert)
        nodes["b"].dial_now(ID["a"])
        await trio.sleep(0.1)
        (event,) = nodes.running["b"].events(DuplicateIdentity)
        assert (event.own.boot, event.newest.boot) == (3, 5)
        assert new.node.is_connected(ID["a"])
        assert new.events(Disconnected) == []
        old, nodes.running["b"] = nodes.running["b"], new
        old.stopping.set()
        await old.gone.wait()


# -- S2: a record that was forgotten ----------------------------------------------------------------------------


@virtual
async def test_a_peer_that_was_forgotten_begins_anew_and_nothing_comes_twice() -> None:
    async with bench("a", "c") as nodes:
        await nodes.start("b", cfg=NetworkCfg(peers=1), know=False)
        for name in "ac":
            nodes[name].learn(nodes["b"].advert)
        await nodes.link("a", "b")
        for n in range(20):
            await nodes["a"].send(nodes.to("b"), Item(n))
        mute(nodes.wires.only("a", "b"), "b")
        written = nodes.sending(lambda: nodes["a"].send(nodes.to("b"), Item(20)))
        await nodes.until(lambda: len(nodes.journal("b").got) == 21)
        nodes.wires.refused.add("b")
        nodes.wires.cut("a", "b")
        await nodes.until(lambda: nodes.state("b", "a") == "none")
        nodes.wires.refused.clear()
        await nodes["c"].send(nodes.to("b"), Item(100))  # who takes the only place in the book
        nodes.wires.cut("b", "c")
        lost = await written.wait()
        assert isinstance(lost, Lost)
        assert (lost.reason, lost.maybe_sent) == ("session_lost", True)
        await nodes["a"].send(nodes.to("b"), Item(21))
        assert nodes.journal("b").numbers() == [*range(21), 100, 21]


@virtual
async def test_a_node_whose_book_is_full_says_when_to_come_again() -> None:
    async with bench("a", "c") as nodes:
        await nodes.start("b", cfg=NetworkCfg(peers=1), know=False)
        for name in "ac":
            nodes[name].learn(nodes["b"].advert)
        await nodes["a"].send(nodes.to("b"), Item(0))
        nodes["c"].set_permanence(ID["b"], True)
        await trio.sleep(29)
        assert len(nodes.wires.dialed("c")) == 1
        nodes.wires.cut("a", "b")
        await nodes.until(lambda: nodes.ready("c", "b"), within=2)


# -- A3: a node that has forgotten how often it spoke of itself -------------------------------------------------


@virtual
@pytest.mark.parametrize("dialer", ["a", "b"])
async def test_a_node_continues_from_the_newest_advert_that_others_have_of_it(dialer: str) -> None:
    async with bench("a") as nodes:
        await nodes.start("b", know=False)
        nodes["b"].learn(nodes["a"].advert)
        later = NodeAdvert.sign(KEYS["b"], [("memory://b", 1), ("memory://gone", 1)], version=7, created=0)
        nodes["a"].learn(later)
        await nodes[dialer].connect(ID["b" if dialer == "a" else "a"])
        await trio.sleep(0.1)
        assert nodes["b"].advert.version == 8
        known = nodes["a"]._network.peers.find(ID["b"])
        assert known is not None
        assert known.advert == nodes["b"].advert


# -- 19: poison, and frames nobody knows ------------------------------------------------------------------------


class Allergic:
    """A codec that takes a certain message for a breach of the protocol."""

    def __init__(self, codec: Codec, poison: bytes) -> None:
        self._codec = codec
        self._poison = poison

    def tells(self, body: memoryview, count: int) -> object:
        if self._poison in bytes(body):
            raise ProtocolError("as told")
        return self._codec.tells(body, count)

    def __getattr__(self, name: str) -> object:
        return getattr(self._codec, name)


@virtual
async def test_a_message_that_ends_three_connections_is_given_up() -> None:
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        sink = nodes["b"].runtime.find("sink")
        assert sink is not None
        sink.codec = Allergic(sink.codec, b"poison")  # type: ignore[assignment]
        await nodes["a"].send(nodes.to("b"), Item(0))
        poison = nodes.sending(lambda: nodes["a"].send(nodes.to("b"), Item(1, b"poison")))
        await trio.sleep(0.01)
        await nodes["a"].tell(nodes.to("b"), Item(2))
        lost = await poison.wait()
        assert isinstance(lost, Lost)
        assert (lost.reason, lost.maybe_sent) == ("poison", True)
        assert nodes.running["a"].phases("b").count("backoff") == 3
        await nodes["a"].send(nodes.to("b"), Item(3))
        assert nodes.journal("b").numbers() == [0, 2, 3]
        assert nodes.ledger("a").delivered == 3
