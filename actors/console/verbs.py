"""`actors tell|send|ask NODE/ENGINE TYPE [JSON]`: one message from a node to an engine, and the path it took."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from actors.console.options import Cluster, Json, flag

if TYPE_CHECKING:
    from actors.control.client import ControlClient
    from actors.control.messages import Path
    from actors.messages import TransportPrefs

To = Annotated[str, Parameter(help="NODE/ENGINE, such as b/echo.")]
Type = Annotated[str, Parameter(help="The message's type, such as echo.ping.")]
Fields = Annotated[str, Parameter(help="Its fields as a JSON object.")]
Source = Annotated[str | None, Parameter(name="--from", help="The node that sends it; the first if left out.")]
Expiry = Annotated[float, Parameter(help="Seconds for which it is worth delivering.")]
Unreliable = Annotated[bool, flag("Send it once at most, as a datagram where the transport has any.")]


async def ask(
    to: To, type: Type, fields: Fields = "{}", /, *, source: Source = None, expiry: Expiry = 30.0,
    cluster: Cluster = None, json: Json = False,
) -> None:  # fmt: skip
    """Send a message and print the answer."""
    from actors.console.envelope import good, line
    from actors.console.words import write

    values, seconds = fields_of(fields), expiry_of(expiry)
    async with _sender(cluster, source) as control:
        replied = await control.ask(to, type, values, expiry=seconds)
    if json:
        write(good({"reply": replied.value, "path": replied.path}))
    else:
        _say_path(replied.path)
        write(line(replied.value))


async def send(
    to: To, type: Type, fields: Fields = "{}", /, *, source: Source = None, expiry: Expiry = 30.0,
    unreliable: Unreliable = False, cluster: Cluster = None, json: Json = False,
) -> None:  # fmt: skip
    """Send a message; return when it is delivered, or when an unreliable one is sent."""
    values, seconds = fields_of(fields), expiry_of(expiry)
    async with _sender(cluster, source) as control:
        path = await control.send(to, type, values, expiry=seconds, prefs=prefs_of(unreliable))
    _show_outcome("sent" if unreliable else "delivered", path, json)


async def tell(
    to: To, type: Type, fields: Fields = "{}", /, *, source: Source = None, expiry: Expiry = 30.0,
    unreliable: Unreliable = False, cluster: Cluster = None, json: Json = False,
) -> None:  # fmt: skip
    """Hand a message over and return: the node tries until it expires. Failures are dead letters of the node."""
    values, seconds = fields_of(fields), expiry_of(expiry)
    async with _sender(cluster, source) as control:
        path = await control.tell(to, type, values, expiry=seconds, prefs=prefs_of(unreliable))
    _show_outcome("accepted", path, json)


def prefs_of(unreliable: bool) -> TransportPrefs:
    """How the message should travel."""
    from actors.messages import PREFS, TransportPrefs

    return TransportPrefs(reliability="unreliable") if unreliable else PREFS


def fields_of(text: str) -> Mapping[str, object]:
    """The message's fields; UsageError for what is not a JSON object."""
    import msgspec

    from actors.console.exits import UsageError

    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        wrong = UsageError(f"the fields are not a JSON object: {error}")
        wrong.hint = """write them as one, in quotes: '{"n": 1}'"""
        raise wrong from None


def expiry_of(seconds: float) -> float:
    """UsageError for what is no time."""
    from actors.console.exits import UsageError

    if not 0 < seconds < float("inf"):
        raise UsageError(f"--expiry {seconds:g}: a number of seconds above 0")
    return seconds


def path_line(path: Path) -> str:
    """`a -> b  tcp  0.4 ms`"""
    time = "" if path.rtt_ms is None else f"  {path.rtt_ms:.1f} ms"
    return f"{path.source} -> {path.target}  {path.transport or 'not connected'}{time}"


@asynccontextmanager
async def _sender(cluster: str | None, source: str | None) -> AsyncIterator[ControlClient]:
    from actors.console.reach import reach

    async with reach(cluster, source) as (_, control):
        yield control


def _say_path(path: Path) -> None:
    from actors.console.words import say

    say(path_line(path))


def _show_outcome(outcome: str, path: Path, json: bool) -> None:
    from actors.console.envelope import good
    from actors.console.words import say, write

    if json:
        write(good({"outcome": outcome, "path": path}))
    else:
        say(path_line(path), outcome)
