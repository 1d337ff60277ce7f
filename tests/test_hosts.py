"""Hosts for tests: what they hear of each other, the line between two, a bound of memory, and that nothing is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from subprocess import PIPE, Popen

import pytest
import trio

from actors.errors import ConfigError
from actors.testing.hosts import (
    Host,
    HostError,
    Weather,
    apart,
    deaf,
    open_bound,
    open_hosts,
    open_line,
    why_not,
)
from actors.testing.hosts.memory import PREFIX, _place

ROOT = Path(__file__).parents[1]
needs_hosts = pytest.mark.skipif(bool(why_not()), reason=why_not() or "hosts can be made")

LISTEN = """
import socket, sys
one = socket.create_server((sys.argv[1], 7000))
print(flush=True)
while True:
    peer, _ = one.accept()
    peer.sendall(peer.recv(100))
"""
ECHO = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], 7000), timeout=1) as one:
        one.sendall(b"x")
        print(len(one.recv(1)))
except OSError as error:
    print(0)
"""
HOLD = """
import socket, sys
one = socket.create_connection((sys.argv[1], 7000))
print(flush=True)
one.recv(1)
"""


# -- weather ----------------------------------------------------------------------------------------------


def test_the_weather_loses_its_part_and_delays_the_rest() -> None:
    weather, dice = Weather(delay=0.05, jitter=0.01, loss=0.25), random.Random(1)
    fates = [weather.fate(dice.random) for _ in range(10_000)]
    took = [fate for fate in fates if fate is not None]
    assert 2300 < len(fates) - len(took) < 2700
    assert 0.05 <= min(took) < 0.0501
    assert 0.0599 < max(took) <= 0.06


@pytest.mark.parametrize(("delay", "jitter", "loss"), [(-1.0, 0.0, 0.0), (0.0, -0.1, 0.0), (0.0, 0.0, 1.0)])
def test_no_line_is_worse_than_lost(delay: float, jitter: float, loss: float) -> None:
    with pytest.raises(ConfigError):
        Weather(delay=delay, jitter=jitter, loss=loss)


# -- what a host hears ------------------------------------------------------------------------------------


@contextmanager
def started(command: list[str]) -> Iterator[Popen[bytes]]:
    """A process that is killed when the block is left."""
    with Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


@asynccontextmanager
async def listening(host: Host) -> AsyncIterator[None]:
    """An echo there, at port 7000."""
    with started([*host.through(), sys.executable, "-c", LISTEN, host.address]) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield


async def hears(here: Host, there: Host) -> bool:
    """Whether one can talk to the other, which listens."""
    return await here.run(sys.executable, "-c", ECHO, there.address) == "1\n"


@needs_hosts
@pytest.mark.slow
async def test_hosts_hear_each_other_unless_they_are_told_not_to() -> None:
    async with open_hosts("a", "b", "c") as (a, b, c), listening(b):
        assert await hears(a, b)
        async with apart(a, b):
            assert not await hears(a, b)
            assert await hears(c, b)
        async with deaf(a, b):
            assert not await hears(a, b)
        async with deaf(b, a):
            assert not await hears(a, b)
            assert await hears(c, b)
        async with b.shut(("tcp", 7000)):
            assert not await hears(c, b)
        async with b.shut(("udp", 7000), ("tcp", 7001)):
            assert await hears(c, b)
        async with a.narrow("1mbit"):
            assert await hears(a, b)
            assert "tbf" in await a.run("tc", "qdisc")
        assert "tbf" not in await a.run("tc", "qdisc")
        assert await hears(a, b)


@needs_hosts
async def test_connections_are_broken_as_if_they_were_reset() -> None:
    async with open_hosts("a", "b") as (a, b), listening(b):
        with started([*a.through(), sys.executable, "-c", HOLD, b.address]) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            await a.break_connections(b)
            assert b"ConnectionAbortedError" in process.stderr.read()


@needs_hosts
@pytest.mark.slow
async def test_a_line_takes_its_time_and_loses_some() -> None:
    async with open_line("a", "b", Weather(delay=0.05)) as (a, b), listening(b):
        began = trio.current_time()
        assert await hears(a, b)
        assert trio.current_time() - began >= 0.2, "the greeting of TCP, and the echo"
    async with open_line("a", "b", Weather(loss=0.99, seed=1)) as (a, b), listening(b):
        assert not await hears(a, b)


@needs_hosts
async def test_what_fails_on_a_host_is_told() -> None:
    async with open_hosts("a") as (a,):
        with pytest.raises(HostError, match="ls /nowhere"):
            await a.run("ls", "/nowhere")


def test_where_no_hosts_can_be_made_it_is_said_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("sys.platform", "linux")
    assert "root" in why_not.__wrapped__()


# -- memory -----------------------------------------------------------------------------------------------


def _bounds() -> list[str]:
    return [folder.name for folder in _place()[0].glob(f"{PREFIX}{os.getpid()}-*")]


@needs_hosts
def test_who_takes_more_than_the_bound_is_killed_and_nothing_is_left() -> None:
    with open_bound(64 << 20) as bound:
        assert len(_bounds()) == 1
        take = [*bound.through, sys.executable, "-c", "import sys; x = b'x' * (int(sys.argv[1]) << 20)"]
        assert subprocess.run([*take, "8"], check=False).returncode == 0
        assert 8 << 20 < bound.peak < 64 << 20
        assert subprocess.run([*take, "80"], check=False).returncode == -signal.SIGKILL
    assert _bounds() == []


@needs_hosts
def test_what_a_killed_process_left_is_swept() -> None:
    gone = Popen(["true"])
    gone.wait()
    left = _place()[0] / f"{PREFIX}{gone.pid}-1"
    left.mkdir()
    with open_bound(64 << 20):
        assert not left.exists()


# -- the end ----------------------------------------------------------------------------------------------


KILLED = """
import subprocess, sys, trio
from actors.testing.hosts import Weather, open_hosts, open_line

async def main():
    async with open_hosts("a", "b") as hosts, open_line("c", "d", Weather()) as line:
        for host in (*hosts, *line):
            subprocess.Popen([*host.through(), "sh", "-c", f"echo; exec sleep {sys.argv[1]}"])
        await trio.sleep_forever()

trio.run(main)
"""


def _sleepers(mark: str) -> int:
    """How many processes have these words."""
    found = 0
    for process in Path("/proc").iterdir():
        try:
            found += process.name.isdigit() and f"sleep\0{mark}\0".encode() in (process / "cmdline").read_bytes()
        except OSError:  # it ended meanwhile
            continue
    return found


async def _until(holds: Callable[[], bool]) -> None:
    with trio.fail_after(20):
        while not holds():  # noqa: ASYNC110 - other processes
            await trio.sleep(0.02)


@needs_hosts
@pytest.mark.slow
async def test_what_runs_on_hosts_ends_with_their_maker_however_that_ends() -> None:
    mark = f"1000.{os.getpid()}"
    with started([sys.executable, "-c", KILLED, mark]) as maker:
        await _until(lambda: _sleepers(mark) == 4)
        maker.kill()
        await _until(lambda: not _sleepers(mark))
