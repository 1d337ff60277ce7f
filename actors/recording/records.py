"""Every record of a file, on one page. Pure: RECORDING.md says it in words.

Each is a msgpack array that begins with its number. Times are seconds of the node's runtime clock. `engine` is the
number that an Introduced gave; a record of an engine that was not introduced since the last gap means nothing.
"""

from __future__ import annotations

from typing import Final, TypeAlias, dataclass_transform

import msgspec
from msgspec import Raw, Struct, field

from actors.identity import EngineID, NodeID

SCHEMA: Final = "actors-record/v1"


class Header(Struct, frozen=True, kw_only=True):
    """The first line of each file, as JSON."""

    schema: str = SCHEMA
    version: str
    """Of trio-actors."""
    python: str
    node: str
    id: str
    """The node's NodeID."""
    app: str = ""
    engines: tuple[str, ...] = ()
    began: str
    """When the node started, UTC."""
    clock: float
    """The runtime clock, then."""
    hash_seed: str = ""
    """PYTHONHASHSEED of the process: the order of sets follows from it."""
    run: int
    part: int
    """Files of a run are numbered from 1. If older ones are gone, engines are introduced again."""
    gap: bool = False
    """Between the part before and this one records are missing: the disk was too slow."""


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class _Record(Struct, frozen=True, array_like=True, gc=False):
    """See the module."""


class Introduced(_Record, tag=1):
    """An engine, before the first record of it in a part."""

    engine: int
    name: str
    cls: str
    """`module:Qualname`."""
    takes: tuple[str, ...]
    """The messages that it has actions for, as `module:Qualname`; Came counts from 0."""
    spawner: str = ""


class Stands(_Record, tag=2):
    """An engine between two messages: at the beginning of a life, or of a part."""

    engine: int
    at: float
    life: int
    handled: int
    """Messages that this engine was given before, in all its lives."""
    seed: int
    """Of its `random`, from here on."""
    begins: bool
    """Whether a life begins here."""
    state: Raw
    """A map of its fields; nil where `why` says what is wrong with them."""
    absent: dict[str, str] = {}
    """Fields that are no plain data, with their types."""
    why: str = ""


class Sender(_Record, tag=3):
    """A number for an address, for this part."""

    sender: int
    id: EngineID


class Came(_Record, tag=4):
    """A message is given to its handler."""

    engine: int
    at: float
    sender: int
    kind: int
    """Its place in `takes`."""
    body: Raw
    """The message as another node would send it; nil where `why` says that it is no plain data."""
    why: str = ""


class Read(_Record, tag=5):
    """A handler looked at something that changes: `now`, `mailbox`, `timers`, `acquaintances`, `uuid4`."""

    engine: int
    what: str
    value: Raw


class Answered(_Record, tag=6):
    """What a handler's ask or send came to. `call` counts them from 0 for each message."""

    engine: int
    at: float
    call: int
    status: int
    """0 the reply; 1 an outcome, as [code, arguments …]; 2 another error, in words; 3 a reply that is no plain data."""
    value: Raw


class Done(_Record, tag=7):
    """The handler returned. `digest` is of its reply and of what it asked for; 0 where there is neither."""

    engine: int
    digest: int
    at: float = 0.0
    """Of a handler that waits."""


class Cut(_Record, tag=8):
    """The handler was cancelled: its asker withdrew, the time was over, or the engine ended."""

    engine: int
    at: float


class Crashed(_Record, tag=9):
    """A life of the engine ended by an error: of a handler, or of something else of it."""

    engine: int
    at: float
    error: str
    in_handler: bool


class Gone(_Record, tag=10):
    """The engine ended for good."""

    engine: int
    at: float
    how: str


class Arrived(_Record, tag=11):
    """A run of messages that a connection brought for an engine: Came follows, when their turn comes."""

    at: float
    peer: bytes
    sender: str
    target: str
    kind: int
    """0 told, 1 asked."""
    first: int
    """Its first message's number, counted for each sender and target; 0: of the unreliable class, which has none."""
    count: int
    size: int


class Commanded(_Record, tag=12):
    """A request over the control socket that acts, as JSON."""

    at: float
    request: str


class Closed(_Record, tag=13):
    """The node ended in order; nothing follows."""

    at: float


Record: TypeAlias = (
    Introduced | Stands | Sender | Came | Read | Answered | Done | Cut | Crashed | Gone | Arrived | Commanded | Closed
)


def _known(kind: type, value: object) -> object:
    if kind is NodeID and isinstance(value, bytes):
        return NodeID(value)
    raise ValueError(f"no {kind.__name__}")


decode_chunk = msgspec.msgpack.Decoder(list[Record], dec_hook=_known).decode
"""A chunk's payload: an array of records. Raises msgspec.MsgspecError and what a NodeID raises."""
