"""Two nodes with one key: the later run wins, the other is told and stops; and a node that has lost its number (I3)."""

from __future__ import annotations

import pytest
import trio
from proxies import ID, KEYS, Bench, Item, Question, bench, virtual
from test_hostile_peers import stranger_at

from actors.errors import IdentityTaken
from actors.events import Connected, DuplicateIdentity, Event, PeerRefused
from actors.identity import Incarnation
from actors.net.messages import ConnectionID
from actors.net.proving.handshake import Dialer, HandshakeFailed
from actors.node import Node, open_node
from transports.base import receive_frame
from transports.channels import PLAIN

DAY_MS = 86_400_000


class Process:
    """A run of b's key at an address of its own, with a permanent link to a."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.node: Node | None = None
        self.told: list[DuplicateIdentity] = []
        self.words = ""

    async def run(self, nodes: Bench, boot: int) -> None:
        here = f"memory://{self.name}"
        opened = open_node(KEYS["b"], transports=(nodes.wires.transport(self.name),), boot=boot, listen=(here,))
        try:
            async with opened as self.node:
                self.node.events.taps.append(self._hear)
                self.node.learn(nodes["a"].advert)
                self.node.set_permanence(ID["a"], True)
                await trio.sleep_forever()
        except IdentityTaken as taken:
            self.words = str(taken)

    def _hear(self, event: Event) -> None:
        if isinstance(event, DuplicateIdentity):
            self.told.append(event)


@pytest.mark.parametrize(
    ("first", "second", "stops"),
    [(5, 9, "first"), (9, 5, "second"), (5, 5, "second"), (DAY_MS, 7, "second"), (7, DAY_MS, "first")],
    ids=["later", "earlier", "the same number", "clock set back a day", "clock set ahead a day"],
)
@virtual
async def test_of_two_nodes_with_one_key_one_stops_and_the_other_keeps_the_link(
    first: int, second: int, stops: str
) -> None:
    async with bench("a") as nodes, trio.open_nursery() as nursery:
        runs = {"first": Process("first"), "second": Process("second")}
        nursery.start_soon(runs["first"].run, nodes, first)
        await nodes.until(lambda: nodes["a"].is_connected(ID["b"]))
        nursery.start_soon(runs["second"].run, nodes, second)
        await trio.sleep(120)
        loser = runs.pop(stops)
        (winner,) = runs.values()
        assert ID["a"].short in loser.words
        assert len(loser.told) == 2
        assert all(event.newest.boot >= event.own.boot for event in loser.told)
        assert winner.words == ""
        assert winner.node is not None
        assert winner.node.is_connected(ID["a"])
        before = len(nodes.running["a"].events(Connected))
        await trio.sleep(600)
        assert len(nodes.running["a"].events(Connected)) == before, "they go on fighting"
        refused = {event.why for event in nodes.running["a"].events(PeerRefused)}
        assert refused == {"another run with its key, which is newer or as new, is known here"}
        nursery.cancel_scope.cancel()


@virtual
async def test_a_node_that_lost_its_number_learns_it_from_whoever_calls_it() -> None:
    async with bench("a") as nodes:
        await nodes.start("b", boot=DAY_MS)
        await nodes.link("a", "b")
        await nodes["a"].send(nodes.to("b"), Item(1))
        await nodes.kill("b")
        await nodes.until(lambda: not nodes.ready("a", "b"))
        await nodes.start("b", boot=1, know=False)
        await nodes.until(lambda: nodes.ready("a", "b"), within=5.0)
        (event,) = nodes.running["b"].events(DuplicateIdentity)
        assert (event.peer, event.own.boot, event.newest.boot) == (ID["a"], 1, DAY_MS)
        assert await nodes["a"].ask(nodes.to("b"), Question(1)) == -1


@virtual
async def test_two_friends_that_know_different_numbers_are_not_taken_for_two_nodes() -> None:
    async with bench("a", "c") as nodes:
        for name, boot in (("a", 50), ("c", 70)):
            await nodes.start("b", boot=boot, know=False)
            nodes["b"].learn(nodes[name].advert)
            await nodes["b"].connect(ID[name])
            await nodes.stop("b")
        await nodes.start("b", boot=1)
        for name in "ac":
            nodes["b"].set_permanence(ID[name], True)
        await nodes.until(lambda: nodes.ready("b", "a") and nodes.ready("b", "c"))
        await trio.sleep(600)
        assert nodes.ready("b", "a")
        assert nodes.ready("b", "c")


@virtual
async def test_the_same_word_by_several_dials_is_one_word() -> None:
    async with bench("a") as nodes:
        network = (await nodes.start("b", boot=10))._network
        for _ in range(3):
            network.outlived(ID["a"], Incarnation(20, 1))
        assert network.incarnation.boot == 21
        assert network.taken == ""


async def _claim(nodes: Bench, boot: int) -> str:
    """A stranger proves to be h, and says that it knows another run of b. What it is told."""
    stranger = await stranger_at(nodes, "b")
    accepted = ConnectionID(Incarnation(boot, 1), 0)
    options = {"nonce": b"n" * 32, "adverts": (0, 0), "max_frame": 1 << 20, "channel": PLAIN}
    run = Incarnation(1, 1)
    dialer = Dialer(KEYS["h"], ID["b"], incarnation=run, dial=1, accepted=accepted, **options)  # type: ignore[arg-type]
    await stranger.send(dialer.request())
    dialer.reply(await receive_frame(stranger.stream, stranger.frames))
    await stranger.send(dialer.prove(epoch=1, permanent=True))
    with pytest.raises(HandshakeFailed) as caught:
        dialer.verdict(await receive_frame(stranger.stream, stranger.frames))
    assert caught.value.signed
    await stranger.wait_closed()
    return caught.value.reason


@virtual
async def test_strangers_cannot_talk_a_node_out_of_its_number_or_its_life() -> None:
    async with bench("a") as nodes:
        await nodes.start("b", boot=10)
        await nodes.link("b", "a")
        await nodes["b"].send(nodes.to("a"), Item(1))
        for boot in (11, 99, 1 << 62):
            assert await _claim(nodes, boot) == "outlived"
        assert len(nodes.running["b"].events(DuplicateIdentity)) == 3, "it is reported all the same"
        assert nodes["b"]._network.incarnation.boot == 10
        await nodes.reconnect("b", "a")
        await nodes["b"].send(nodes.to("a"), Item(2))
        assert nodes.journal("a").numbers() == [1, 2]


@virtual
async def test_of_strangers_the_first_is_believed_once_while_nobody_knows_the_node() -> None:
    async with bench() as nodes:
        await nodes.start("b", boot=10)
        for boot, after in ((1 << 63, 10), (20, 21), (30, 21), (40, 21)):
            assert await _claim(nodes, boot) == "outlived"
            assert nodes["b"]._network.incarnation.boot == after
