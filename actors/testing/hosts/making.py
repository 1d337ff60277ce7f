"""Hosts with a network: several on one switch, or two with nothing but a bad line between them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import Final

import msgspec

from actors.testing.hosts.host import DEVICE, RULES, Host, HostError, holding, run, why_not
from actors.testing.hosts.weather import Weather

NETWORK: Final = "198.18.0."
"""Of the addresses that are set aside for tests of networks (RFC 2544). Each switch has all of them to itself."""
MOST: Final = 250
MTU: Final = 1400


@asynccontextmanager
async def open_hosts(*names: str) -> AsyncIterator[tuple[Host, ...]]:
    """Hosts that reach each other, and nobody else. HostError if none can be made here, see `why_not`."""
    async with _made("switch", *names) as (switch, *hosts):
        await switch.run("ip", "-batch", "-", said="link add name switch type bridge\nlink set switch up\n")
        for host in hosts:
            end = f"type veth peer name port{host.address.rpartition('.')[2]} netns {switch.pid}"
            await run("ip", "link", "add", "wire", "netns", str(host.pid), *end.split())
            await host.run("ip", "-batch", "-", said=f"addr add {host.address}/24 dev wire\nlink set wire up\n")
        ports = [f"port{host.address.rpartition('.')[2]}" for host in hosts]
        said = "".join(f"link set {port} master switch\nlink set {port} up\n" for port in ports)
        await switch.run("ip", "-batch", "-", said=said)
        yield tuple(hosts)


@asynccontextmanager
async def open_line(one: str, other: str, weather: Weather) -> AsyncIterator[tuple[Host, Host]]:
    """Two hosts that reach each other over a line with this weather, both ways."""
    async with _made(one, other) as (here, there):
        with _relay(here, there, weather):
            for host, peer in ((here, there), (there, here)):
                address = f"addr add {host.address} peer {peer.address} dev {DEVICE}"
                await host.run("ip", "-batch", "-", said=f"{address}\nlink set {DEVICE} mtu {MTU} up\n")
            yield here, there


@asynccontextmanager
async def _made(*names: str) -> AsyncIterator[list[Host]]:
    """Without a network, but for their own loopback."""
    if reason := why_not():
        raise HostError(reason)
    if len(names) > MOST:
        raise HostError(f"{len(names)} hosts do not fit onto one switch, at most {MOST} do")
    async with AsyncExitStack() as stack:
        hosts = [stack.enter_context(holding(name, f"{NETWORK}{number}")) for number, name in enumerate(names, 1)]
        for host in hosts:
            await host.run("ip", "link", "set", "lo", "up")
            await host.run("nft", "-f", "-", said=RULES)
        yield hosts


@contextmanager
def _relay(one: Host, other: Host, weather: Weather) -> Iterator[None]:
    command = [sys.executable, "-m", "actors.testing.hosts.relay", str(one.pid), str(other.pid)]
    command.append(msgspec.json.encode(weather).decode())
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if not process.stdout.read(1):
                raise HostError("the line between two hosts could not be made; is there a /dev/net/tun?")
            yield
        finally:
            with suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()
