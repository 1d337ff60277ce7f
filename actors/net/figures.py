"""A link, looked at closely, as a snapshot. Reads what the engines share; changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from math import isinf

from actors.net.network import Entry, Network
from actors.snapshots import AddressSnapshot, LinkSnapshot, StepSnapshot


def link_snapshot(network: Network, entry: Entry, addresses: Sequence[AddressSnapshot]) -> LinkSnapshot:
    """One Node Proxy: its past, why its addresses are dialed as they are, what falls due."""
    now, outbox, record = network.clock.now(), entry.outbox, entry.record
    link = entry.session.current if entry.session else None
    liveness = link.liveness if link else None
    expiry = outbox.transmit.next_expiry()
    return LinkSnapshot(
        peer_id=str(entry.peer),
        path=tuple(
            StepSnapshot(ago=now - step.at, state=step.phase.value, why=step.why) for step in entry.outlook.path
        ),
        addresses=tuple(addresses),
        holders=tuple(sorted(record.holders.names)),
        jitter_ms=liveness.jitter * 1000 if liveness and liveness.rtt is not None else None,
        heard_ago=now - liveness.heard if liveness else None,
        dead_in=max(0.0, liveness.next_deadline() - now) if liveness else None,
        expires_in=None if isinf(expiry) else max(0.0, expiry - now),
        outbox_bytes=outbox.transmit.weight + outbox.reserved,
        outbox_capacity=outbox.capacity,
        received=record.receive.received if record.receive else 0,
        incarnation=f"{record.incarnation.boot}" if record.incarnation else "",
    )
