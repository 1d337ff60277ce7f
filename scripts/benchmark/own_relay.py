"""The project as a relay of messages of 64 KiB: opaque, which it does not look into, or decoded.

    own_relay node      processor seconds a message of the node in the middle of three, for all that it does
    own_relay step      seconds a message of the codec's part in that: a run's bytes in, the next hop's out

Load 0: opaque, as bytes; 1: decoded, and encoded again; 2: opaque, as a msgspec.Raw, of which it must find the end.
What is carried is the same in all of them: records with bodies of 100 bytes.
"""

from __future__ import annotations

import sys
import time

import trio
from msgspec import Raw, Struct, msgpack

from actors import Engine, EngineID, Message, Request, on, open_node
from actors.runtime import Codec, encode
from benchmark import worker
from benchmark.own import Arrived, Sink
from benchmark.trio_worker import serve, until_alone
from benchmark.worker import BODY, LARGE, beside, clock, greet, module

RECORDS = 550


class Record(Struct, frozen=True):
    """What the large message is made of."""

    number: int
    body: bytes


class Opaque(Message, tag="bench.opaque"):
    cargo: bytes


class Sealed(Message, tag="bench.sealed"):
    cargo: Raw


class Open(Message, tag="bench.open"):
    cargo: tuple[Record, ...]


class Spent(Request[float], tag="bench.spent"):
    """Answered with the processor seconds that the process has used."""


class Relay(Engine):
    """Hands on what it gets."""

    to: EngineID

    @on(Opaque)
    def opaque(self, msg: Opaque) -> None:
        self.tell(self.to, msg)

    @on(Sealed)
    def sealed(self, msg: Sealed) -> None:
        self.tell(self.to, msg)

    @on(Open)
    def opened(self, msg: Open) -> None:
        self.tell(self.to, msg)

    @on(Arrived)
    async def arrived(self, msg: Arrived) -> int:
        return await self.ask(self.to, msg)

    @on(Spent)
    def spent(self, _: Spent) -> float:
        return time.process_time()


class Last(Sink):
    """Where it ends. It does not look into it either."""

    @on(Opaque)
    def opaque(self, _: Opaque) -> None:
        self.count += 1


class Reader(Sink):
    """The same for the other kind."""

    @on(Open)
    def opened(self, _: Open) -> None:
        self.count += 1


async def last() -> None:
    """The node at the end."""
    async with until_alone(), open_node() as node:
        node.spawn(Last(), "opaque")
        node.spawn(Reader(), "open")
        greet(str(node.advert))
        await trio.sleep_forever()


async def relay() -> None:
    """The node in the middle."""
    with beside(*module("own_relay", "last")) as there:
        async with until_alone(), open_node() as node:
            peer = node.learn(there.greeting)
            for name in ("opaque", "open"):
                node.spawn(Relay(to=EngineID(peer, name)), name)
            greet(str(node.advert))
            await trio.sleep_forever()


def messages() -> tuple[Opaque, Open, Sealed]:
    """The message, in each form."""
    records = tuple(Record(number, BODY) for number in range(RECORDS))
    packed = msgpack.encode(records)
    assert abs(len(packed) / len(LARGE) - 1) < 0.1
    return Opaque(packed), Open(records), Sealed(Raw(packed))


async def through_node() -> None:
    """The node that tells."""
    opaque, opened, _ = messages()
    with beside(*module("own_relay", "relay")) as there:
        async with open_node(listen=()) as node:
            peer = node.learn(there.greeting)

            async def measure(count: int, load: int) -> float:
                to = EngineID(peer, "open" if load else "opaque")
                message = opened if load else opaque
                before = await node.ask(to, Spent())
                for _ in range(count):
                    await node.tell(to, message)
                assert await node.ask(to, Arrived(count)) == count
                return (await node.ask(to, Spent()) - before) / count

            await serve(measure)


def step() -> None:
    """What the codec does for one message at the relay."""
    codec, runs = Codec.of(Relay), [bytearray(b"\x91" + encode(message)) for message in messages()]

    def measure(count: int, load: int) -> float:
        body, began = memoryview(runs[load]), clock()
        for _ in range(count):
            encode(codec.tells(body, 1)[0])
        return (clock() - began) / count

    worker.serve(measure)


def main(arguments: list[str]) -> None:
    """What the head of the file says."""
    match arguments:
        case ["last"]:
            trio.run(last)
        case ["relay"]:
            trio.run(relay)
        case ["node"]:
            trio.run(through_node)
        case ["step"]:
            step()
        case _:
            sys.exit(f"own_relay: no such measure: {' '.join(arguments)}")


if __name__ == "__main__":
    main(sys.argv[1:])
