"""Faults of the connections between nodes of a local cluster: cut, kept apart, slow; and their end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from actors.control.client import ControlClient, open_control
from actors.control.failures import ControlError
from actors.control.gathering import Answers, gather, gather_each
from actors.control.messages import Away, Troubles
from actors.control.sockets import NodeSocket
from actors.snapshots import NodeSnapshot


class Known(Struct, frozen=True):
    """A node that answers, and what troubles it now."""

    node: NodeSnapshot
    troubles: Troubles

    @property
    def away(self) -> Away:
        """Who keeps away from this node, says this."""
        return Away(peer=self.node.id, addresses=self.node.addresses)


async def look(nodes: Sequence[NodeSocket]) -> Answers[Known]:
    """Who they are, where they are, what troubles them. ControlError `no_faults` for what no fault can be done to."""
    answers = await gather(nodes, _known)
    found: dict[str, Known] = {}
    for name, known in answers.by_name.items():
        if isinstance(known, ControlError):
            raise known
        found[name] = known
    return Answers(found, answers.silent)


async def cut(node: NodeSocket, peer: str) -> None:
    """Break the connection between the two now. ControlError `not_connected`."""
    async with open_control(node.path) as control:
        await control.cut(peer)


async def part(nodes: Sequence[NodeSocket], group: Collection[str], others: Collection[str]) -> dict[str, str]:
    """From now on nobody of the one group reaches anybody of the other; which nodes did not answer, and why.

    Both ends are told, as each connection has one that dialed. A node keeps away from whom it kept away before, too.
    """
    sides = [node for node in nodes if node.name in {*group, *others}]
    found = await look(sides)

    def parted(name: str, known: Known) -> Troubles:
        away = [other.away for far, other in found.by_name.items() if (far in group) != (name in group)]
        return replace(known.troubles, away=merged(known.troubles.away, away))

    return found.silent | await _trouble(sides, found, parted)


async def slow(nodes: Sequence[NodeSocket], latency: float, rate: float | None) -> dict[str, str]:
    """All connections of these nodes: seconds added to each round trip, bytes a second each way."""
    found = await look(nodes)
    slowed = await _trouble(nodes, found, lambda _, known: replace(known.troubles, latency=latency, rate=rate))
    return found.silent | slowed


async def heal(nodes: Sequence[NodeSocket]) -> dict[str, str]:
    """No more faults of connections. Links that were lost come back by themselves."""
    found = await look(nodes)
    return found.silent | await _trouble(nodes, found, lambda *_: Troubles())


def merged(before: Iterable[Away], more: Iterable[Away]) -> tuple[Away, ...]:
    """Of each node the newest word on where it is. Pure."""
    return tuple({away.peer: away for away in [*before, *more]}.values())


async def _known(control: ControlClient) -> Known | ControlError:
    node = await control.node()
    try:
        return Known(node, await control.faults())
    except ControlError as error:
        if error.code == "no_faults":
            return error
        raise


async def _trouble(
    nodes: Sequence[NodeSocket], found: Answers[Known], wanted: Callable[[str, Known], Troubles]
) -> dict[str, str]:
    async def trouble(node: NodeSocket, control: ControlClient) -> None:
        await control.trouble(wanted(node.name, found.by_name[node.name]))

    return (await gather_each([node for node in nodes if node.name in found.by_name], trouble)).silent
