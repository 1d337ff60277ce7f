"""`actors debug bundle`: one file with what a maintainer needs to see of a cluster, without secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from actors.console.exits import Exit
from actors.console.options import Cluster, Json, flag


async def bundle(
    *,
    out: Annotated[Path | None, flag("The file; by default actors-debug-CLUSTER-TIME.tar.gz here.")] = None,
    config: Annotated[
        list[Path] | None, Parameter(name=("--config", "-c"), negative=(), help="A node's settings; repeatable.")
    ] = None,
    log: Annotated[list[Path] | None, flag("A file in which a node's words are; repeatable.")] = None,
    hash_addresses: Annotated[bool, flag("Names in place of hosts; the same host has the same name.")] = False,
    cluster: Cluster = None,
    json: Json = False,
) -> int:
    """Collect versions, the doctor's findings, settings, figures, events, dead letters and the ends of logs.

    Taken out are keys, passwords, adverts, the home folder's name and what messages carried. Look before you send it:
    words of your own errors and the names of your engines are in it. Ends with 6 if a node did not answer.
    """
    from actors.console.bundle_contents import Wanted, collect, write_bundle
    from actors.console.envelope import good
    from actors.console.words import say, write

    contents = await collect(Wanted(tuple(config or ()), tuple(log or ()), cluster, hash_addresses))
    path = out or Path(f"{contents.name}.tar.gz")
    size = write_bundle(path, contents)
    if json:
        write(good({"file": str(path), "bytes": size, "contents": sorted(contents.files), "silent": contents.silent}))
    else:
        write(f"{path}\n".encode())
        say(f"{len(contents.files)} files, {size >> 10} KiB, for this user only; look into it before you send it:")
        say(f"  tar -xzf {path}")
        say(*(f"{node}: {why}" for node, why in contents.silent.items()))
    return Exit.PARTIAL if contents.silent else Exit.OK
