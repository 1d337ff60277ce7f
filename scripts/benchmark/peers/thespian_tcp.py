"""Thespian's multiprocTCPBase: one actor tells another, both processes of their own."""

from __future__ import annotations

import socket
from typing import Any

from thespian.actors import Actor, ActorSystem

from benchmark.worker import BODY, MAILBOX, SENDER, TARGET, clock, serve


class Receiver(Actor):
    """Counts."""

    count = 0

    def receiveMessage(self, message: Any, sender: Any) -> None:
        """Thespian's name for it."""
        if isinstance(message, dict):
            self.count += 1
        elif message == "count":
            self.send(sender, self.count)


class Teller(Actor):
    """Tells the receiver so many, and says when it has counted them."""

    boss: Any = None

    def receiveMessage(self, message: Any, sender: Any) -> None:
        """Thespian's name for it."""
        if isinstance(message, tuple):
            receiver, count = message
            self.boss = sender
            for _ in range(count):
                self.send(receiver, {"sender": SENDER, "target": TARGET, "mailbox": MAILBOX, "msg": BODY})
            self.send(receiver, "count")
        elif isinstance(message, int):
            self.send(self.boss, message)


def main() -> None:
    """Answer requests."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    system = ActorSystem("multiprocTCPBase", {"Admin Port": port})
    try:
        receiver, teller = system.createActor(Receiver), system.createActor(Teller)

        def measure(count: int, _: int) -> float:
            began = clock()
            if system.ask(teller, (receiver, count), 60) is None:
                raise RuntimeError("Thespian gave no answer in 60 s")
            return (clock() - began) / count

        serve(measure)
    finally:
        system.shutdown()


if __name__ == "__main__":
    from benchmark.peers import thespian_tcp  # Thespian imports its actors by their module's name

    thespian_tcp.main()
