"""What `actors doctor` sees of this machine: versions, extras, clock, limits. Starts and changes nothing."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from actors.config import NodeConfig
from actors.console.doctor_words import Finding, Memory, files_needed, good, judge_memory, memory_of, problem, warning
from actors.control.server import MAX_CLIENTS

LEAST: dict[str, tuple[int, ...]] = {
    "trio": (0, 30),
    "msgspec": (0, 19),
    "cryptography": (43,),
    "trio-websocket": (0, 12),
    "wsproto": (1, 2),
    "rich": (13, 6),
    "cyclopts": (4,),
}
"""What pyproject.toml asks for; a test compares."""
EXTRAS = {"quic": ("aioquic", "quic:// addresses"), "fuzz": ("atheris", "scripts/fuzz led by coverage")}
"""Extra -> what it installs, and what needs it."""
_OWN_ENGINES = 3
"""A router, a transport, and one that an app is likely to spawn."""
_YEARS = range(2025, 2100)
_SOMAXCONN = Path("/proc/sys/net/core/somaxconn")
_MEMORY_MAX = Path("/sys/fs/cgroup/memory.max")


def machine(config: NodeConfig) -> Iterator[Finding]:
    """All of it, for a node with these settings."""
    yield python()
    yield packages()
    yield from extras(config)
    yield clock(datetime.now(UTC), time.get_clock_info("monotonic").resolution)
    yield files(config, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    yield from backlog(config)
    yield judge_memory(memory(config), available_memory())


def memory(config: NodeConfig) -> Memory:
    """The most that a node with these settings may take."""
    return memory_of(config, own_engines=_OWN_ENGINES)


def python() -> Finding:
    """Its version."""
    found = f"{sys.version.split()[0]} ({sys.platform})"
    if (3, 11) <= sys.version_info < (3, 14):
        return good("python", found)
    return warning("python", f"{found}: 3.11 to 3.13 are tested", "run it with one of those")


def packages() -> Finding:
    """What is needed, and in which version it is there."""
    found, wrong = [], []
    for name, least in LEAST.items():
        has = _version(name)
        found.append(f"{name} {has or 'missing'}")
        if has is None or _numbers(has) < least:
            wrong.append(f"{name}>={'.'.join(map(str, least))}")
    words = ", ".join(found)
    if wrong:
        return problem("packages", words, f"pip install {' '.join(repr(each) for each in wrong)}")
    return good("packages", words)


def extras(config: NodeConfig) -> Iterator[Finding]:
    """Those of which something is used, or could be."""
    for extra, (name, use) in EXTRAS.items():
        install = f"pip install 'trio-actors[{extra}]'"
        if has := _version(name):
            yield good("extra", f"{extra}: {name} {has}")
        elif any(url.startswith(f"{extra}://") for url in config.listen):
            yield problem("extra", f"{extra}: {name} is not installed, and the settings need it for {use}", install)
        else:
            yield good("extra", f"{extra}: not installed; only {use} need it: {install}")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:3] if part.isdecimal())


def clock(now: datetime, resolution: float) -> Finding:
    """Wall time is for people and for boot numbers; everything else goes by the monotonic clock."""
    if now.year not in _YEARS:
        return warning("clock", f"it says {now:%Y-%m-%d}", "set it: a node's boot number grows with it (PROTOCOL I1)")
    if resolution > 1e-3:
        what = f"the monotonic clock moves in steps of {resolution:g} s"
        return warning("clock", what, "acknowledgements wait for 5 ms: expect them late")
    return good("clock", f"{now:%Y-%m-%d %H:%M} UTC; monotonic in steps of {resolution:g} s")


def files(config: NodeConfig, limit: int) -> Finding:
    """How many may be open, against how many the node may need."""
    needed = files_needed(config, clients=MAX_CLIENTS)
    if limit == resource.RLIM_INFINITY:
        return good("files", "any number of files may be open")
    if needed is None:
        return warning("files", f"{limit} may be open; limits.unproven is unlimited", "give limits.unproven a number")
    words = f"{limit} may be open; connections to {len(config.peers)} peers, strangers and clients may need {needed}"
    return good("files", words) if limit >= needed else warning("files", words, f"ulimit -n {_power(needed)}")


def _power(count: int) -> int:
    return 1 << (count - 1).bit_length()


def backlog(config: NodeConfig) -> Iterator[Finding]:
    """How many connections the kernel keeps for a listener that is busy. Linux only."""
    try:
        most = int(_SOMAXCONN.read_text())
    except (OSError, ValueError):
        return
    wanted = min(config.limits.unproven, 1024)
    words = f"the kernel keeps {most} connections for a busy listener"
    if most < wanted:
        yield warning("backlog", f"{words}, limits.unproven are {wanted}", f"sysctl -w net.core.somaxconn={wanted}")
    else:
        yield good("backlog", words)


def available_memory() -> int | None:
    """Bytes that this machine has, or that the cgroup of this process may take."""
    try:
        physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None
    try:
        return min(physical, int(_MEMORY_MAX.read_text()))
    except (OSError, ValueError):
        return physical
