"""aioquic's sans-IO connection as we want it: bounded, one stream, TLS as we speak it. No I/O, no clock.

Everything that touches a private name of aioquic stands here, behind one function or override each.
"""

from __future__ import annotations

import logging
import ssl
from dataclasses import replace
from typing import Final

from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import Limit, QuicConnection
from aioquic.quic.events import ConnectionTerminated
from aioquic.quic.packet import QuicProtocolVersion
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.recovery import QuicPacketSpace
from aioquic.quic.stream import QuicStream as Half
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from transports.addresses import is_loopback
from transports.tls.certificates import Certificate
from transports.tls.stream import ALPN

STREAM: Final = 0
"""The one stream of a connection: the first that the dialer can open both ways."""
WINDOW: Final = 1 << 20
"""Bytes that may lie unread before the peer has to wait."""
IDLE: Final = 90.0
"""Seconds without a datagram after which a connection is given up: later than a session's own heartbeat does."""
LARGE: Final = 8 << 10
"""Bytes of a datagram within one machine. Elsewhere they are the 1200 that every path carries."""
DATAGRAM_FRAME: Final = 65_535
"""Bytes of a DATAGRAM frame that this side takes (RFC 9221): whatever fits in a datagram of the system."""
AROUND_DATAGRAM: Final = 48
"""Bytes of a packet at most beside the one DATAGRAM frame's content: header with a connection id of 20, tag, length."""
VERSION: Final = QuicProtocolVersion.VERSION_1
CID_LENGTH: Final = 8

logging.getLogger("quic").addHandler(logging.NullHandler())  # else a peer's mistakes would go to stderr


def server_configuration(certificate: Certificate) -> QuicConfiguration:
    """Shows the node's certificate; no tickets, since nobody is given any."""
    configuration = _configuration(is_client=False)
    configuration.certificate = x509.load_der_x509_certificate(certificate.der)
    configuration.private_key = certificate.key
    return configuration


def client_configuration() -> QuicConfiguration:
    """The server may show any certificate: what counts is the key in it, and whoever dials compares that."""
    return _configuration(is_client=True)


def towards(host: str, configuration: QuicConfiguration) -> QuicConfiguration:
    """For a peer at this number: within one machine datagrams are large, and cost less by the byte."""
    return replace(configuration, max_datagram_size=LARGE) if is_loopback(host) else configuration


def _configuration(*, is_client: bool) -> QuicConfiguration:
    return QuicConfiguration(
        is_client=is_client,
        alpn_protocols=[ALPN],
        connection_id_length=CID_LENGTH,
        idle_timeout=IDLE,
        max_datagram_frame_size=DATAGRAM_FRAME,
        max_data=WINDOW,
        max_stream_data=WINDOW,
        supported_versions=[VERSION],
        verify_mode=ssl.CERT_NONE,
    )


class Connection(QuicConnection):
    """Its windows follow what was read. aioquic's own double whenever something arrives, read or not."""

    read = 0
    """Bytes of the stream that its owner has taken."""

    def __init__(self, configuration: QuicConfiguration, *, original: bytes | None = None, retry: bytes | None = None):
        super().__init__(
            configuration=configuration,
            original_destination_connection_id=original,
            retry_source_connection_id=retry,
        )
        self._allow_streams(self._local_max_streams_bidi, 0 if configuration.is_client else 1)
        self._allow_streams(self._local_max_streams_uni, 0)

    @staticmethod
    def _allow_streams(limit: Limit, count: int) -> None:
        limit.value = limit.sent = count

    @property
    def window_is_due(self) -> bool:
        """Whether so much was read that the peer should hear of it."""
        return self.read + WINDOW - self._local_max_data.sent >= WINDOW // 4

    def _write_connection_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace) -> None:
        """Override: raise the limit by what was read, and keep aioquic from raising it by what came."""
        limit, used = self._local_max_data, self._local_max_data.used
        if self.window_is_due:
            limit.value = self.read + WINDOW
        limit.used = 0
        try:
            super()._write_connection_limits(builder, space)
        finally:
            limit.used = used

    def _write_stream_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: Half) -> None:
        """Override: as above. Runs after it, so that the two limits of the only stream are one."""
        stream.max_stream_data_local = self._local_max_data.value
        receiver, came = stream.receiver, stream.receiver.highest_offset
        receiver.highest_offset = 0
        try:
            super()._write_stream_limits(builder, space, stream)
        finally:
            receiver.highest_offset = came


def terminated(connection: QuicConnection) -> ConnectionTerminated | None:
    """How it ends or has ended, known at once; the event of that name comes three timeouts later."""
    return connection._close_event


def sent_for_the_first_time(connection: QuicConnection) -> int:
    """Bytes of the stream that have left at least once."""
    stream = connection._streams.get(STREAM)
    return stream.sender.highest_offset if stream is not None else 0


def largest_datagram(connection: QuicConnection) -> int:
    """Bytes that a DATAGRAM frame to this peer may hold; 0 if it takes none. Known once the handshake is over."""
    peer = connection._remote_max_datagram_frame_size or 0
    return max(0, min(peer, connection._max_datagram_size) - AROUND_DATAGRAM)


def hand_over(connection: QuicConnection, datagram: bytes) -> None:
    """It leaves with the next packets, as far as there is room under way."""
    connection.send_datagram_frame(datagram)


def take_back(connection: QuicConnection) -> list[bytes]:
    """The datagrams that have not left. aioquic sends what it has of them before anything of a stream."""
    left = list(connection._datagrams_pending)
    connection._datagrams_pending.clear()
    return left


def delivered(connection: QuicConnection) -> bool:
    """Whether the peer has acknowledged the whole stream and its end."""
    stream = connection._streams.get(STREAM)
    return stream is None or stream.sender.is_finished


def certificate_of_peer(connection: QuicConnection) -> bytes:
    """What the server has shown (DER), once the handshake is over; empty if nothing."""
    certificate = connection.tls._peer_certificate
    return certificate.public_bytes(Encoding.DER) if certificate is not None else b""
