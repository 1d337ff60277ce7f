"""What lies in a cluster's directory beside its sockets, and the end of it. Paths only; nothing is started here.

<node>.sock     its control socket
<node>.start    how it was started, for who starts it again
<node>.state    its state folder: its key, its boot number
<cluster>.log   what its nodes say, where nobody listens
lifeline        nodes that were started again end with who holds this open
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from actors.control.sockets import live_sockets

LIFELINE = "lifeline"
_LEFT = (".start", ".state", ".log")


def start_path(control: Path) -> Path:
    """Where it is written how the node with this control socket was started."""
    return control.with_suffix(".start")


def state_path(control: Path) -> Path:
    """The state folder of the node with this control socket."""
    return control.with_suffix(".state")


def clear_directory(directory: Path) -> None:
    """Remove what nodes left there that no longer run."""
    for path in [*directory.glob("*"), directory / LIFELINE]:
        if path.suffix in _LEFT and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix in _LEFT or path.name == LIFELINE:
            path.unlink(missing_ok=True)


def remove_directory(directory: Path) -> None:
    """Remove the directory of a cluster, unless somebody runs there."""
    if not live_sockets(directory):
        clear_directory(directory)
        with suppress(OSError):
            directory.rmdir()
