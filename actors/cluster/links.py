"""Which nodes a cluster has, and which of them are linked. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase
from typing import Literal, TypeAlias

from actors.errors import ConfigError

Topology: TypeAlias = Literal["mesh", "ring", "star"]


def node_names(count: int, names: Sequence[str] | None = None) -> tuple[str, ...]:
    """The names given, or a, b, c … z, aa, ab …"""
    if count < 1:
        raise ConfigError(f"a cluster has at least one node, not {count}")
    chosen = tuple(names) if names is not None else tuple(map(_letters, range(count)))
    if len(chosen) != count or len(set(chosen)) != count:
        raise ConfigError(f"{count} nodes need as many names, each its own: {', '.join(chosen)}")
    return chosen


def links(count: int, topology: Topology) -> tuple[tuple[int, int], ...]:
    """The linked pairs, by position: all (mesh), each with the next (ring), the first with all others (star)."""
    match topology:
        case "mesh":
            return tuple((one, other) for one in range(count) for other in range(one + 1, count))
        case "star":
            return tuple((0, other) for other in range(1, count))
        case "ring":
            pairs = {tuple(sorted((one, (one + 1) % count))) for one in range(count)}
            return tuple(sorted((one, other) for one, other in pairs if one != other))
    raise ConfigError(f"no topology {topology!r}; there are mesh, ring and star")


def _letters(position: int) -> str:
    first, last = divmod(position, len(ascii_lowercase))
    return (_letters(first - 1) if first else "") + ascii_lowercase[last]
