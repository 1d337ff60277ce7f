"""What a peer offers to be dialed at, and why this node would dial it when: the facts that `selection` decides by."""

from __future__ import annotations

from actors.net.connecting.selection import Choice, DialPrefs, Offer, explain
from actors.net.network import Network
from actors.net.peers import PeerRecord
from actors.net.session.receive import Receive
from transports.addresses import TransportAddress, parse_address
from transports.errors import AddressError


def offers_of(network: Network, record: PeerRecord[Receive]) -> list[Offer[TransportAddress]]:
    """The addresses of the peer's newest advert; those of protocols of later days are left out."""
    trusted = network.trusts(record.learned_from)
    offers = []
    for weighted in record.advert.addresses if record.advert else ():
        try:
            address = parse_address(weighted.url)
        except AddressError:
            continue
        offers.append(Offer(address, weighted.weight, trusted=trusted))
    return offers


def prefs_of(network: Network, record: PeerRecord[Receive], *, only: frozenset[str] | None = None) -> DialPrefs:
    """This node's wishes for the peer: what it has transports for, those before others that are preferred or demanded;
    `only`: no others."""
    return DialPrefs(
        schemes=record.schemes,
        only=network.schemes if only is None else network.schemes & only,
        demanded=record.demanded,
        insecure=network.cfg.insecure,
        patience=network.cfg.handshake_timeout,
    )


def choices_for(network: Network, record: PeerRecord[Receive], now: float) -> tuple[Choice[TransportAddress], ...]:
    """Each address of the peer, in the order in which it would be dialed now, with the reasons."""
    return explain(offers_of(network, record), prefs_of(network, record), record.history, now=now)
