"""pyzmq over TCP, blocking: PUSH and PULL, with one REQ at the end; the envelope of the floors."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import zmq

from benchmark.worker import BODY, MAILBOX, SENDER, TARGET, beside, clock, greet, module, serve


class Envelope(msgspec.Struct, array_like=True, gc=False):
    sender: str
    target: str
    mailbox: str
    msg: bytes


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Envelope).decode


def other_end() -> None:
    """Count, then answer."""
    context: Any = zmq.Context()
    answers, told = context.socket(zmq.REP), context.socket(zmq.PULL)
    greet(f"{answers.bind_to_random_port('tcp://127.0.0.1')} {told.bind_to_random_port('tcp://127.0.0.1')}")
    poller = zmq.Poller()
    poller.register(answers, zmq.POLLIN)
    poller.register(sys.stdin.fileno(), zmq.POLLIN)
    while answers in dict(poller.poll()):
        count = int(answers.recv())
        answers.send(b"go")
        for _ in range(count):
            decode(told.recv())
        answers.recv()
        answers.send(b"done")
    context.destroy(0)


def main() -> None:
    """Connect, and answer requests."""
    with beside(*module("peers.zmq_push", "other-end")) as there:
        context: Any = zmq.Context()
        asks, tells = context.socket(zmq.REQ), context.socket(zmq.PUSH)
        for socket, port in zip((asks, tells), there.greeting.split(), strict=True):
            socket.connect(f"tcp://127.0.0.1:{port}")

        def measure(count: int, _: int) -> float:
            asks.send(b"%d" % count)
            asks.recv()
            began = clock()
            for _each in range(count):
                tells.send(encode(Envelope(SENDER, TARGET, MAILBOX, BODY)))
            asks.send(b"?")
            asks.recv()
            return (clock() - began) / count

        serve(measure)
        context.destroy(0)


if __name__ == "__main__":
    other_end() if sys.argv[1:] == ["other-end"] else main()
