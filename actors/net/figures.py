"""Figures of links as snapshots, for people. Reads what the engines share; changes nothing."""

from __future__ import annotations

from math import isinf

from msgspec.structs import asdict

from actors.identity import NodeID
from actors.net.connecting.selection import Choice
from actors.net.door import Door
from actors.net.network import Entry, Network, Outlook
from actors.net.offers import choices_for
from actors.net.session.outbox import Outbox
from actors.snapshots import AddressSnapshot, DoorSnapshot, LedgerSnapshot, LinkSnapshot, ProxySnapshot, StepSnapshot
from transports.addresses import TransportAddress


def link_snapshot(network: Network, entry: Entry) -> LinkSnapshot:
    """One Node Proxy: its past, why its addresses are dialed as they are, what falls due."""
    now, outbox, record = network.clock.now(), entry.outbox, entry.record
    link = entry.session.current if entry.session else None
    liveness = link.liveness if link else None
    expiry = outbox.transmit.expiries.next()
    return LinkSnapshot(
        peer_id=str(entry.peer),
        path=tuple(
            StepSnapshot(ago=now - step.at, state=step.phase.value, why=step.why) for step in entry.outlook.path
        ),
        addresses=tuple(address_snapshots(network, entry.peer)),
        holders=tuple(sorted(record.holders.names)),
        jitter_ms=liveness.jitter * 1000 if liveness and liveness.rtt is not None else None,
        heard_ago=now - liveness.heard if liveness else None,
        dead_in=max(0.0, liveness.next_deadline() - now) if liveness else None,
        expires_in=None if isinf(expiry) else max(0.0, expiry - now),
        outbox_bytes=outbox.transmit.weight + outbox.reserved,
        outbox_capacity=outbox.capacity,
        received=record.receive.received if record.receive else 0,
        dropped=dict(entry.session.dropped) if entry.session else {},
        incarnation=f"{record.incarnation.boot}" if record.incarnation else "",
    )


def _ledger(entry: Entry) -> LedgerSnapshot:
    """Counted from both sides: what was accepted, and what became of it or still lies here."""
    outbox, ledger = entry.outbox, entry.outbox.transmit.ledger
    return LedgerSnapshot(
        accepted=outbox.accepted,
        delivered=ledger.delivered,
        sent=ledger.sent,
        expired=ledger.expired,
        lost=ledger.lost,
        refused=ledger.refused,
        in_flight=outbox.queued + outbox.transmit.unacknowledged,
    )


def whole_ledger(network: Network) -> LedgerSnapshot:
    """Of all links of the node, those included that are gone."""
    past = LedgerSnapshot(**asdict(network.past))
    ledgers = [past, *(_ledger(entry) for entry in network.table)]
    fields = LedgerSnapshot.__struct_fields__
    return LedgerSnapshot(**{field: sum(getattr(ledger, field) for ledger in ledgers) for field in fields})


def address_snapshots(network: Network, node: NodeID) -> list[AddressSnapshot]:
    """Each address of a node, in the order in which it would be dialed now. Empty for one that is not known."""
    record = network.peers.find(node)
    if record is None:
        return []
    entry, now = network.table.find(node), network.clock.now()
    link = entry.session.current if entry and entry.session else None
    outlook = entry.outlook if entry and link else Outlook(now)
    used = (link.dialed or link.stream.remote) if link else None
    return [_address(choice, used, outlook, now) for choice in choices_for(network, record, now)]


def _address(choice: Choice[TransportAddress], used: str | None, outlook: Outlook, now: float) -> AddressSnapshot:
    record, url = choice.record, str(choice.address)
    due = outlook.better_due if url in outlook.better else None
    return AddressSnapshot(
        url=url,
        weight=choice.weight,
        after=choice.delay,
        why=choice.why,
        failures=record.failures,
        error=record.error,
        proven=record.proven,
        rtt_ms=record.rtt * 1000 if record.rtt is not None else None,
        in_use=url == used,
        score=choice.score,
        tried_ago=None if record.tried is None else now - record.tried,
        cools_for=record.cools_for(now),
        better_in=None if due is None else max(0.0, due - now),
    )


def _took(outbox: Outbox, share: float, now: float) -> float | None:
    seconds = outbox.transmit.took.percentile(share, now)
    return None if seconds is None else seconds * 1000


def proxy_snapshot(node: str, entry: Entry, now: float) -> ProxySnapshot:
    """One Node Proxy of the node of this name."""
    session, outbox, outlook = entry.session, entry.outbox, entry.outlook
    link = session.current if session else None
    receive = entry.record.receive
    return ProxySnapshot(
        node=node,
        peer=entry.peer.short,
        peer_id=str(entry.peer),
        permanence="permanent" if entry.record.holders else "ephemeral",
        state=entry.life.phase.value,
        transport=link.stream.remote.partition(":")[0] if link else None,
        address=link.stream.remote if link else None,
        rtt_ms=link.liveness.rtt * 1000 if link and link.liveness.rtt is not None else None,
        ledger=_ledger(entry),
        connections=session.connections if session else 0,
        reconnects=session.reconnects if session else 0,
        resent=outbox.transmit.resent,
        duplicates_dropped=receive.duplicates if receive else 0,
        dropped=sum(session.dropped.values()) if session else 0,
        queued=outbox.queued,
        retained=outbox.transmit.unacknowledged,
        fill=(outbox.transmit.weight + outbox.reserved) / outbox.capacity,
        since=now - outlook.since,
        why=outlook.why,
        failures=outlook.failures,
        retry_in=None if outlook.due is None else max(0.0, outlook.due - now),
        p50_ms=_took(outbox, 0.5, now),
        p99_ms=_took(outbox, 0.99, now),
    )


def door_snapshot(door: Door) -> DoorSnapshot:
    """Who has come, and what became of them."""
    counters = door.counters
    return DoorSnapshot(
        unproven=len(door.slots),
        came=counters.came,
        proven=counters.proven,
        evicted=door.slots.evicted,
        delayed=counters.delayed,
        hinted=counters.hinted,
        refused=counters.refused,
    )
