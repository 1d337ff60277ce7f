"""Which transports a node on this machine has, by scheme. To name them imports none of them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Final

_EXTRAS: Final = {"quic": ("aioquic", (1, 7))}
"""What is only there if its package is installed, at this version or a later one."""


def _installed(name: str, least: tuple[int, int]) -> bool:
    try:
        major, minor = version(name).split(".")[:2]
        return find_spec(name) is not None and (int(major), int(minor)) >= least
    except (PackageNotFoundError, ValueError):
        return False


MISSING: Final = {
    scheme: f"pip install trio-actors[{scheme}]" for scheme, package in _EXTRAS.items() if not _installed(*package)
}
"""How to get those that are not here."""
SCHEMES: Final = tuple(scheme for scheme in ("tcp", "tls", "ws", "wss", "quic") if scheme not in MISSING)
"""Those between processes; `memory` is within one."""
LOOPBACK: Final = {scheme: f"{scheme}://127.0.0.1:0" for scheme in SCHEMES}
"""Where a node on this machine listens, at any free port."""
