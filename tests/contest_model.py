"""Two nodes that dial each other, explored in every order of events. Only what decides between connections is modelled.

An end is `-` (nothing arrived yet), `asked` or `proved` (dialer), `replied` (acceptor), `up` or `closed`.
Frames on a connection keep their order; ends, frames and faults interleave in any way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple, TypeVar

from handshake_pair import ALICE, BOB

from actors.identity import Incarnation
from actors.net.connecting.contest import Contender, current, superseded
from actors.net.messages import ConnectionID

_T = TypeVar("_T")

NODES = sorted((ALICE.id, BOB.id))
"""Node 1 has the greater NodeID."""
RUNS = (Incarnation(1, 1), Incarnation(2, 2))


class Link(NamedTuple):
    """One connection: who dialed, which dial of its, and the greatest dial of the other it had accepted (0: none)."""

    dialer: int
    number: int
    knew: int
    ends: tuple[str, str] = ("-", "-")
    resumed: tuple[bool, bool] = (False, False)
    coming: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    """Frames on their way to node 0 and to node 1."""
    broken: bool = False

    def end(self, node: int, state: str) -> Link:
        link = self._replace(ends=_put(self.ends, node, state))
        return link._replace(coming=_put(self.coming, node, ())) if state == "closed" else link

    def send(self, to: int, *frames: str) -> Link:
        if self.broken or self.ends[to] == "closed":
            return self
        return self._replace(coming=_put(self.coming, to, (*self.coming[to], *frames)))

    def over(self) -> bool:
        mine, theirs = self.ends[self.dialer], 1 - self.dialer
        return mine == "closed" and (self.ends[theirs] == "closed" or (self.ends[theirs] == "-" and self.broken))


class Rules(NamedTuple):
    """What the faults and wishes of one exploration are."""

    dialers: tuple[int, ...] = (0, 1)
    dials: int = 3
    breaks: int = 0
    timeouts: int = 0
    late: bool = True
    """Whether time may also run out between the proof and the Resume."""
    migrations: tuple[int, int] = (0, 0)
    blind: tuple[int, ...] = ()
    """Nodes that never notice that a proven connection broke."""


class World(NamedTuple):
    links: tuple[Link, ...]
    dials: tuple[int, int]
    accepted: tuple[int, int]
    breaks: int
    timeouts: int
    migrations: tuple[int, int]


def _put(pair: tuple[_T, _T], node: int, value: _T) -> tuple[_T, _T]:
    return (value, pair[1]) if node == 0 else (pair[0], value)


@cache
def contender(dialer: int, number: int, knew: int) -> Contender:
    known = ConnectionID(RUNS[1 - dialer], knew) if knew else None
    return Contender(NODES[dialer], ConnectionID(RUNS[dialer], number), known)


def best_at(world: World, node: int) -> Contender | None:
    """The current connection of a node."""
    return current(contender(*link[:3]) for link in world.links if link.ends[node] == "up" and link.resumed[node])


def _close_worse(world: World, node: int) -> World:
    up = {contender(*link[:3]): link for link in world.links if link.ends[node] == "up"}
    losers = superseded(up, [name for name, link in up.items() if link.resumed[node]])
    for loser in losers:
        world = _swap(world, up[loser], up[loser].end(node, "closed"))
    return world


def _swap(world: World, old: Link, new: Link) -> World:
    links = tuple(sorted(link for link in (*(x for x in world.links if x != old), new) if not link.over()))
    return world._replace(links=links)


def _dial(world: World, node: int) -> World:
    number = world.dials[node] + 1
    link = Link(node, number, world.accepted[node]).end(node, "asked").send(1 - node, "request")
    return world._replace(dials=_put(world.dials, node, number), links=tuple(sorted((*world.links, link))))


def _deliver(world: World, link: Link, node: int) -> World:
    frame, *rest = link.coming[node]
    other = 1 - node
    after = link._replace(coming=_put(link.coming, node, tuple(rest)))
    match frame:
        case "request":
            return _swap(world, link, after.end(node, "replied").send(other, "reply"))
        case "reply":
            return _swap(world, link, after.end(node, "proved").send(other, "proof"))
        case "proof":
            seen = _put(world.accepted, node, max(world.accepted[node], link.number))
            world = world._replace(accepted=seen)
            return _close_worse(_swap(world, link, after.end(node, "up").send(other, "accepted", "resume")), node)
        case "accepted":
            world = _swap(world, link, after.end(node, "up").send(other, "resume"))
            for rival in world.links:
                if rival.dialer == node and rival.ends[node] in ("asked", "proved"):
                    world = _swap(world, rival, rival.end(node, "closed"))
            return _close_worse(world, node)
        case _:
            return _close_worse(_swap(world, link, after._replace(resumed=_put(link.resumed, node, True))), node)


def _sees_the_end(link: Link, node: int, blind: tuple[int, ...]) -> bool:
    if link.broken:
        return node not in blind or not link.resumed[node]
    return link.ends[1 - node] == "closed" and not link.coming[node]


def _may_time_out(link: Link, node: int, late: bool) -> bool:
    state = link.ends[node]
    return state in ("asked", "proved", "replied") or (late and state == "up" and not link.resumed[node])


def steps(world: World, rules: Rules) -> Iterator[World]:
    """Every world that may come next."""
    for node in (0, 1):
        up = [link for link in world.links if link.ends[node] == "up"]
        busy = any(link.ends[node] in ("asked", "proved") for link in world.links)
        if node in rules.dialers and not up and not busy and world.dials[node] < rules.dials:
            yield _dial(world, node)
        if world.migrations[node] and not busy and any(link.resumed[node] for link in up):
            left = _put(world.migrations, node, world.migrations[node] - 1)
            yield _dial(world._replace(migrations=left), node)
    for link in world.links:
        if world.breaks and not link.broken:
            fewer = world._replace(breaks=world.breaks - 1)
            yield _swap(fewer, link, link._replace(broken=True))
            yield _swap(fewer, link, link._replace(broken=True, coming=((), ())))
        for node in (0, 1):
            state = link.ends[node]
            if link.coming[node]:
                yield _deliver(world, link, node)
            if state not in ("-", "closed") and _sees_the_end(link, node, rules.blind):
                yield _swap(world, link, link.end(node, "closed"))
            if world.timeouts and _may_time_out(link, node, rules.late):
                yield _swap(world._replace(timeouts=world.timeouts - 1), link, link.end(node, "closed"))


def explore(rules: Rules, check: Callable[[World], None]) -> int:
    """Visit every world; `check` those where nothing can happen any more. The number of worlds."""
    start = World((), (0, 0), (0, 0), rules.breaks, rules.timeouts, rules.migrations)
    seen, waiting = {start}, [start]
    while waiting:
        world = waiting.pop()
        following = list(steps(world, rules))
        if not following:
            check(world)
        for after in following:
            if after not in seen:
                seen.add(after)
                waiting.append(after)
    return len(seen)
