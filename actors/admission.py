"""Whom a node deals with: policies, asked before each dial, at each connection that comes, and after its proof. Pure.

    open_node(policy=all_of(DenyList(networks=("192.0.2.0/24",)), Capacity(links=200, kept=20)))

A policy is a function from a `Visit` to a `Verdict`. It changes nothing and does not wait; what it needs to know is in
the visit. One that raises turns that connection away.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Protocol, TypeAlias

from msgspec import Struct

from actors.errors import ConfigError, IdentityError
from actors.identity import NodeID

_Network: TypeAlias = IPv4Network | IPv6Network


class Moment(Enum):
    """When a policy is asked."""

    DIAL = "dial"
    """This node is about to dial an address of a peer."""
    ACCEPT = "accept"
    """Somebody has connected, and has still to say who it is: what it claims is not believed (PROTOCOL H8)."""
    PROOF = "proof"
    """Whoever connected has proved who it is."""


class Visit(Struct, frozen=True, kw_only=True):
    """Who, where and when."""

    moment: Moment
    node: NodeID | None = None
    """The peer; None while nobody has proved to be anybody."""
    host: str = ""
    """The other end's: an IP address, or a name where this node dials one."""
    permanent: bool = False
    """Whether this node holds the link to it for permanent. What the peer says of its own end counts nothing."""
    links: int = 0
    """Peers that this node has a Node Proxy for, without this one."""
    permanent_links: int = 0
    """Those among them whose link it holds for permanent."""
    at: float = 0.0
    """Seconds of the node's clock, which never goes back."""


class Admit(Struct, frozen=True):
    """Go on."""


class Deny(Struct, frozen=True):
    """Not this one, for good.

    A peer that has proved itself is told so in signed words, and does not come again before this node has a newer
    advert (PROTOCOL H7). `why` is for the people of this node.
    """

    why: str


class Later(Struct, frozen=True):
    """Not now: it may come again in so many seconds (PROTOCOL H7)."""

    seconds: float
    why: str


Verdict: TypeAlias = Admit | Deny | Later

ADMIT = Admit()


class Admission(Protocol):
    """What `open_node(policy=…)` takes."""

    def __call__(self, visit: Visit, /) -> Verdict: ...


def admit_all(_: Visit) -> Verdict:
    """The policy of a node that has none."""
    return ADMIT


class AllowList(Struct, frozen=True, kw_only=True):
    """Only these nodes, and only from and to these networks; an empty list admits all.

    networks: `192.0.2.0/24`, `2001:db8::/32` or one address. A host name that is dialed is in no network.
    """

    nodes: frozenset[NodeID] = frozenset()
    networks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _networks(self.networks)

    def __call__(self, visit: Visit, /) -> Verdict:
        if self.networks and not _within(visit.host, self.networks):
            return Deny(f"{visit.host or 'its host'} is in no network of the allow list")
        if self.nodes and visit.node is not None and visit.node not in self.nodes:
            return Deny("it is not on the allow list")
        return ADMIT


class DenyList(Struct, frozen=True, kw_only=True):
    """All but these nodes, and those in these networks."""

    nodes: frozenset[NodeID] = frozenset()
    networks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _networks(self.networks)

    def __call__(self, visit: Visit, /) -> Verdict:
        if visit.node in self.nodes:
            return Deny("it is on the deny list")
        if self.networks and _within(visit.host, self.networks):
            return Deny(f"{visit.host} is in a network of the deny list")
        return ADMIT


class Capacity(Struct, frozen=True, kw_only=True):
    """At most `links` peers at a time, of which `kept` places are for those whose link this node holds for permanent.

    Who is one too many may come again in `retry_after` seconds. Decided after the proof only (PROTOCOL H8): before it
    nobody knows who would get the place. A dial of this node's own takes a place like any other.
    """

    links: int
    kept: int = 0
    retry_after: float = 30.0

    def __post_init__(self) -> None:
        if not (0 <= self.kept <= self.links and self.retry_after >= 0):
            raise ConfigError(f"no node can keep {self.kept} of {self.links} places, or wait {self.retry_after} s")

    def __call__(self, visit: Visit, /) -> Verdict:
        if visit.moment is Moment.ACCEPT:
            return ADMIT
        taken = visit.links
        if not visit.permanent:
            taken += max(0, self.kept - visit.permanent_links)
        if taken < self.links:
            return ADMIT
        kept = f", {self.kept} of them kept for permanent links" if self.kept else ""
        return Later(self.retry_after, f"all {self.links} places are taken{kept}")


class _All(Struct, frozen=True):
    policies: tuple[Admission, ...]

    def __call__(self, visit: Visit, /) -> Verdict:
        for policy in self.policies:
            verdict = policy(visit)
            if not isinstance(verdict, Admit):
                return verdict
        return ADMIT


def all_of(*policies: Admission) -> Admission:
    """A policy that admits whom all of these admit; otherwise the first that does not has its word."""
    return _All(policies)


# -- lists as people write them ---------------------------------------------------------------------------


def sorted_out(entries: Iterable[str]) -> tuple[frozenset[NodeID], tuple[str, ...]]:
    """NodeIDs and networks of a list that holds both. ConfigError for an entry that is neither."""
    nodes, networks = set(), []
    for entry in entries:
        try:
            nodes.add(NodeID.parse(entry))
        except IdentityError:
            _networks((entry,))
            networks.append(entry)
    return frozenset(nodes), tuple(networks)


def _networks(texts: Iterable[str]) -> tuple[_Network, ...]:
    try:
        return tuple(ip_network(text) for text in texts)
    except ValueError as error:
        raise ConfigError(f"neither a NodeID nor a network: {error}") from None


def _within(host: str, networks: tuple[str, ...]) -> bool:
    address = _address(host)
    return address is not None and any(address in network for network in _networks(networks))


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped  # how a socket for both families shows the other one
    return address
