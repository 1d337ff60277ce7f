"""The idle close: one end's answers, and every interleaving of two ends (PROTOCOL D1 to D4)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple, TypeVar

import pytest
from exploring import Broken, Found, Step, explore

from actors.net.session.closing import Asked, Closing


def in_state(state: Asked) -> Closing:
    closing = Closing()
    closing.state = state
    return closing


# -- one end ----------------------------------------------------------------------------------------------


def test_an_idle_end_asks_once() -> None:
    closing = Closing()
    assert closing.idle()
    assert closing.state is Asked.ASKING
    assert not closing.idle()


def test_writing_cancels_the_question() -> None:
    closing = in_state(Asked.ASKING)
    assert closing.sending()
    assert not closing.on_idle_ok()
    assert closing.state is Asked.OPEN


def test_asking_whether_it_may_write_cancels_nothing() -> None:
    closing = in_state(Asked.ASKING)
    assert closing.may_write
    assert closing.on_idle_ok()


def test_an_idle_end_answers_and_then_writes_nothing() -> None:
    closing = Closing()
    assert closing.on_idle(idle_here=True)
    assert closing.state is Asked.PROMISED
    assert not closing.may_write
    assert not closing.sending()
    assert not closing.idle()


def test_a_busy_end_does_not_answer() -> None:
    closing = Closing()
    assert not closing.on_idle(idle_here=False)
    assert closing.sending()


@pytest.mark.parametrize("state", list(Asked))
def test_a_message_frees_an_end_from_its_question_and_its_promise(state: Asked) -> None:
    closing = in_state(state)
    closing.on_message()
    assert closing.state is Asked.OPEN


def test_crossing_questions_are_both_answered_and_both_close() -> None:
    closing = in_state(Asked.ASKING)
    assert closing.on_idle(idle_here=True)
    assert not closing.sending()
    assert closing.on_idle_ok()


def test_an_answer_to_no_question_is_ignored() -> None:
    assert not Closing().on_idle_ok()
    assert not in_state(Asked.PROMISED).on_idle_ok()


@pytest.mark.parametrize(("state", "clean"), [(state, state is not Asked.OPEN) for state in Asked])
def test_an_end_is_clean_if_nothing_can_lie_unacknowledged(state: Asked, clean: bool) -> None:
    assert in_state(state).connection_ended() is clean


# -- two ends, exhaustively -------------------------------------------------------------------------------


T = TypeVar("T")


def _put(pair: tuple[T, T], i: int, value: T) -> tuple[T, T]:
    return (value, pair[1]) if i == 0 else (pair[0], value)


class Rules(NamedTuple):
    """What the exploration allows."""

    messages: tuple[int, int] = (2, 1)
    questions: int = 2
    expiries: int = 0
    toggles: int = 0
    cancel_by_accepting: bool = False
    """A planted bug: the question is cancelled when a message is accepted, not when it is written."""
    cancel_by_permanence: bool = False
    """A planted bug: the question is cancelled when the end becomes permanent."""


class Node(NamedTuple):
    """One node and its proxy. `link` is the index of its current connection, -1 without one."""

    accepted: int = 0
    queue: tuple[int, ...] = ()
    written: tuple[int, ...] = ()
    outcomes: frozenset[int] = frozenset()
    link: int = -1
    asked: Asked = Asked.OPEN
    questions: int = 0
    permanent: bool = False

    def idle(self) -> bool:
        return not (self.permanent or self.queue or self.written)


class Link(NamedTuple):
    """A connection: which ends are open, and the frames on their way to either."""

    open: tuple[bool, bool] = (True, True)
    coming: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())


class World(NamedTuple):
    nodes: tuple[Node, Node] = (Node(), Node())
    links: tuple[Link, ...] = ()
    expiries: int = 0
    toggles: int = 0

    def node(self, i: int, node: Node) -> World:
        return self._replace(nodes=(node, self.nodes[1]) if i == 0 else (self.nodes[0], node))

    def send(self, j: int, to: int, frame: str) -> World:
        link = self.links[j]
        if not link.open[to]:
            return self
        coming = (*link.coming[to], frame)
        return self._link(j, link._replace(coming=_put(link.coming, to, coming)))

    def receive(self, j: int, i: int) -> World:
        link = self.links[j]
        return self._link(j, link._replace(coming=_put(link.coming, i, link.coming[i][1:])))

    def close(self, j: int, i: int) -> World:
        """Node i closes its end."""
        link = self.links[j]
        world = self._link(j, Link(_put(link.open, i, False), _put(link.coming, i, ())))
        if self.nodes[i].link == j:
            world = world.node(i, self.nodes[i]._replace(link=-1, asked=Asked.OPEN))
        return world

    def swept(self) -> World:
        """Without the connections that are closed at both ends."""
        world = self
        for j in reversed(range(len(self.links))):
            if not any(world.links[j].open):
                world = world._replace(links=world.links[:j] + world.links[j + 1 :])
                for i in (0, 1):
                    node = world.nodes[i]
                    world = world.node(i, node._replace(link=node.link - (node.link > j)))
        return world

    def _link(self, j: int, link: Link) -> World:
        return self._replace(links=(*self.links[:j], link, *self.links[j + 1 :]))


def steps(world: World, rules: Rules) -> Iterator[Step[World]]:
    for i in (0, 1):
        yield from at_node(world, i, rules)
    for j, link in enumerate(world.links):
        for i in (0, 1):
            if not link.open[i]:
                continue
            if link.coming[i]:
                yield Step(
                    f"{i} receives {link.coming[i][0]}", receives(world.receive(j, i), j, i, link.coming[i][0]).swept()
                )
            elif not link.open[1 - i]:
                yield Step(f"{i} sees the end", sees_the_end(world, j, i).swept())


def at_node(world: World, i: int, rules: Rules) -> Iterator[Step[World]]:
    node = world.nodes[i]
    closing = in_state(node.asked)
    if node.accepted < rules.messages[i]:
        asked = Asked.OPEN if rules.cancel_by_accepting and node.asked is Asked.ASKING else node.asked
        accepted = node._replace(accepted=node.accepted + 1, queue=(*node.queue, node.accepted), asked=asked)
        yield Step(f"{i} accepts {node.accepted}", world.node(i, accepted))
    if node.queue and world.expiries < rules.expiries:
        expired = node._replace(queue=node.queue[1:], outcomes=node.outcomes | {node.queue[0]})
        yield Step(
            f"{node.queue[0]} expires at {i}", world.node(i, expired)._replace(expiries=world.expiries + 1), True
        )
    if world.toggles < rules.toggles:
        asked = Asked.OPEN if rules.cancel_by_permanence and node.asked is Asked.ASKING else node.asked
        toggled = node._replace(permanent=not node.permanent, asked=asked)
        yield Step(f"{i} changes permanence", world.node(i, toggled)._replace(toggles=world.toggles + 1), True)
    if node.link < 0:
        if (node.queue or node.permanent) and len(world.links) < 3:
            yield Step(f"{i} connects", connects(world, i).swept())
        return
    if node.queue and closing.may_write:
        assert closing.sending()
        wrote = node._replace(queue=node.queue[1:], written=(*node.written, node.queue[0]), asked=closing.state)
        yield Step(
            f"{i} writes {node.queue[0]}", world.node(i, wrote).send(node.link, 1 - i, f"message {node.queue[0]}")
        )
    if node.idle() and node.questions < rules.questions and closing.idle():
        asks = node._replace(asked=closing.state, questions=node.questions + 1)
        yield Step(f"{i} asks", world.node(i, asks).send(node.link, 1 - i, "idle"), True)


def connects(world: World, i: int) -> World:
    """A new connection, in one step; the other node's old one is superseded and what it had written goes again."""
    other = world.nodes[1 - i]
    if other.link >= 0:
        world = world.close(other.link, 1 - i)
    new = len(world.links)
    world = world._replace(links=(*world.links, Link()))
    world = world.node(1 - i, other._replace(link=new, queue=other.written + other.queue, written=(), asked=Asked.OPEN))
    return world.node(i, world.nodes[i]._replace(link=new, asked=Asked.OPEN))


def receives(world: World, j: int, i: int, frame: str) -> World:
    node = world.nodes[i]
    closing = in_state(node.asked)
    kind, _, number = frame.partition(" ")
    match kind:
        case "message":
            if node.link == j:
                closing.on_message()
            return world.node(i, node._replace(asked=closing.state)).send(j, 1 - i, f"ack {number}")
        case "ack":
            done = int(number)
            rest = tuple(n for n in node.written if n != done)
            queue = tuple(n for n in node.queue if n != done)
            return world.node(i, node._replace(written=rest, queue=queue, outcomes=node.outcomes | {done}))
        case "idle" if node.link == j and closing.on_idle(node.idle()):
            return world.node(i, node._replace(asked=closing.state)).send(j, 1 - i, "agreed")
        case "agreed" if node.link == j and closing.on_idle_ok():
            if node.written:
                raise Broken(f"{i} closes with {node.written} unacknowledged")
            return world.close(j, i)
    return world


def sees_the_end(world: World, j: int, i: int) -> World:
    node = world.nodes[i]
    if node.link == j:
        clean = in_state(node.asked).connection_ended()
        if node.written or (node.queue and not clean):
            raise Broken(f"{i} loses {node.written + node.queue} with no fault at all")
    return world.close(j, i)


def unfinished(world: World, rules: Rules) -> str:
    for i, node in enumerate(world.nodes):
        if len(node.outcomes) < rules.messages[i]:
            return f"{i} has outcomes for {sorted(node.outcomes)} of {rules.messages[i]}"
        if node.permanent and node.link < 0:
            return f"{i} is permanent and not connected"
    return ""


def explored(rules: Rules) -> int:
    return explore(World(), partial(steps, rules=rules), partial(unfinished, rules=rules))


def test_no_message_is_lost_in_any_interleaving_of_two_ends() -> None:
    assert explored(Rules()) > 1_000
    assert explored(Rules(messages=(2, 2), questions=3)) > 5_000


def test_no_message_is_lost_when_queued_ones_expire() -> None:
    assert explored(Rules(expiries=2)) > 1_000


def test_no_message_is_lost_and_no_permanent_link_stays_down_when_permanence_changes() -> None:
    assert explored(Rules(messages=(1, 1), toggles=2)) > 1_000


def test_a_question_cancelled_without_writing_would_leave_the_other_end_mute() -> None:
    with pytest.raises(Found, match="stuck"):
        explored(Rules(messages=(2, 1), expiries=1, cancel_by_accepting=True))
    with pytest.raises(Found, match="stuck"):
        explored(Rules(messages=(1, 1), toggles=1, cancel_by_permanence=True))
