"""A process: the line between two hosts, packet by packet, from one's TUN device to the other's.

    python -m actors.testing.hosts.relay PID PID WEATHER

The hosts are named by their processes; the weather is JSON. It writes a line once the devices are there, and ends with
its standard input. (Kernels may lack netem, which does the same inside.)
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import struct
import sys
import time
from contextlib import suppress
from random import Random
from select import POLLHUP, POLLIN, poll
from typing import Final

import msgspec

from actors.testing.hosts.host import DEVICE
from actors.testing.hosts.weather import Weather

_TUNSETIFF: Final = 0x400454CA
_TUN_WITHOUT_HEADER: Final = 0x0001 | 0x1000
_CLONE_NEWNET: Final = 0x40000000
_LARGEST: Final = 1 << 16
_AT_ONCE: Final = 64
"""Packets that are read from one side before the other has its turn."""


def open_device(pid: int) -> int:
    """A TUN device on that host. This process is on that host from then on."""
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "cannot enter the host's network")
    os.close(namespace)
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH", DEVICE.encode(), _TUN_WITHOUT_HEADER))
    return device


class Line:
    """Two devices, and the packets under way between them."""

    def __init__(self, one: int, other: int, weather: Weather) -> None:
        self._across = {one: other, other: one}
        self._weather = weather
        self._draw = Random(weather.seed).random  # noqa: S311 - no secret
        self._under_way: list[tuple[float, int, int, bytes]] = []
        self._count = 0

    def take(self, device: int) -> None:
        """What waits at this device goes on its way, or is lost."""
        with suppress(BlockingIOError):
            for _ in range(_AT_ONCE):
                packet = os.read(device, _LARGEST)
                seconds = self._weather.fate(self._draw)
                if seconds is not None:
                    self._count += 1
                    due = time.monotonic() + seconds
                    heapq.heappush(self._under_way, (due, self._count, self._across[device], packet))

    def deliver(self) -> float | None:
        """What has arrived by now is handed over; the seconds until the next arrives, None if nothing is under way."""
        while self._under_way:
            left = self._under_way[0][0] - time.monotonic()
            if left > 0:
                return left
            _, _, device, packet = heapq.heappop(self._under_way)
            with suppress(OSError):  # its queue is full: one more that is lost
                os.write(device, packet)
        return None

    def serve(self) -> None:
        """Returns when the standard input ends."""
        waiting = poll()
        for source in (sys.stdin.fileno(), *self._across):
            waiting.register(source, POLLIN)
        while True:
            left = self.deliver()
            for source, what in waiting.poll(None if left is None else max(0.0, 1000 * left)):
                if source in self._across:
                    self.take(source)
                elif what & (POLLIN | POLLHUP):
                    return


def main(one: str, other: str, weather: str) -> None:
    """See above."""
    line = Line(open_device(int(one)), open_device(int(other)), msgspec.json.decode(weather, type=Weather))
    sys.stdout.write("\n")
    sys.stdout.flush()
    line.serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
