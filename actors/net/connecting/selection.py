"""Which of a peer's addresses are dialed, in which order and when. Pure: the clock is an argument.

Five things decide, the first that differs wins: secure before plain; addresses that do not cool down from a failure
before those that do; transports that a message demands; the preferred ones in their order; the advert's weight against
the measured round trip. Of a connection that stands all but the second count: what would be worth moving for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Generic, Protocol, TypeAlias, TypeVar

from msgspec import Struct

from actors.errors import ConfigError
from actors.net.connecting.history import DialHistory, Record
from actors.net.connecting.locality import host_in, is_local

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
BETTER = 1.5
"""An address of the same class is worth a move if its weight against its distance is so many times as good."""
_Class: TypeAlias = tuple[bool, bool, int]
_Key: TypeAlias = tuple[bool, int, bool, int, float, str]


class Offer(Struct, Generic[A], frozen=True, gc=False):
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
    demanded: frozenset[str] | None = None
    """The transports that may carry what waits for one; others come after them."""
    insecure: bool = False
    """Plain connections are allowed off this machine; also to a peer that has secure addresses, as a last resort, those
    that are preferred for it by name."""
    stagger: float = 0.25
    """Seconds between two starts of a race."""
    patience: float = 5.0
    """Seconds more that a plain address waits where there are secure ones; then it takes the place of them all."""

    def __post_init__(self) -> None:
        if self.stagger < 0:
            raise ConfigError(f"a race cannot start before it starts: stagger={self.stagger}")


class Attempt(Struct, Generic[A], frozen=True, gc=False):
    """Dial this address so many seconds after the start of the race, if nothing is proven by then."""

    address: A
    delay: float


def stages(schedule: Sequence[Attempt[A]]) -> Iterator[tuple[Attempt[A], ...]]:
    """The races that a schedule stands for, one after the other: plain is never dialed beside secure (PROTOCOL H12)."""
    for _, group in groupby(schedule, key=lambda attempt: is_plain(attempt.address)):
        yield tuple(group)


class Choice(Struct, Generic[A], frozen=True):
    """Why an address is dialed when it is, or not at all. For people."""

    address: A
    weight: float
    delay: float | None
    """None: left out."""
    why: str
    record: Record
    """What this node knows of the address from its own dials."""
    score: float
    """Weight against distance: what decides among addresses of which the rest is alike."""


def rank(offers: Sequence[Offer[A]], prefs: DialPrefs, history: DialHistory, *, now: float) -> tuple[Attempt[A], ...]:
    """The schedule of one race, empty if no address may be dialed.

    At most three starts fall into one second, counting those of the race before (PROTOCOL A4). Who starts an
    address early because the one before has failed asks `history.free_at(now)` first.
    """
    order, _ = _order(offers, prefs, history, now)
    return tuple(Attempt(offer.address, delay) for offer, delay in order)


def explain(offers: Sequence[Offer[A]], prefs: DialPrefs, history: DialHistory, *, now: float) -> tuple[Choice[A], ...]:
    """What `rank` decides, with its reasons: first the addresses to dial, in order, then those left out."""
    order, barred = _order(offers, prefs, history, now)
    dialed = [_choice(offer, delay, _reason(offer, prefs, history, now), history) for offer, delay in order]
    return (*dialed, *(_choice(offer, None, why, history) for offer, why in barred))


def _order(
    offers: Sequence[Offer[A]], prefs: DialPrefs, history: DialHistory, now: float
) -> tuple[list[tuple[Offer[A], float]], list[tuple[Offer[A], str]]]:
    """What is dialed after how many seconds, and what is not, and why."""
    has_secure = any(offer.address.secure for offer in offers)
    words = [(offer, _barred(offer, prefs, has_secure)) for offer in offers]
    order = sorted((offer for offer, why in words if not why), key=lambda offer: _key(offer, prefs, history, now))
    starts = history.schedule(len(order), prefs.stagger, now=now)
    resort = prefs.patience if order and not is_plain(order[0].address) else 0.0
    delays = [at - now + resort * is_plain(offer.address) for offer, at in zip(order, starts, strict=True)]
    return [*zip(order, delays, strict=True)], [(offer, why) for offer, why in words if why]


def better(current: str, offers: Sequence[Offer[A]], prefs: DialPrefs, history: DialHistory) -> tuple[Offer[A], ...]:
    """The addresses that are worth a move from a connection over `current`, whether they work now or not.

    None if that is not an address of the peer (any more): it works, and nothing says what it is worth.
    """
    standing = next((offer for offer in offers if str(offer.address) == current), None)
    if standing is None:
        return ()
    has_secure = any(offer.address.secure for offer in offers)
    candidates = [offer for offer in offers if not _barred(offer, prefs, has_secure)]
    for wanted in (prefs.schemes, prefs.demanded or ()):  # somebody wants it there
        if standing.address.scheme in wanted:
            candidates = [offer for offer in candidates if offer.address.scheme in wanted]
    return tuple(offer for offer in candidates if _is_better(offer, standing, prefs, history))


def _is_better(offer: Offer[A], standing: Offer[A], prefs: DialPrefs, history: DialHistory) -> bool:
    mine, its = _class(offer.address, prefs), _class(standing.address, prefs)
    return mine < its or (mine == its and _score(offer, history) > BETTER * _score(standing, history))


def _choice(offer: Offer[A], delay: float | None, why: str, history: DialHistory) -> Choice[A]:
    record = history.record(str(offer.address))
    return Choice(offer.address, _weight(offer), delay, why, record, _score(offer, history))


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
    if not offer.trusted and is_local(host_in(str(address))):
        return "a local address, learned from afar"  # PROTOCOL A4
    if not is_plain(address):
        return ""
    if has_secure and not (prefs.insecure and scheme in prefs.schemes):
        return "plain, and the peer has a secure address"  # PROTOCOL H12
    if not (address.loopback or prefs.insecure):
        return "plain, off this machine, and insecure is not set"
    return ""


def _key(offer: Offer[A], prefs: DialPrefs, history: DialHistory, now: float) -> _Key:
    url = str(offer.address)
    record = history.record(url)
    plain, refused, preference = _class(offer.address, prefs)
    cools = record.failures if record.cools_for(now) > 0 else 0
    return (
        plain,
        cools,
        refused,
        preference,
        -_score(offer, history),  # spec S2: "performs transport selection"
        url,
    )


def _class(address: Address, prefs: DialPrefs) -> _Class:
    """What counts before all measuring; the smaller is the better."""
    refused = prefs.demanded is not None and address.scheme not in prefs.demanded
    return is_plain(address), refused, _preference(address.scheme, prefs)


def _score(offer: Offer[A], history: DialHistory) -> float:
    return _weight(offer) * history.record(str(offer.address)).nearness()


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
        f"demanded ({offer.address.scheme})" if offer.address.scheme in (prefs.demanded or ()) else "",
        f"preferred ({offer.address.scheme})" if offer.address.scheme in prefs.schemes else "",
        f"weight {_weight(offer):g}",
        "never measured" if record.rtt is None else f"round trip {record.rtt * 1000:.3g} ms",
        "plain" if is_plain(offer.address) else "",
    )
    return ", ".join(word for word in words if word)
