"""The rows of each page, filtered and sorted, and what the chosen one leads to. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

from msgspec import Struct

from actors.console.ui import actions
from actors.console.ui.desk import Desk
from actors.console.ui.places import CLUSTER, Place, Sight
from actors.console.ui.problems import Problem
from actors.console.ui.watch import EventLine, NodeWatch, Watch
from actors.snapshots import DeadLetterSnapshot, EngineSnapshot, ProxySnapshot

WHOLE_ID = 52
"""Letters of a NodeID, which is the name of its proxy's engine."""
_NETWORK = ("router", "keeper")
PREFIX = 40
"""Dead letters of one reason differ in their details; so much of an outcome is its reason at most."""


class Item(Struct, frozen=True, gc=False):
    """A row: its key, what it is about, and what that means. Of ten thousand rows only a few are ever asked."""

    key: str
    value: Any
    tell: Callable[[Any], str]
    lead: Callable[[Any], Place | None] = lambda _: None

    @property
    def words(self) -> str:
        """What is found by a filter."""
        return self.tell(self.value)

    @property
    def opens(self) -> Place | None:
        """Where it leads."""
        return self.lead(self.value)


class Picture(Struct, frozen=True):
    """What is seen at one moment."""

    watch: Watch
    problems: tuple[Problem, ...]
    desk: Desk
    now: float
    items: tuple[Item, ...]
    chosen: int
    time: str = ""
    """Of a recording: where its cursor is, in words."""

    @property
    def item(self) -> Item | None:
        """The row under the cursor."""
        return self.items[self.chosen] if self.items else None


def look(watch: Watch, problems: tuple[Problem, ...], desk: Desk, now: float, time: str = "") -> Picture:
    """The picture of the place where one is."""
    items = tuple(_matching(_items(watch, problems, desk), desk.filter))
    keys = [item.key for item in items]
    last = desk.place.page == "events" and desk.following
    return Picture(watch, problems, desk, now, items, len(items) - 1 if last else desk.cursor(keys), time)


def sight(picture: Picture) -> Sight:
    """What keys can act on."""
    watch, desk, item = picture.watch, picture.desk, picture.item
    place = item.opens if item and item.opens else desk.place
    proxy = watch.proxy(place.node, place.peer)
    free = not desk.able.readonly
    return Sight(
        keys=[one.key for one in picture.items],
        opens=item.opens if item else None,
        actions=page_actions(watch, desk),
        dial=actions.dial_now(watch, place.node, proxy) if proxy and free else None,
        permanence=actions.permanence(watch, place.node, proxy) if proxy and free else None,
        faults=actions.faults_of(watch, place.node, proxy) if place.node and desk.able.faults and free else (),
        nodes=frozenset(watch.nodes),
        links={(node, watch.name_of(one)): one.peer_id for node, one in all_links(watch)} if desk.prompt else {},
    )


def page_actions(watch: Watch, desk: Desk) -> tuple[actions.Action, ...]:
    """The numbered commands of the page."""
    place = desk.place
    if place.page == "link" and (proxy := watch.proxy(place.node, place.peer)):
        return actions.for_link(watch, place.node, proxy, desk.able)
    if place.page == "node" and (node := watch.nodes.get(place.node)):
        return actions.for_node(watch, node, desk.able)
    return ()


def all_links(watch: Watch) -> list[tuple[str, ProxySnapshot]]:
    """Each with the node that tells of it; what a node said before it fell silent is not known any more."""
    return [(node.name, proxy) for node in watch.nodes.values() if node.there for proxy in node.proxies]


def is_network(engine: str) -> bool:
    """One of the network's own: a person looks for others first."""
    return engine in _NETWORK or engine.startswith("transport.") or len(engine) == WHOLE_ID


# -- rows -------------------------------------------------------------------------------------------------


def _items(watch: Watch, problems: Sequence[Problem], desk: Desk) -> list[Item]:
    place = desk.place
    match place.page:
        case "cluster" if desk.pane == "problems":
            return [_problem(watch, problem) for problem in problems]
        case "cluster":
            return _sorted([_node(node) for node in watch.nodes.values()], NODE_SORTS, desk.sort)
        case "node":
            mine = [
                (name, proxy)
                for name, proxy in all_links(watch)
                if place.node in (name, watch.names.get(proxy.peer_id))
            ]
            return _links(watch, mine)
        case "links":
            return _sorted(_links(watch, all_links(watch)), LINK_SORTS, desk.sort)
        case "link":
            return [Item(action.command, action, attrgetter("words")) for action in page_actions(watch, desk)]
        case "engines":
            engines = [(node.name, engine) for node in watch.nodes.values() for engine in node.engines]
            engines.sort(key=lambda one: is_network(one[1].name))
            return _sorted([_engine(*one) for one in engines], ENGINE_SORTS, desk.sort)
        case "events":
            first = watch.heard_events - len(watch.events)
            return [Item(str(first + number), line, _event_words) for number, line in enumerate(watch.events)]
        case "letters":
            return letters(watch)
    return []


def _event_words(line: EventLine) -> str:
    return f"{line.node} {line.event} {line.words}"


def _node(node: NodeWatch) -> Item:
    return Item(node.name, node, lambda node: f"{node.name} {node.state}", lambda node: Place("node", node=node.name))


def _links(watch: Watch, links: Iterable[tuple[str, ProxySnapshot]]) -> list[Item]:
    def words(link: tuple[str, ProxySnapshot]) -> str:
        name, proxy = link
        return f"{name} {watch.name_of(proxy)} {proxy.state} {proxy.transport} {proxy.permanence}"

    return [Item(f"{link[0]} {link[1].peer_id}", link, words, _to_link) for link in links]


def _to_link(link: tuple[str, ProxySnapshot]) -> Place:
    return Place("link", node=link[0], peer=link[1].peer_id)


def _engine(name: str, engine: EngineSnapshot) -> Item:
    return Item(f"{name}/{engine.name}", (name, engine), _engine_words, _to_engine)


def _engine_words(at: tuple[str, EngineSnapshot]) -> str:
    return f"{at[0]} {at[1].name} {at[1].type} {at[1].state}"


def _to_engine(at: tuple[str, EngineSnapshot]) -> Place:
    return Place("engine", node=at[0], engine=at[1].name)


def _problem(watch: Watch, problem: Problem) -> Item:
    found = problem.finding
    if found.engine:
        opens = Place("engine", node=found.node, engine=found.engine)
    elif found.peer:
        opens = Place("link", node=found.node, peer=found.peer)
    else:
        opens = Place("letters") if found.code == "dead_letters" else Place("node", node=found.node)
    return Item(" ".join(found.key), problem, lambda _: f"{found.code} {found.where} {found.cause}", lambda _: opens)


def letters(watch: Watch) -> list[Item]:
    """By node and reason, the most frequent first; the value is the count and the last of them."""
    counts: Counter[tuple[str, str]] = Counter()
    last: dict[tuple[str, str], DeadLetterSnapshot] = {}
    for node in watch.nodes.values():
        for letter in node.letters:
            kind = (node.name, letter.outcome.partition(":")[0][:PREFIX])
            counts[kind] += 1
            last[kind] = letter
    return [Item(" ".join(kind), (*kind, number, last[kind]), _letter_words) for kind, number in counts.most_common()]


def _letter_words(kind: tuple[str, str, int, DeadLetterSnapshot]) -> str:
    node, reason, _, last = kind
    return f"{node} {reason} {last.to} {last.tag}"


def _matching(items: list[Item], words: str) -> list[Item]:
    wanted = words.casefold().split()
    return [item for item in items if all(word in item.words.casefold() for word in wanted)] if wanted else items


# -- sorting ----------------------------------------------------------------------------------------------

Sorts = tuple[tuple[str, Callable[[Any], Any]], ...]

_NODE_ORDER = ("down", "denied", "silent", "asked", "stopping", "running")
_LINK_ORDER = ("backoff", "dialing", "handshaking", "draining", "closed", "idle", "ready")


def _place(order: Sequence[str], state: str) -> int:
    return order.index(state) if state in order else -1


NODE_SORTS: Sorts = (
    ("name", lambda node: ()),
    ("state", lambda node: _place(_NODE_ORDER, node.state)),
    ("rate", lambda node: -sum(rate or 0 for rate in node.rates())),
    ("p99", lambda node: -(node.p99_ms or 0)),
    ("outbox", lambda node: -fullest(node)),
)
LINK_SORTS: Sorts = (
    ("name", lambda link: ()),
    ("state", lambda link: _place(_LINK_ORDER, link[1].state)),
    ("rtt", lambda link: -(link[1].rtt_ms or 0)),
    ("p99", lambda link: -(link[1].p99_ms or 0)),
    ("in flight", lambda link: -link[1].ledger.in_flight),
)
ENGINE_SORTS: Sorts = (
    ("name", lambda engine: ()),
    ("held", lambda engine: -engine[1].held),
    ("handled", lambda engine: -engine[1].handled),
    ("p99", lambda engine: -(engine[1].took_p99_ms or 0)),
    ("crashes", lambda engine: -engine[1].crashes),
)
_OF_PAGE = {"cluster": NODE_SORTS, "links": LINK_SORTS, "engines": ENGINE_SORTS}


def fullest(node: NodeWatch) -> float:
    """The fill of its fullest outbox."""
    return max((proxy.fill for proxy in node.proxies), default=0.0)


def sorted_by(desk: Desk) -> str:
    """The name of the order of this page; empty where there is one only."""
    sorts = _OF_PAGE.get(desk.place.page, ())
    if not sorts or (desk.place == CLUSTER and desk.pane == "problems"):
        return ""
    return sorts[desk.sort % len(sorts)][0]


def _sorted(items: list[Item], sorts: Sorts, number: int) -> list[Item]:
    place = number % len(sorts)
    if not place:
        return items  # they come by name
    _, key = sorts[place]
    return sorted(items, key=lambda item: key(item.value))
