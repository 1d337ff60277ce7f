"""What runs engines: the one impure heart below the network. It knows Trio, and nothing of sockets.

    runtime        Runtime: the engines of one node, in what order they end
    verbs          tell, send, ask for one sender                        \
    mailbox        what waits for an engine; LocalPort, the way in         } the hot path
    cell           one engine's stay: the loop, its lives, crashes       /
    life           what an engine sees of the runtime, for one life
    effects        what a handler asked for, all of it or nothing
    supervision    restart, end or fail (pure)
    containment    the one place where an exception of an engine's code ends
    beside         work that answers an ask beside its engine's messages; for the network's own engines
    asks           waiting slots, found by correlation
    waits          who waits on whom: a cycle is refused (pure)
    handling       which engine's handler runs here
    clock          all deadlines in one task
    codec          messages to bytes and back, guarded
    ports          what the network implements, and each sender's table of ways
    witness        who sees all that engines get: for recording
    allocator      how the C library keeps what large messages leave
    dead_letters, events, statistics, names, nurseries
"""

from __future__ import annotations

from actors.runtime.asks import Asks, Slot
from actors.runtime.beside import Beside
from actors.runtime.cell import Cell
from actors.runtime.clock import Alarm, Clock
from actors.runtime.codec import Codec, check_recursion_limit, encode, reply_decoder
from actors.runtime.dead_letters import DeadLetters
from actors.runtime.events import Events
from actors.runtime.mailbox import CAPACITY, CAPACITY_BYTES, Batch, Kind, LocalPort, Mailbox, Origin, Pace
from actors.runtime.names import check_name, is_reserved
from actors.runtime.nurseries import ServiceNursery, open_service_nursery, unwrapped
from actors.runtime.ports import Gateway, Outlet, Port
from actors.runtime.runtime import SLICE, Runtime
from actors.runtime.statistics import EngineStatistics, RuntimeStatistics
from actors.runtime.supervision import ChildFailedError
from actors.runtime.witness import Behaviour, Witness

__all__ = [
    "CAPACITY",
    "CAPACITY_BYTES",
    "SLICE",
    "Alarm",
    "Asks",
    "Batch",
    "Behaviour",
    "Beside",
    "Cell",
    "ChildFailedError",
    "Clock",
    "Codec",
    "DeadLetters",
    "EngineStatistics",
    "Events",
    "Gateway",
    "Kind",
    "LocalPort",
    "Mailbox",
    "Origin",
    "Outlet",
    "Pace",
    "Port",
    "Runtime",
    "RuntimeStatistics",
    "ServiceNursery",
    "Slot",
    "Witness",
    "check_name",
    "check_recursion_limit",
    "encode",
    "is_reserved",
    "open_service_nursery",
    "reply_decoder",
    "unwrapped",
]
