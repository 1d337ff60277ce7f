"""What a QUIC listener answers to strangers without remembering them. Never more bytes than it was sent."""

from __future__ import annotations

import os
from typing import Final

from aioquic.buffer import Buffer
from aioquic.quic.configuration import SMALLEST_MAX_DATAGRAM_SIZE
from aioquic.quic.connection import TRANSPORT_CLOSE_FRAME_CAPACITY
from aioquic.quic.crypto import CryptoPair
from aioquic.quic.packet import (
    QuicErrorCode,
    QuicFrameType,
    QuicHeader,
    QuicPacketType,
    encode_quic_retry,
    encode_quic_version_negotiation,
    pull_quic_header,
)
from aioquic.quic.packet_builder import QuicPacketBuilder
from aioquic.quic.retry import QuicRetryTokenHandler

from transports.quic.connection import CID_LENGTH, VERSION
from transports.tcp.sockets import SocketAddress

SMALLEST_FIRST: Final = SMALLEST_MAX_DATAGRAM_SIZE
"""Bytes of a dialer's first datagram at least, so that no answer is longer."""


def header_of(data: bytes) -> QuicHeader | None:
    """The clear part of a datagram's first packet, if it is one."""
    try:
        return pull_quic_header(Buffer(data=data), host_cid_length=CID_LENGTH)
    except ValueError:
        return None


def version_negotiation(header: QuicHeader) -> bytes:
    """Which version is spoken here."""
    return encode_quic_version_negotiation(
        source_cid=header.destination_cid, destination_cid=header.source_cid, supported_versions=[VERSION]
    )


def refusal(header: QuicHeader) -> bytes:
    """Nobody accepts connections here, or not one more. Readable for whoever saw the first datagram, as it must be."""
    crypto = CryptoPair()
    crypto.setup_initial(cid=header.destination_cid, is_client=False, version=VERSION)
    builder = QuicPacketBuilder(
        host_cid=header.destination_cid,
        is_client=False,
        max_datagram_size=SMALLEST_MAX_DATAGRAM_SIZE,
        peer_cid=header.source_cid,
        version=VERSION,
    )
    builder.start_packet(QuicPacketType.INITIAL, crypto)
    frame = builder.start_frame(QuicFrameType.TRANSPORT_CLOSE, capacity=TRANSPORT_CLOSE_FRAME_CAPACITY)
    frame.push_uint_var(QuicErrorCode.CONNECTION_REFUSED)
    frame.push_uint_var(QuicFrameType.PADDING)
    frame.push_uint_var(0)
    return builder.flush()[0][0]


class Retry:
    """Asks a dialer to show that it is where it says: a token that only this listener can make and read."""

    def __init__(self) -> None:
        self._tokens = QuicRetryTokenHandler()

    def ask(self, header: QuicHeader, source: SocketAddress, now: float) -> bytes:
        """The datagram that asks."""
        cid = os.urandom(CID_LENGTH)
        token = self._tokens.create_token(
            address=source,
            original_destination_connection_id=header.destination_cid,
            retry_source_connection_id=cid,
            now=now,
        )
        return encode_quic_retry(
            version=VERSION,
            source_cid=cid,
            destination_cid=header.source_cid,
            original_destination_cid=header.destination_cid,
            retry_token=token,
        )

    def original(self, header: QuicHeader, source: SocketAddress, now: float) -> bytes | None:
        """Whom the dialer had asked for at first, if its token is right."""
        try:
            return self._tokens.validate_token(
                address=source, destination_cid=header.destination_cid, token=header.token, now=now
            )
        except ValueError:
            return None
