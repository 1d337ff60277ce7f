"""What scenarios of lives, strangers and weather come upon, beside what `reach` counts: events, phases, closings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from reach import Reach

from actors.events import Event, ProxyChanged
from actors.identity import NodeID
from actors.net import messages as wire
from actors.net.network import Entry
from actors.net.session.closing import Asked
from actors.net.session.link import Link
from actors.node import Node
from actors.runtime.waits import Waits
from actors.testing.cluster.simulation import Simulation
from actors.testing.cluster.watch import Watch
from actors.testing.history.records import Accepted, Fault, LinkDown, Phase, Settled, Stopping
from actors.testing.scenarios.moments import Crossing

_SEEN: Counter[str] = Counter()
"""What the code under test did since the last run began."""
_LONG = 15.0


class WiderReach(Reach):
    """Looks on at frames, events, phases and closings. To be used inside `looking_wider`."""

    def __init__(self, sim: Simulation) -> None:
        super().__init__(sim)
        _SEEN.clear()
        self._asked: dict[int, str] = {}
        """Who has asked to close a connection, and got no answer yet."""
        self._promised: list[tuple[float, str, str]] = []
        self._addresses: dict[str, set[str]] = {}
        sim.network.on_dial.append(lambda _, host, address: self._addresses.setdefault(host, set()).add(address))

    def see(self, crossing: Crossing) -> None:
        """A frame sets out."""
        super().see(crossing)
        number, sender, frame = crossing.connection.number, crossing.sender, crossing.frame
        self._mark(type(frame).__name__ if frame is not None else "unknown frame")
        match frame:
            case wire.Idle():
                self._mark("both ask to close", self._asked.get(number, sender) != sender)
                self._asked[number] = sender
            case wire.IdleOk():
                self._asked.pop(number, None)
                self._promised.append((self._sim.now(), sender, crossing.receiver))
            case wire.Messages() if number in self._asked:
                self._mark(f"a message of the {'asker' if self._asked.pop(number) == sender else 'asked'}")
            case _:
                pass

    def end(self) -> None:
        """What was counted by others."""
        super().end()
        self.marks += _SEEN
        self._mark("several addresses dialed", any(len(dialed) > 1 for dialed in self._addresses.values()))
        self._look_back()

    def _look_back(self) -> None:
        phases: dict[tuple[str, int, str], str] = {}
        accepted: dict[int, float] = {}
        for record in self._sim.history:
            match record:
                case Phase():
                    phases[record.node, record.run, record.peer] = record.new
                    self._mark(f"{record.new}: {record.why}")
                case Stopping():
                    own = [phase for key, phase in phases.items() if key[:2] == (record.node, record.run)]
                    self._mark(f"stops while {own[-1] if own else 'alone'}")
                    self._mark("stops while a close is asked for", bool(self._asked))
                case Accepted():
                    accepted[record.message] = record.at
                    self._mark("accepted against a promise", self._is_promised(record))
                case Settled(outcome="delivered"):
                    self._mark("long on its way", record.at - accepted[record.message] > _LONG)
                case Fault():
                    self._mark(record.what.partition("(")[0])
                case _:
                    pass

    def _is_promised(self, record: Accepted) -> bool:
        for at, node, peer in self._promised:
            if (node, peer) == (record.node, record.peer) and at <= record.at:
                ends = (down.at for down in self._sim.history if isinstance(down, LinkDown) and down.node == node)
                if record.at <= next((end for end in ends if end >= at), 0.0):
                    return True
        return False


def _phase(entry: Entry | None) -> str:
    if entry is None:
        return "nothing"
    link = entry.session.current if entry.session is not None else None
    if link is not None and link.closing.state is not Asked.OPEN:
        return str(link.closing.state.value)
    return str(entry.life.phase.value)


@contextmanager
def looking_wider() -> Iterator[None]:
    """The code under test tells what it does."""
    event, set_permanence, end, add = Watch.event, Node.set_permanence, Link.end, Waits.add

    def told(self: Watch, what: Event) -> None:
        why = getattr(what, "why", "") or getattr(what, "outcome", "")
        if not isinstance(what, ProxyChanged):
            _SEEN[f"{type(what).__name__} {why}".rstrip()] += 1
        event(self, what)

    def permanence_set(self: Node, node: NodeID, permanent: bool, **holder: Any) -> None:
        if self.is_permanent(node) != permanent:
            phase = _phase(self._network.table.find(node))
            _SEEN[f"{'held' if permanent else 'released'} while {phase}"] += 1
        set_permanence(self, node, permanent, **holder)

    def ended(self: Link, reason: str) -> None:
        if self.reason is None and self._frames.pending:
            _SEEN["ended in the middle of a frame"] += 1
        end(self, reason)

    def waits(self: Waits[Any], waiter: Any, on: Any) -> tuple[Any, ...]:
        ring = add(self, waiter, on)
        _SEEN[f"a ring of {len(ring) - 1}"] += bool(ring)
        return ring

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Watch, "event", told)
        patch.setattr(Node, "set_permanence", permanence_set)
        patch.setattr(Link, "end", ended)
        patch.setattr(Waits, "add", waits)
        yield
