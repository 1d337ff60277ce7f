"""Nobody promises silence while a word of its own is still on its way, unacknowledged (D1, D2, S8)."""

from __future__ import annotations

import trio
from proxies import ID, Item, Wires, bench, outcome, virtual

from actors.errors import Expired
from actors.net.network import NetworkCfg
from transports.memory.connection import Connection


class Holding(Wires):
    """What `a` says on connections that it dialed is late."""

    def connected(self, connection: Connection) -> None:
        if connection.dialer.host == "a":
            connection.blackhole(connection.dialer)


@virtual
async def test_a_word_that_another_connection_acknowledged_first_leaves_nobody_mute() -> None:
    wires = Holding(0)
    async with bench("a", "b", wires=wires, cfg=NetworkCfg(idle_after=0.5)) as nodes:
        first = nodes.sending(lambda: nodes["a"].send(nodes.to("b"), Item(1)))
        nodes["b"].set_permanence(ID["a"], True)
        await nodes.until(lambda: len(wires.connections) == 2)
        (own,) = (each for each in wires.connections if each.dialer.host == "a")
        (theirs,) = (each for each in wires.connections if each.dialer.host == "b")
        await nodes.until(lambda: nodes.ready("b", "a"))
        theirs.blackhole(theirs.acceptor)
        nodes["b"].set_permanence(ID["a"], False)
        await nodes.until(lambda: nodes.ready("a", "b"))
        theirs.blackhole(theirs.dialer)
        await trio.sleep(0.7)  # b asks to close, on the connection that it dialed
        for end, pipe in theirs.ways:
            if end is theirs.acceptor:
                pipe.release()
        await nodes.until(lambda: nodes.journal("b").got)
        own.heal()
        await first.wait()
        await trio.sleep(0.05)
        theirs.heal()
        await trio.sleep(0.05)
        assert await outcome(lambda: nodes["a"].send(nodes.to("b"), Item(2))) is None


@virtual
async def test_a_message_that_expired_on_its_way_leaves_nobody_mute() -> None:
    async with bench("a", "b", wires=Wires(0, latency=0.1)) as nodes:
        await nodes["a"].send(nodes.to("b"), Item(1))
        link = nodes.current("a", "b")
        await trio.sleep(299.5)
        await nodes.until(lambda: link.closing.state.value != "open")  # a has asked to close
        late = await outcome(lambda: nodes["a"].send(nodes.to("b"), Item(2), expiry=0.05))
        assert isinstance(late, Expired)
        await trio.sleep(1)
        assert await outcome(lambda: nodes["a"].send(nodes.to("b"), Item(3))) is None
