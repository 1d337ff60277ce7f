"""Pykka: actors that are threads of one process."""

from __future__ import annotations

import pykka

from benchmark.worker import BODY, MAILBOX, SENDER, TARGET, clock, serve


class Receiver(pykka.ThreadingActor):
    """Counts."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def on_receive(self, message: object) -> int:
        """None asks for the count."""
        if message is not None:
            self.count += 1
        return self.count


def main() -> None:
    """Answer requests."""
    receiver = Receiver.start()

    def measure(count: int, _: int) -> float:
        began = clock()
        for _each in range(count):
            receiver.tell({"sender": SENDER, "target": TARGET, "mailbox": MAILBOX, "msg": BODY})
        receiver.ask(None)
        return (clock() - began) / count

    serve(measure)
    receiver.stop()


if __name__ == "__main__":
    main()
