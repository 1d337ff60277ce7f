"""Which of a peer's addresses are dialed, in which order and when. Pure: the clock is an argument.

Four things decide, the first that differs wins: secure before plain; addresses that do not cool down from a failure
before those that do; the preferred schemes in their order; the advert's weight against the measured round trip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeAlias, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from actors.errors import ConfigError
from actors.net.connecting.history import DialHistory, Record
from actors.net.connecting.locality import is_local

INSIDE = frozenset({"memory"})
"""Never leaves the process: neither secure nor plain, for nobody is on the way."""
ALONGSIDE = frozenset({"udp"})
"""Carries no handshake, only datagrams beside a proven connection (PROTOCOL U4)."""


class Address(Protocol):
    """What a transport dials, as `transports.addresses` has it; `str` gives its URL."""

    @property
    def scheme(self) -> str: ...
    @property
    def secure(self) -> bool: ...
    @property
    def loopback(self) -> bool: ...


A = TypeVar("A", bound=Address)
_Key: TypeAlias = tuple[bool, int, int, float, str]


class Offer(Struct, Generic[A], frozen=True):
    """An address of the peer, as an advert or the configuration names it."""

    address: A
    weight: float = 1.0
    """The peer's preference; greater is better."""
    trusted: bool = False
    """From this node's own configuration, or learned over loopback: may name a local service (PROTOCOL A4)."""


class DialPrefs(Struct, frozen=True, kw_only=True):
    """This node's wishes for one peer: those of the message, else of the peer's record, else the configuration."""

    schemes: tuple[str, ...] = ()
    """Preferred schemes, best first; others come after them."""
    only: frozenset[str] | None = None
    """The schemes that may be used at all: those this node has transports for. None: any."""
    insecure: bool = False
    """Plain connections are allowed off this machine, and beside secure ones as a last resort."""
    stagger: float = 0.25
    """Seconds between two starts of a race."""

    def __post_init__(self) -> None:
        if self.stagger < 0:
            raise ConfigError(f"a race cannot start before it starts: stagger={self.stagger}")


class Attempt(Struct, Generic[A], frozen=True):
    """Dial this address so many seconds after the start of the race, if nothing is proven by then."""

    address: A
    delay: float


class Choice(Struct, Generic[A], frozen=True):
    """Why an address is dialed when it is, or not at all. For people."""

    address: A
    weight: float
    delay: float | None
    """None: left out."""
    why: str
    record: Record
    """What this node knows of the address from its own dials."""


def rank(offers: Sequence[Offer[A]], prefs: DialPrefs, history: DialHistory, *, now: float) -> tuple[Attempt[A], ...]:
    """The schedule of one race, empty if no address may be dialed.

    At most three starts fall into one second, counting those of the race before (PROTOCOL A4). Who starts an
    address early because the one before has failed asks `history.free_at(now)` first.
    """
    return tuple(
        Attempt(choice.address, choice.delay)
        for choice in explain(offers, prefs, history, now=now)
        if choice.delay is not None
    )


def explain(offers: Sequence[Offer[A]], prefs: DialPrefs, history: DialHistory, *, now: float) -> tuple[Choice[A], ...]:
    """What `rank` decides, with its reasons: first the addresses to dial, in order, then those left out."""
    has_secure = any(offer.address.secure for offer in offers)
    barred = {id(offer): _barred(offer, prefs, has_secure) for offer in offers}
    order = sorted((o for o in offers if not barred[id(o)]), key=lambda o: _key(o, prefs, history, now))
    starts = history.schedule(len(order), prefs.stagger, now=now)
    dialed = [
        Choice(o.address, _weight(o), at - now, _reason(o, prefs, history, now), history.record(str(o.address)))
        for o, at in zip(order, starts, strict=True)
    ]
    left_out = [
        Choice(o.address, _weight(o), None, barred[id(o)], history.record(str(o.address)))
        for o in offers
        if barred[id(o)]
    ]
    return (*dialed, *left_out)


def is_plain(address: Address) -> bool:
    """Whether anyone on the way can read and change what its connections carry."""
    return not address.secure and address.scheme not in INSIDE


def _barred(offer: Offer[A], prefs: DialPrefs, has_secure: bool) -> str:
    """Why the address may not be dialed; empty if it may."""
    address, scheme = offer.address, offer.address.scheme
    if scheme in ALONGSIDE:
        return "carries datagrams only, beside a connection"
    if prefs.only is not None and scheme not in prefs.only:  # spec S2: "performs transport selection"
        return f"no transport for {scheme}:// here"
    if scheme in INSIDE:
        return ""
    if not offer.trusted and is_local(urlsplit(str(address)).hostname or ""):
        return "a local address, learned from afar"  # PROTOCOL A4
    if is_plain(address) and not prefs.insecure:
        if has_secure:
            return "plain, and the peer has a secure address"  # PROTOCOL H12
        if not address.loopback:
            return "plain, off this machine, and insecure is not set"
    return ""


def _key(offer: Offer[A], prefs: DialPrefs, history: DialHistory, now: float) -> _Key:
    url, scheme = str(offer.address), offer.address.scheme
    record = history.record(url)
    return (
        is_plain(offer.address),
        record.failures if record.cools_for(now) > 0 else 0,
        _preference(scheme, prefs),
        -_weight(offer) * record.nearness(),  # spec S2: "performs transport selection"
        url,
    )


def _preference(scheme: str, prefs: DialPrefs) -> int:
    return prefs.schemes.index(scheme) if scheme in prefs.schemes else len(prefs.schemes)


def _weight(offer: Offer[A]) -> float:
    """The peer may write what it likes; it orders only its own addresses."""
    return min(offer.weight, 1e9) if offer.weight > 0 else 0.0


def _reason(offer: Offer[A], prefs: DialPrefs, history: DialHistory, now: float) -> str:
    record = history.record(str(offer.address))
    cooling = record.cools_for(now)
    words = (
        f"failed {record.failures}x, cools down for {cooling:.0f} s more" if cooling else "",
        f"preferred ({offer.address.scheme})" if offer.address.scheme in prefs.schemes else "",
        f"weight {_weight(offer):g}",
        "never measured" if record.rtt is None else f"round trip {record.rtt * 1000:.3g} ms",
        "plain" if is_plain(offer.address) else "",
    )
    return ", ".join(word for word in words if word)
