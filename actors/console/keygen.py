"""`actors keygen [FILE]`: make a node's key file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from actors.console.options import Json


def keygen(
    file: Annotated[Path, Parameter(help="Where to write it. Nothing is ever overwritten.")] = Path("node.key"),
    /,
    *,
    json: Json = False,
) -> None:
    """Make a node's key file, and print its NodeID."""
    from actors.console.envelope import good
    from actors.console.words import say, write
    from actors.keyfile import create_key

    node = create_key(file).id
    if json:
        write(good({"file": str(file), "id": str(node)}))
    else:
        write(f"{node}\n".encode())
        say(f"written to {file}", f"  actors run --key {file}     a node with this key")
