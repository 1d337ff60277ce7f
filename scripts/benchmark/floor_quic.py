"""What aioquic does with the same message: its own asyncio server and client, one stream, nothing of ours.

floor_quic tell FRAMES     frames of 100 bytes, so many in one send, counted at the other end
floor_quic large           bodies of 64 KiB
floor_quic ping            the round trip of one frame: its middle

Both ends use datagrams as large as ours within one machine and windows that never close, which flatters the floor.
"""

from __future__ import annotations

import asyncio
import ssl
import sys

from aioquic.asyncio import QuicConnectionProtocol, connect, serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import QuicEvent, StreamDataReceived
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmark.wire import DONE, GO, envelope, frame, pings, split, tells
from benchmark.worker import BODY, LARGE, answer, beside, greet, module, next_request, ready
from transports.quic.connection import LARGE as DATAGRAM
from transports.quic.connection import sent_for_the_first_time
from transports.tls.certificates import make_certificate

STREAM = 0
AHEAD = 1 << 20
"""Bytes that wait unsent before the sender does: aioquic moves all of them at every acknowledgement."""
WINDOW = 1 << 40


def configuration(*, is_client: bool) -> QuicConfiguration:
    """Any certificate will do, as for nodes."""
    found = QuicConfiguration(
        is_client=is_client,
        max_data=WINDOW,
        max_stream_data=WINDOW,
        max_datagram_size=DATAGRAM,
        verify_mode=ssl.CERT_NONE,
    )
    if not is_client:
        certificate = make_certificate(Ed25519PrivateKey.generate())
        found.certificate = x509.load_der_x509_certificate(certificate.der)
        found.private_key = certificate.key
    return found


class Line(QuicConnectionProtocol):
    """One stream."""

    def __init__(self, quic: QuicConnection, stream_handler: object = None) -> None:
        super().__init__(quic)
        self._told = 0
        self._moved = asyncio.Event()

    def tell(self, data: bytes) -> None:
        """Send it, as soon as that is possible."""
        self._told += len(data)
        self._quic.send_stream_data(STREAM, data)
        self.transmit()

    async def send_all(self, data: bytes) -> None:
        """See Wire. Lets others run, and waits while too much is unsent."""
        self.tell(data)
        await asyncio.sleep(0)
        while self._told - sent_for_the_first_time(self._quic) > AHEAD:
            self._moved.clear()
            await self._moved.wait()

    def datagram_received(self, data: bytes | str, addr: object) -> None:
        """Override."""
        super().datagram_received(data, addr)
        self._moved.set()

    def quic_event_received(self, event: QuicEvent) -> None:
        """Override."""
        if isinstance(event, StreamDataReceived) and event.stream_id == STREAM:
            self.came(event.data)

    def came(self, data: bytes) -> None:
        """More of the stream."""
        raise NotImplementedError


# -- the other end ----------------------------------------------------------------------------------------


class Counter(Line):
    """Takes a count, then so many frames, and says that it is done; again."""

    left = 0
    tail = b""

    def came(self, data: bytes) -> None:
        """Override."""
        if not self.left:
            self.left, self.tail = int(data), b""
            return self.tell(GO)
        got, _, self.tail = split(self.tail + data if self.tail else data)
        self.left -= got
        if not self.left:
            self.tell(DONE)


class Echo(Line):
    """Answers each frame, decoded and encoded again."""

    tail = b""

    def came(self, data: bytes) -> None:
        """Override."""
        _, message, self.tail = split(self.tail + data if self.tail else data)
        if message is not None:
            self.tell(frame(message))


async def other_end(what: str) -> None:
    """Serve until the one who measures is gone."""
    kind = Echo if what == "ping" else Counter
    server = await serve("127.0.0.1", 0, configuration=configuration(is_client=False), create_protocol=kind)
    transport = server._transport  # nothing else says on which port it listens
    assert transport is not None
    greet(str(transport.get_extra_info("sockname")[1]))
    await asyncio.to_thread(sys.stdin.read)
    server.close()


# -- the end that measures --------------------------------------------------------------------------------


class Asker(Line):
    """Waits for what comes."""

    def __init__(self, quic: QuicConnection, stream_handler: object = None) -> None:
        super().__init__(quic)
        self._answers: asyncio.Queue[bytes] = asyncio.Queue()

    def came(self, data: bytes) -> None:
        """Override."""
        self._answers.put_nowait(data)

    async def receive_some(self, _: int) -> bytes:
        """See Wire."""
        return await self._answers.get()


async def measure(what: str, per_send: int) -> None:
    """Connect, and answer requests."""
    with beside(*module("floor_quic", "other-end", what)) as there:
        port = int(there.greeting)
        async with connect(
            "127.0.0.1", port, configuration=configuration(is_client=True), create_protocol=Asker
        ) as line:
            assert isinstance(line, Asker)
            message = envelope(LARGE if what == "large" else BODY)
            ready()
            while (request := await asyncio.to_thread(next_request)) is not None:
                count, _ = request
                answer(await (pings(line, message, count) if what == "ping" else tells(line, message, count, per_send)))


def main(arguments: list[str]) -> None:
    """What the head of the file says."""
    match arguments:
        case ["other-end", what]:
            asyncio.run(other_end(what))
        case ["tell", per_send]:
            asyncio.run(measure("tell", int(per_send)))
        case ["large" | "ping" as what]:
            asyncio.run(measure(what, 1))
        case _:
            sys.exit(f"floor_quic: no such floor: {' '.join(arguments)}")


if __name__ == "__main__":
    main(sys.argv[1:])
