"""A process that holds connections to a port: `open N` makes so many more, `close` ends all; it says how many it has.

scripts/namespaces_sockets.py HOST PORT
"""

from __future__ import annotations

import socket
import sys
from contextlib import suppress


def main(host: str, port: str) -> None:
    """See above."""
    held: list[socket.socket] = []
    for line in sys.stdin:
        what, *count = line.split()
        if what == "close":
            for each in held:
                each.close()
            held.clear()
        for _ in range(int(count[0]) if count else 0):
            with suppress(OSError):
                held.append(socket.create_connection((host, int(port)), timeout=1))
        print(len(held), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
