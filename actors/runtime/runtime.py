"""The engines of one node: who is there, what they share, and in what order they end."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Final

import trio

from actors.engine import Engine, Policy
from actors.errors import EngineNameError
from actors.identity import EngineID, NodeID
from actors.runtime.asks import Asks
from actors.runtime.cell import Cell
from actors.runtime.clock import Clock
from actors.runtime.codec import check_recursion_limit
from actors.runtime.dead_letters import DeadLetters
from actors.runtime.events import Events
from actors.runtime.life import Life
from actors.runtime.mailbox import CAPACITY, CAPACITY_BYTES, Pace
from actors.runtime.names import check_name
from actors.runtime.nurseries import open_service_nursery
from actors.runtime.ports import Gateway, no_route
from actors.runtime.statistics import RuntimeStatistics
from actors.runtime.verbs import Verbs
from actors.runtime.waits import Waits
from actors.runtime.witness import Witness

SLICE: Final = 256
_ENDS: Final = 1024
"""Engines of which it is remembered how they ended."""


_LOOK = 0.01
"""Seconds between two looks at engines that are to end."""


class Runtime(Verbs):
    """One task runs `serve`; meanwhile engines are spawned and messages sent, here as the node itself.

    `slice` is how many messages one sender tells, or one engine handles, before others have their turn. With
    `strict`, for tests, every local message and reply goes through the codec, as if it came from another node.
    `capacity` is that of a mailbox, in messages, where `spawn` names none; `capacity_bytes` in bytes.
    """

    def __init__(
        self,
        node: NodeID,
        *,
        strict: bool = False,
        slice: int = SLICE,
        capacity: int = CAPACITY,
        capacity_bytes: int = CAPACITY_BYTES,
    ) -> None:
        super().__init__(self, EngineID(node, ""))
        self.id = node
        self.clock = Clock()
        self.asks = Asks()
        self.events = Events()
        self.dead_letters = DeadLetters(self.events, self.clock.now)
        self.directory: dict[str, Cell] = {}
        self.gateway: Gateway = no_route
        self.waits = Waits[str]()
        self.pace = Pace(slice, strict)
        self.witness: Witness | None = None
        """Set before the first engine is spawned, or never."""
        self._capacity = capacity
        self.capacity_bytes = capacity_bytes
        """Of each mailbox, for what comes from other nodes."""
        self.is_over = False
        self._engines: trio.Nursery | None = None
        self._network: Callable[..., None] | None = None
        self.on_demand: dict[str, Callable[[], Engine]] = {}
        """Reserved engines that start when they are first asked for (`demand`)."""
        self.next_stay = count(1).__next__
        """A number for each engine that is spawned."""
        self.stopping = False
        """Users' engines end because the node does."""
        self._ends: dict[int, str] = {}
        self._handled = self._crashes = self._restarts = 0

    # -- running -----------------------------------------------------------------------------------------

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the engines until cancelled. Users' engines end first, then reserved ones, then the clock.

        Each engine's cleanup still finds what ends after it. Raises ConfigError if the recursion limit is too high.
        """
        check_recursion_limit()
        try:
            async with open_service_nursery() as services:
                await services.start(self.clock.serve)
                async with open_service_nursery() as network:
                    self._network = network.start_soon
                    async with trio.open_nursery() as self._engines:
                        task_status.started()
                        await trio.sleep_forever()
        finally:
            self._engines = self._network = None
            self.is_over = True
            self.asks.close()
            self.events.close()

    def spawn(
        self,
        engine: Engine,
        name: str,
        *,
        policy: Policy = Policy.PERMANENT,
        capacity: int | None = None,
        reserved: bool = False,
    ) -> EngineID:
        """Start an engine on the node itself; the instance is copied. Raises EngineNameError.

        `reserved` engines are the network's own: they may have reserved names, and end after the others.
        """
        check_name(name, reserved=reserved)
        self._check_free(name)
        start = self._network if reserved else self._engines and self._engines.start_soon
        if start is None:
            raise RuntimeError(f"cannot spawn {name!r}: the runtime does not run; start its serve() first")
        # What bounds users' mailboxes is not for the network's own engines: they are told, and cannot wait.
        usual = CAPACITY if reserved else self._capacity
        cell = Cell(self, engine, name, policy, capacity=capacity or usual, reserved=reserved)
        start(cell.run, name=name)
        self.directory[name] = cell
        return cell.id

    def spawn_child(self, life: Life, engine: Engine, name: str, policy: Policy) -> None:
        """Start an engine within the life of another. The name is known to be good."""
        capacity = CAPACITY if life.cell.reserved else self._capacity
        child = Cell(self, engine, name, policy, capacity=capacity, spawner=life)
        life.nursery.start_soon(child.run, name=name)
        self.directory[name] = life.children[name] = child

    def check_name(self, name: str, *, by: Cell) -> None:
        """Whether a child of an engine may be called this now. Raises EngineNameError."""
        check_name(name, reserved=by.reserved)
        self._check_free(name)

    def _check_free(self, name: str) -> None:
        if name in self.directory:
            raise EngineNameError(f"an engine {name!r} runs already; choose another name, or stop it first")

    async def stop_engine(self, name: str) -> None:
        """End an engine and its children; returns when they are gone. What waits for it is refused as `stopped`.

        Raises EngineNameError if there is none of this name.
        """
        cell = self.directory.get(name)
        if cell is None:
            raise EngineNameError(f"there is no engine {name!r}")
        cell.cancel()
        await cell.gone.wait()

    async def stop_engines(self, within: float = 0.0) -> None:
        """End all engines that are not reserved, so that the network can still carry their last words.

        Before that they have so many seconds to handle what they were told: its senders know that it has arrived.
        """
        self.stopping = True
        with trio.move_on_after(within):
            # Engines tell each other, too: no event says that all of them are done.
            while any(cell.owes for cell in self.directory.values() if not cell.reserved):  # noqa: ASYNC110
                await trio.sleep(_LOOK)
        ending = [cell for cell in self.directory.values() if not cell.reserved]
        for cell in ending:
            cell.cancel()
        for cell in ending:
            await cell.gone.wait()

    # -- looking -----------------------------------------------------------------------------------------

    def find(self, name: str) -> Cell | None:
        """The engine of this name."""
        return self.directory.get(name)

    def demand(self, name: str) -> Cell | None:
        """The engine of this name; one that starts on demand is started. None if there is none, or the node ends."""
        cell = self.directory.get(name)
        if cell is None and name in self.on_demand and self._network is not None and not self.stopping:
            self.spawn(self.on_demand[name](), name, reserved=True)
            cell = self.directory[name]
        return cell

    def end_of(self, stay: int) -> str | None:
        """How the engine with this number ended; None if that is not known, or not any more."""
        return self._ends.get(stay)

    def forget(self, cell: Cell) -> None:
        """The engine has ended: its name is free, its figures stay in the totals, and for a while how it ended."""
        del self.directory[cell.name]
        self._ends[cell.stay] = cell.end
        if len(self._ends) > _ENDS:
            del self._ends[next(iter(self._ends))]
        self._handled += cell.handled
        self._crashes += cell.crashes
        self._restarts += cell.restarts

    def statistics(self) -> RuntimeStatistics:
        """This moment's figures."""
        cells = self.directory.values()
        return RuntimeStatistics(
            engines=len(cells),
            handled=self._handled + sum(cell.handled for cell in cells),
            crashes=self._crashes + sum(cell.crashes for cell in cells),
            restarts=self._restarts + sum(cell.restarts for cell in cells),
            dead_letters=self.dead_letters.count,
            asks=len(self.asks),
            late=self.asks.late,
            waits=len(self.waits),
            alarms=len(self.clock),
            events=self.events.emitted,
            events_dropped=self.events.dropped,
        )

    def __repr__(self) -> str:
        state = "runs" if self._engines else "does not run"
        return f"<Runtime of {self.id.short}: {state}, {len(self.directory)} engines>"
