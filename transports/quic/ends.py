"""How a QUIC connection ended: in words, and whether the peer is to blame."""

from __future__ import annotations

from typing import Final

from aioquic.quic.events import ConnectionTerminated
from aioquic.quic.packet import QuicErrorCode

from transports.errors import CLOSED_BY_PEER, RESET_BY_PEER

DONE: Final = 0
ABORTED: Final = 1
STRANGE: Final = 2
"""What this side says when it closes: all is delivered; it is not; the peer does not speak as it should."""
_NO_FAULT: Final = (
    QuicErrorCode.NO_ERROR,
    QuicErrorCode.INTERNAL_ERROR,  # it has been idle for too long
    QuicErrorCode.CONNECTION_REFUSED,
    QuicErrorCode.APPLICATION_ERROR,  # closed before the handshake was over
    QuicErrorCode.NO_VIABLE_PATH,
)
_TLS: Final = range(QuicErrorCode.CRYPTO_ERROR, QuicErrorCode.CRYPTO_ERROR + 0x100)


def at_fault(end: ConnectionTerminated) -> bool:
    """Whether somebody does not speak QUIC, or TLS, as it should be spoken."""
    return end.frame_type is not None and end.error_code not in _NO_FAULT


def in_words(end: ConnectionTerminated) -> str:
    """What became of a connection, for people. What the peer says of it is not trusted to be printable, or short."""
    said = "".join(letter if letter.isprintable() else "?" for letter in end.reason_phrase[:100])
    if end.frame_type is None:  # closed by its owner, not by aioquic
        return {DONE: CLOSED_BY_PEER, ABORTED: RESET_BY_PEER}.get(end.error_code, f"QUIC: {said}")
    if end.error_code == QuicErrorCode.CONNECTION_REFUSED:
        return "connection refused, nothing listens there"
    if end.error_code == QuicErrorCode.APPLICATION_ERROR:
        return RESET_BY_PEER
    kind = f"TLS alert {end.error_code - _TLS.start}" if end.error_code in _TLS else f"error {end.error_code:#x}"
    return f"QUIC: {said.lower() or kind}"
