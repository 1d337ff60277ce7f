"""`actors run [-c node.toml]`: one node, until a signal or `actors down` stops it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from actors.console.options import Json, flag

if TYPE_CHECKING:
    from actors.control.messages import Troubles
    from actors.snapshots import NodeSnapshot

LogLevel = Literal["debug", "info", "warning", "error"]
_hidden = Parameter(show=False)


async def run(
    *,
    config: Annotated[Path | None, Parameter(name=("--config", "-c"), help="A TOML file of settings.")] = None,
    name: Annotated[str | None, Parameter(help="The node's name, for people.")] = None,
    key: Annotated[Path | None, Parameter(help="Its key file; see actors keygen.")] = None,
    state_dir: Annotated[Path | None, Parameter(help="Where it remembers peers over a restart.")] = None,
    listen: Annotated[list[str] | None, flag("An address to accept connections on; repeatable.")] = None,
    peers: Annotated[list[str] | None, flag("A friend's advert, to keep a link to; repeatable.")] = None,
    adverts: Annotated[list[Path] | None, flag("A file of adverts; repeatable.")] = None,
    engines: Annotated[list[str] | None, flag("An engine class, module:Class; repeatable.")] = None,
    app: Annotated[str | None, Parameter(help="A function to call with the node, module:setup.")] = None,
    allow: Annotated[list[str] | None, flag("A node or network to deal with, and no others; repeatable.")] = None,
    deny: Annotated[list[str] | None, flag("A node or network not to deal with; repeatable.")] = None,
    record: Annotated[Path | None, Parameter(help="Write down there what comes in; see actors replay.")] = None,
    insecure: Annotated[bool | None, flag("Allow plain transports beyond this machine.")] = None,
    log_level: Annotated[LogLevel | None, flag("Log to stderr from this level on; errors by default.")] = None,
    log_json: Annotated[bool | None, flag("Log as JSON lines, with fields.")] = None,
    control: Annotated[Path | None, _hidden] = None,
    faults: Annotated[str | None, _hidden] = None,
    ready_fd: Annotated[int | None, _hidden] = None,
    lifeline_fd: Annotated[int | None, _hidden] = None,
    json: Json = False,
) -> int:
    """Run one node until Ctrl-C. Flags win over ACTORS_* variables, those over the file."""
    import gc
    import os

    from actors.config import load_config
    from actors.console.hash_seed import fix_hash_seed
    from actors.run import run_node

    flags = {
        "name": name, "key": key, "state_dir": state_dir, "listen": listen, "peers": peers, "adverts": adverts,
        "engines": engines, "app": app, "allow": allow, "deny": deny, "record": record, "insecure": insecure,
        "log_level": log_level, "log_json": log_json,
    }  # fmt: skip
    settings = load_config(config, environ=os.environ, flags=flags)
    if settings.record is not None:
        fix_hash_seed()

    # What was imported stays for good: 40,000 objects that no full collection need look at. This process is ours; in a
    # user's own program the collector is the user's.
    gc.collect()
    gc.freeze()

    def ready(node: NodeSnapshot) -> None:
        if ready_fd is None:
            _say_ready(node, json)

    return await run_node(
        settings,
        control=control,
        troubles=_troubles(faults),
        on_ready=ready,
        ready_fd=ready_fd,
        lifeline_fd=lifeline_fd,
    )


def _troubles(faults: str | None) -> Troubles | None:
    import msgspec

    from actors.console.exits import UsageError
    from actors.control.messages import Troubles

    try:
        return None if faults is None else msgspec.json.decode(faults, type=Troubles)
    except msgspec.DecodeError as error:
        raise UsageError(f"--faults: {error}") from None


def _say_ready(node: NodeSnapshot, json: bool) -> None:
    from actors.console.envelope import good
    from actors.console.words import say, write

    if json:
        return write(good({"node": node}))
    say(f"node {node.name} {node.id[:8]} is ready at {' '.join(node.addresses) or 'no address'}")
    say("  actors advert --cluster run     its address line, for a friend", "  Ctrl-C                          stop it")
