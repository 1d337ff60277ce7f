"""What the simulator has found between two nodes, each by itself. The scenario that found it stands beside it."""

from __future__ import annotations

import trio
from proxies import ID, KEYS, Item, Question, bench, half_open, mute, virtual

from actors.errors import Lost
from actors.net.proving.adverts import NodeAdvert


def _advert(version: int, *names: str) -> NodeAdvert:
    """Where b is, by its word."""
    return NodeAdvert.sign(KEYS["b"], [(f"memory://{name}", 1) for name in names], version=version, created=0)


@virtual
async def test_an_ask_ends_when_its_peer_has_lost_the_ephemeral_link_and_comes_back_by_itself() -> None:
    # idle-close-broken: the answer went down with the peer's proxy, and the asker's never ended.
    async with bench("a", "b") as nodes:
        await nodes["a"].send(nodes.to("b"), Item(0))
        old = nodes.wires.only("a", "b")
        mute(old, "b")
        asking = nodes.sending(lambda: nodes["a"].ask(nodes.to("b"), Question(1), expiry=3600))
        await nodes.until(lambda: nodes.journal("b").numbers() == [0, 1])
        half_open(old, "b")
        await nodes.until(lambda: nodes.state("b", "a") == "none")
        assert nodes.ready("a", "b")
        await nodes["b"].send(nodes.to("a"), Item(2))
        with trio.fail_after(1):
            lost = await asking.wait()
        assert isinstance(lost, Lost)
        assert lost.maybe_processed
        assert nodes.running["a"].phases("b") == ["dialing", "handshaking", "ready"]


@virtual
async def test_an_answer_that_was_cut_off_is_sent_again_though_only_the_asker_holds_the_link() -> None:
    # Asks at the moment of a cut: the proxy that had written the answer ended, and the asker waited until its expiry.
    for cut_first in (False, True):
        async with bench("a", "b") as nodes:
            await nodes.link("a", "b")
            mute(nodes.wires.only("a", "b"), "b")
            asking = nodes.sending(lambda: nodes["a"].ask(nodes.to("b"), Question(1), expiry=3600))
            await nodes.until(lambda: nodes.journal("b").numbers() == [1])
            if cut_first:
                nodes.wires.refused.add("b")  # then b has to call
            nodes.wires.cut("a", "b")
            with trio.fail_after(2):
                assert await asking.wait() == -1
            assert nodes.journal("b").numbers() == [1]
            await nodes.until(lambda: nodes.ledger("b").in_flight == 0)
            assert nodes.ledger("b").delivered == 1


@virtual
async def test_a_newer_advert_widens_an_attempt_that_is_under_way() -> None:
    # moves: an old address that hangs held up the new one until its attempt was over.
    async with bench("a") as nodes:
        await nodes.start("b", know=False, listen=("memory://b-new",))
        nodes.wires.silent.add("b-old")
        nodes["a"].learn(_advert(1, "b-old"))
        sending = nodes.sending(lambda: nodes["a"].send(nodes.to("b"), Item(0)))
        await trio.sleep(2)
        assert nodes.state("a", "b") == "dialing"
        began = trio.current_time()
        nodes["a"].learn(_advert(2, "b-old", "b-new"))
        assert await sending.wait() is None
        assert trio.current_time() - began < 0.5
        assert [name for _, _, name in nodes.wires.dials] == ["b-old", "b-new"]


@virtual
async def test_an_advert_that_comes_when_all_dials_have_failed_is_not_forgotten() -> None:
    async with bench("a") as nodes:
        await nodes.start("b", know=False, listen=("memory://b-new",))
        nodes["a"].learn(_advert(1, "b-old"))
        nodes["a"].set_permanence(ID["b"], True)
        for version in range(2, 60):  # at any moment of an attempt, and between two
            await trio.sleep(0.013)
            nodes["a"].learn(_advert(version, f"b-{version}"))
        nodes["a"].learn(_advert(60, "b-new"))
        began = trio.current_time()
        await nodes.until(lambda: nodes.ready("a", "b"), within=2)
        assert trio.current_time() - began < 1.1  # three dials a second (A4)


@virtual
async def test_a_node_that_says_good_bye_has_acknowledged_what_it_took() -> None:
    # idle-close: every answer to the last ask of a node that stopped was lost, perhaps sent.
    async with bench("a", "b") as nodes:
        await nodes.link("a", "b")
        assert await nodes["a"].ask(nodes.to("b"), Question(1)) == -1
        await nodes.stop("a")
        await nodes.until(lambda: nodes.ledger("b").in_flight == 0)
        assert nodes.ledger("b").delivered == 1
        assert nodes.ledger("b").lost == 0
