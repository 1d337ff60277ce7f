"""What became of a piped stream, in figures. Pure: snapshots in, records out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from actors.console.errand import Receipt
from actors.snapshots import LedgerSnapshot, ProxySnapshot


class ProxyLedger(Struct, frozen=True, kw_only=True):
    """One proxy's conservation ledger over the whole run; the stream's closing ask counts too."""

    node: str
    peer: str
    ledger: LedgerSnapshot
    reconnects: int
    resent: int
    duplicates_dropped: int


class PipeReport(Struct, frozen=True, kw_only=True):
    """The `data` of `actors pipe --report`. Messages and bytes are the stream's; the outcomes are its messages'."""

    messages: int
    bytes: int
    delivered: int
    expired: int
    lost: int
    refused: int
    in_flight: int
    resent: int
    duplicates_dropped: int
    seed: int
    moves: Mapping[str, int]
    """How often the stream's link was moved to each transport, where they are mixed."""
    reconnects: int
    """How often the session was resumed after its connection had been severed with data in flight."""
    seconds: float
    pids: Mapping[str, int]
    peak_mib: Mapping[str, float]
    """The most memory each node has had, where the system tells."""
    written: int
    """Bytes that the last node got and gave to stdout."""
    proxies: tuple[ProxyLedger, ...]
    error: str = ""
    """Why the last node did not confirm the end."""

    @property
    def hole(self) -> str:
        """What is missing, in words."""
        if self.error:
            return f"the end was not confirmed: {self.error}"
        ended = f"{self.expired} expired, {self.lost} lost, {self.refused} refused, {self.in_flight} in flight"
        return f"{self.delivered} of {self.messages} messages delivered ({ended}), {self.written} bytes written"

    @property
    def whole(self) -> bool:
        """Whether everything that went in came out."""
        return not self.error and self.delivered == self.messages and self.written == self.bytes


def make_report(
    receipt: Receipt,
    proxies: Sequence[ProxySnapshot],
    *,
    first: str,
    last: str,
    written: int,
    seconds: float,
    seed: int,
    pids: Mapping[str, int],
    peak_mib: Mapping[str, float],
    moves: Mapping[str, int],
) -> PipeReport:
    """From what the source says, and what all nodes' proxies say at the end."""
    there = _between(proxies, first, last)
    back = _between(proxies, last, first)
    closing = 0 if receipt.error else 1  # the ask that confirmed the end is no message of the stream
    told = there.ledger
    return PipeReport(
        messages=receipt.messages,
        bytes=receipt.size,
        delivered=told.delivered - closing,
        expired=told.expired,
        lost=told.lost,
        refused=told.refused,
        in_flight=told.in_flight,
        resent=there.resent,
        duplicates_dropped=back.duplicates_dropped,
        seed=seed,
        moves=moves,
        reconnects=receipt.reconnects,
        seconds=round(seconds, 3),
        pids=pids,
        peak_mib=peak_mib,
        written=written,
        proxies=tuple(map(_ledger, proxies)),
        error=receipt.error,
    )


def _between(proxies: Sequence[ProxySnapshot], node: str, peer: str) -> ProxySnapshot:
    return next(proxy for proxy in proxies if (proxy.node, proxy.peer) == (node, peer))


def _ledger(proxy: ProxySnapshot) -> ProxyLedger:
    return ProxyLedger(
        node=proxy.node,
        peer=proxy.peer,
        ledger=proxy.ledger,
        reconnects=proxy.reconnects,
        resent=proxy.resent,
        duplicates_dropped=proxy.duplicates_dropped,
    )
