"""Two nodes (`node_model`) and the connections between them, explored in every order. The bench for test_two_nodes.

Frames arrive in their order. Connections break, with or without what was on the way, and each end notices in its own
time. What goes on by itself must, from everywhere, lead to a good end.

    python tests/two_nodes_model.py --depth 9       explore deeper than the tests do
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from exploring import Broken, Step, explore
from msgspec import Struct
from node_model import UNWRITTEN, WRITTEN, Deeds, Frame, Key, Node, Turn, Variant, react
from proxy_model import Figures, undisturbed

from actors.net.life.phases import Phase
from actors.net.session.closing import Asked


class Wire(Struct, frozen=True, cache_hash=True):
    """A connection as it lies between the nodes. Pairs are by node."""

    key: Key
    ends: tuple[str, str]
    """`new` (of which the acceptor knows nothing), `open` or `closed`."""
    coming: tuple[tuple[Frame, ...], tuple[Frame, ...]] = ((), ())
    broken: bool = False

    def __str__(self) -> str:
        dialer, (run, number) = self.key
        return f"{dialer}'s dial {run}.{number}"

    @property
    def over(self) -> bool:
        """Nobody will hear of it any more."""
        mine, theirs = self.ends[self.key[0]], self.ends[1 - self.key[0]]
        return mine == "closed" and (theirs == "closed" or (theirs == "new" and not self.coming[1 - self.key[0]]))

    def end(self, i: int, state: str) -> Wire:
        coming = _put(self.coming, i, ()) if state == "closed" else self.coming
        return Wire(self.key, _put(self.ends, i, state), coming, self.broken)

    def carry(self, to: int, frame: Frame) -> Wire:
        if self.broken or self.ends[to] == "closed":
            return self
        return Wire(self.key, self.ends, _put(self.coming, to, (*self.coming[to], frame)), self.broken)

    def ended(self, i: int) -> bool:
        """Whether all that node i can still hear on it is its end."""
        return self.ends[i] == "open" and not self.coming[i] and (self.broken or self.ends[1 - i] == "closed")


class World(NamedTuple):
    nodes: tuple[Node, Node] = (Node(0), Node(1))
    wires: tuple[Wire, ...] = ()
    hurt: tuple[bool, bool] = (False, False)
    """Whether anything happened that may cost a message of this node."""

    def __str__(self) -> str:
        return "\n     ".join(map(repr, (*self.nodes, *self.wires)))


def _put(pair: tuple[Any, Any], i: int, value: object) -> tuple[Any, Any]:
    return (value, pair[1]) if i == 0 else (pair[0], value)


@cache
def _changed(wires: tuple[Wire, ...], i: int, deeds: Deeds) -> tuple[Wire, ...]:
    """The wires after the deeds of node i."""
    by_key = {wire.key: wire for wire in wires}
    for key, frame in deeds.sent:
        if key not in by_key:
            by_key[key] = Wire(key, _put(("new", "new"), i, "open"))
        by_key[key] = by_key[key].carry(1 - i, frame)
    for key in deeds.closed:
        by_key[key] = by_key[key].end(i, "closed")
    return tuple(wire for _, wire in sorted(by_key.items()) if not wire.over)


@cache
def _taken(wires: tuple[Wire, ...], at: int, i: int) -> tuple[Wire, ...]:
    """The wires without the frame that node i reads from one of them."""
    wire = wires[at]
    taken = Wire(wire.key, _put(wire.ends, i, "open"), _put(wire.coming, i, wire.coming[i][1:]), wire.broken)
    return (*wires[:at], taken, *wires[at + 1 :])


@cache
def _left(wires: tuple[Wire, ...], i: int) -> tuple[Wire, ...]:
    """The wires when the run of node i is over."""
    return tuple(wire for wire in (wire.end(i, "closed") for wire in wires) if not wire.over)


def after(world: World, i: int, cause: str, *what: object, wires: tuple[Wire, ...] | None = None) -> World:
    """The world after something happened to node i."""
    node, deeds = react(world.nodes[i], cause, *what)
    for number, outcome in deeds.settled:
        lost = outcome in (UNWRITTEN, WRITTEN)
        if lost and not world.hurt[i]:
            raise Broken(f"message {number} of {i} is {outcome} with no fault at all")
        if outcome == UNWRITTEN and number in world.nodes[1 - i].got:
            raise Broken(f"message {number} of {i} is {outcome}, and in a mailbox")
    return World(_put(world.nodes, i, node), _changed(world.wires if wires is None else wires, i, deeds), world.hurt)


def progress(world: World) -> Iterator[Step[World]]:
    """What goes on by itself."""
    for at, wire in enumerate(world.wires):
        for i in (0, 1):
            if wire.coming[i]:
                frame, wires = wire.coming[i][0], _taken(world.wires, at, i)
                yield Step(_said(i, "gets", frame, wire), after(world, i, "arrives", wire.key, frame, wires=wires))
            elif wire.ended(i):
                yield Step(_said(i, "sees the end", wire), after(world, i, "sees_the_end", wire.key))
    for i in (0, 1):
        if world.nodes[i].inbox:
            yield Step(_said(i, "handles", world.nodes[i].inbox[0][0].value), after(world, i, "handles"))
        if world.nodes[i].timer:
            yield Step(_said(i, "may dial again"), after(world, i, "retries"))


# -- faults and wishes ----------------------------------------------------------------------------------------

NAMES = frozenset(("send", "toggle", "idle", "cut", "restart"))
ALL = NAMES | {"dial now", "expiry", "time"}


class Whims(NamedTuple):
    """The faults and wishes of one exploration."""

    names: frozenset[str] = NAMES
    messages: int = 1
    """Of each node."""
    runs: int = 2
    """Of each node."""
    hasty: bool = False
    """Whether a node may find its link idle while a dial that is older than the link still goes on."""


class Whim(NamedTuple):
    """What may befall one node."""

    name: str
    words: str
    cause: str
    what: tuple[object, ...] = ()
    hurts: tuple[bool, bool] = (False, False)
    """Whether it may cost messages of either node."""


def whims(world: World, allowed: Whims) -> Iterator[Step[World]]:
    """All that may befall the nodes and their connections now."""
    for i, node in enumerate(world.nodes):
        for name, words, cause, what, hurts in _whims_of(node, allowed):
            if name == "idle" and not (allowed.hasty or _quiet(world.wires, node.current)):
                continue
            before = world._replace(hurt=(world.hurt[0] or hurts[0], world.hurt[1] or hurts[1]))
            wires = _left(world.wires, i) if name == "restart" else None
            yield Step(_said(i, words), after(before, i, cause, *what, wires=wires), True)
    for at, wire in enumerate(world.wires):
        if "cut" in allowed.names and not wire.broken:
            yield Step(_said(wire, "breaks"), _cut(world, at, wire.coming), True)
            if wire.coming != ((), ()):
                yield Step(_said(wire, "breaks, with all on it"), _cut(world, at, ((), ())), True)


@cache
def _whims_of(node: Node, allowed: Whims) -> tuple[Whim, ...]:
    return tuple(whim for whim in _every_whim_of(node, allowed) if whim.name in allowed.names)


def _every_whim_of(node: Node, allowed: Whims) -> Iterator[Whim]:
    if node.sent < allowed.messages:
        yield Whim("send", "sends", "sends")
    word, hurts = ("ephemeral", (not node.me, bool(node.me))) if node.wanted else ("permanent", (False, False))
    yield Whim("toggle", f"becomes {word}", "toggles", hurts=hurts)  # L4
    if node.current is not None and Turn(node).idle():
        yield Whim("idle", "asks to close", "asks")
    if node.run < allowed.runs and (node.life is not None or node.known != (0, 0)):
        yield Whim("restart", "restarts", "restarts", hurts=(True, True))
    if node.life is None or node.life.phase is Phase.BACKOFF:
        yield Whim("dial now", "is to dial now", "dials_now")
    for number in node.queue + node.written:
        yield Whim("expiry", f"sees {number} expire", "expires", (number,))
    for end in node.ends:
        if not end.resumed:
            yield Whim("time", "waits no longer", "sees_the_end", (end.key,), hurts=(True, True))


def _quiet(wires: tuple[Wire, ...], key: Key | None) -> bool:
    """Whether every other dial is younger than this connection: dialed by a node to which this one is over already.

    A link is idle after minutes, a handshake is over after seconds.
    """
    (mine,) = (wire for wire in wires if wire.key == key)
    return all(mine.ends[wire.key[0]] == "closed" for wire in wires if wire is not mine)


def _cut(world: World, at: int, coming: tuple[tuple[Frame, ...], tuple[Frame, ...]]) -> World:
    wire = world.wires[at]
    cut = Wire(wire.key, wire.ends, coming, broken=True)
    wires = (*world.wires[:at], *(() if cut.over else (cut,)), *world.wires[at + 1 :])
    return World(world.nodes, wires, hurt=(True, True))


@cache
def _said(*words: object) -> str:
    return " ".join(map(str, words))


# -- how it ends ----------------------------------------------------------------------------------------------


def complaint(world: World) -> str:
    """Why this is no good end: something goes on, or somebody waits for nothing."""
    if len(world.wires) > 1:
        return f"{len(world.wires)} connections"
    for wire in world.wires:
        if wire.broken or wire.coming != ((), ()) or wire.ends != ("open", "open"):
            return f"something goes on at {wire}"
    permanent = any(node.wanted for node in world.nodes)
    return next((why for node in world.nodes if (why := _complaint_of(node, permanent, len(world.wires)))), "")


@cache
def _complaint_of(node: Node, permanent: bool, wires: int) -> str:
    if node.inbox:
        return f"{node.me} has {node.inbox} to handle"
    if node.open:
        return f"{node.me} has messages without outcome: {sorted(node.open)}"
    if node.life is None:
        return f"the link is permanent, and {node.me} has no proxy" if permanent else ""
    if node.life.phase is not Phase.READY:
        return f"{node.me} rests {node.life.phase}"
    (end, *more) = node.ends
    if more or not wires or not end.resumed or node.current != end.key:
        return f"{node.me} has an end that it does not use: {node.ends}"
    return f"{node.me} has promised to be silent" if end.asked in (Asked.PROMISED, Asked.CROSSED) else ""


# -- exploring ------------------------------------------------------------------------------------------------


def unconnected(*variants: Variant, late: bool = False) -> World:
    """Two nodes that know nothing of each other but where to dial."""
    return World((Node(0, variants=frozenset(variants), late=late), Node(1, variants=frozenset(variants), late=late)))


def connected(dialer: int, *variants: Variant, late: bool = False) -> World:
    """By a dial of this node, and at rest."""
    world = after(unconnected(*variants, late=late), dialer, "dials_now")
    while (following := next(progress(world), None)) is not None:
        world = following.state
    return world


def explored(start: World, depth: int, allowed: Whims, *, every_end: bool = False) -> Figures:
    """Everything in every order for `depth` steps; from there on what goes on by itself, until nothing does.

    That in one order, or in every order (some times as many states). Found tells what is wrong.
    """
    away = {start: 0}
    transitions = 0

    def steps(world: World) -> Iterator[Step[World]]:
        nonlocal transitions
        distance = away[world]
        following = list(progress(world))
        if distance < depth:
            following += whims(world, allowed)
        elif not every_end:
            del following[1:]
        transitions += len(following)
        for each in following:
            away.setdefault(each.state, distance + 1)  # breadth first: the first way is a shortest one
        return iter(following)

    began = time.process_time()
    states = undisturbed(lambda: explore(start, steps, complaint))
    return Figures(states, transitions, round(time.process_time() - began, 2))


def forget() -> None:
    """What was worked out so far: for who changes the rules."""
    for cached in (react, _changed, _taken, _left, _whims_of, _complaint_of):
        cached.cache_clear()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--depth", type=int, default=8, help="steps in every order (8)")
    parser.add_argument("--messages", type=int, default=1, help="of each node (1)")
    parser.add_argument("--late", action="store_true", help="what happens to connections is handled later")
    parser.add_argument(
        "--all", action="store_true", help="with messages that expire, handshakes that time out, dials on demand"
    )
    parser.add_argument("--every-end", action="store_true", help="what goes on after that, too, in every order")
    options = parser.parse_args()
    allowed = Whims(names=ALL if options.all else NAMES, messages=options.messages)
    starts = {
        "unconnected": unconnected(late=options.late),
        "connected by the lesser": connected(0, late=options.late),
        "connected by the greater": connected(1, late=options.late),
    }
    for name, start in starts.items():
        print(name, explored(start, options.depth, allowed, every_end=options.every_end), flush=True)


if __name__ == "__main__":
    main()
