"""Reads the frames that cross a simulated network: whether anything crosses before the proof (P1, PROTOCOL H1)."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import get_args

from actors.net.messages import (
    FRAMES,
    Accepted,
    Bye,
    ConnectOk,
    ConnectRequest,
    HandshakeRefused,
    Proof,
)
from actors.testing.history.records import AnyRecord, Bytes
from actors.testing.network.wires import SimulatedNetwork
from transports.memory.connection import Connection

NUMBERS = {record: number for number, union in FRAMES.items() for record in (get_args(union) or (union,))}
"""The number of each frame, by its record."""
_BEFORE_PROOF = {NUMBERS[record] for record in (ConnectRequest, ConnectOk, Proof, Accepted, HandshakeRefused, Bye)}
_VERDICT = NUMBERS[Accepted]
_HEAD = 5
_MOST = 1 << 26


class _Way:
    """One direction of a connection: the frames in it."""

    __slots__ = ("lost", "proven", "rest")

    def __init__(self) -> None:
        self.rest = b""
        self.proven = False
        """Nothing more has to be looked at."""
        self.lost = False
        """These bytes are no frames: somebody without a node, or they were corrupted."""

    def frames(self, data: bytes) -> list[bytes]:
        """The frames that these bytes complete: type and body."""
        self.rest += data
        found = []
        while len(self.rest) >= _HEAD:
            size = int.from_bytes(self.rest[:4], "big")
            if not 0 < size <= _MOST:
                self.lost = True
                break
            if len(self.rest) < 4 + size:
                break
            found.append(self.rest[4 : 4 + size])
            self.rest = self.rest[4 + size :]
        return found


class ProofWatch:
    """Follows each connection until both ends are proven."""

    def __init__(
        self,
        network: SimulatedNetwork,
        record: Callable[[AnyRecord], None],
        now: Callable[[], float],
        nodes: Container[str],
    ) -> None:
        self._nodes = nodes
        """Names of nodes: what a stranger says is no promise of ours."""
        self._record = record
        self._now = now
        self._ways: dict[tuple[int, str], _Way] = {}
        self._accepted: set[int] = set()
        """Connections whose acceptor has said so."""
        network.on_bytes.append(self.see)
        network.on_datagram.append(self.see_datagram)

    def see_datagram(self, connection: Connection, sender: str, receiver: str, data: bytes) -> None:
        """This datagram sets out: whatever it holds, it is no part of a handshake."""
        if connection.number not in self._accepted and sender in self._nodes:
            self._record(Bytes(self._now(), sender, 0, receiver, "out", False))

    def see(self, connection: Connection, sender: str, receiver: str, data: bytes) -> None:
        """These bytes set out."""
        way = self._ways.get((connection.number, sender))
        if way is None:
            way = self._ways[connection.number, sender] = _Way()
        if way.proven or way.lost:
            return
        for frame in way.frames(data):
            dialer = sender == connection.dialer.host
            if frame[0] == _VERDICT and not dialer:
                self._accepted.add(connection.number)
            if frame[0] not in _BEFORE_PROOF:
                proven = connection.number in self._accepted
                way.proven = True
                if not proven and sender in self._nodes:
                    self._record(Bytes(self._now(), sender, 0, receiver, "out", False))
