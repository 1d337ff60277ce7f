"""What an engine may be called. Pure."""

from __future__ import annotations

from typing import Final

from actors.errors import EngineNameError, IdentityError
from actors.identity import NodeID

_LONGEST: Final = 200


def check_name(name: str, *, reserved: bool = False) -> None:
    """Raise EngineNameError for a name that is malformed, or reserved for the network's own engines.

    Reserved are `router`, `router.*`, `transport.*` and whatever reads as a NodeID: the name of a Node Proxy.
    """
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST:
        raise EngineNameError(f"an engine's name is text of 1 to {_LONGEST} characters, not {name!r}")
    if not name.isprintable() or "/" in name or " " in name:
        raise EngineNameError(f"an engine's name has no spaces, slashes or control characters; {name!r} has")
    if not reserved and is_reserved(name):
        raise EngineNameError(f"the name {name!r} is reserved for the network's own engines")


def is_reserved(name: str) -> bool:
    """Whether only the network may give this name."""
    return name == "router" or name.startswith(("router.", "transport.")) or _reads_as_node(name)


def _reads_as_node(name: str) -> bool:
    try:
        NodeID.parse(name)
    except IdentityError:
        return False
    return True
