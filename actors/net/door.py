"""The door of a node: what its policy says of who comes and who is dialed, whose turn it is, and figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio
from msgspec import Struct

from actors.admission import Admission, Admit, Moment, Verdict, Visit
from actors.events import PeerRefused
from actors.identity import NodeID
from actors.net.proving.rate import Rate
from actors.net.proving.slots import Slots
from actors.runtime import Runtime


class DoorCounters(Struct):
    """Connections that came, since the node started."""

    came: int = 0
    proven: int = 0
    delayed: int = 0
    """Handshakes that had to wait for their turn (H9)."""
    hinted: int = 0
    """Turned away before the proof, without a signature (H5)."""
    refused: int = 0
    """Turned away after it, in signed words (H7)."""


Links = Callable[[NodeID | None], tuple[bool, int, int]]
"""Whether the link to a node is held for permanent; how many others there are, and how many of these are permanent."""


class Door:
    """One node's."""

    def __init__(
        self, runtime: Runtime, policy: Admission, links: Links, slots: Slots, plain: float, secure: float
    ) -> None:
        self.counters = DoorCounters()
        self.slots = slots
        self._runtime = runtime
        self._policy = policy
        self._links = links
        self._arriving: Counter[NodeID] = Counter()
        self._plain, self._secure = Rate(plain), Rate(secure)
        self._turns = trio.Lock()

    def judge(self, moment: Moment, node: NodeID | None, host: str) -> Verdict:
        """What the policy says. Who is turned away here is an event."""
        permanent, links, permanent_links = self._links(node)
        verdict = self._policy(
            Visit(
                moment=moment,
                node=node,
                host=host,
                permanent=permanent,
                links=links,
                permanent_links=permanent_links,
                at=self._runtime.clock.now(),
            )
        )
        if not isinstance(verdict, Admit) and moment is not Moment.DIAL:
            self.turned_away(node, host, verdict.why)
        return verdict

    def turned_away(self, node: NodeID | None, host: str, why: str) -> None:
        """Count it, and tell whoever looks on."""
        if node is None:
            self.counters.hinted += 1
        else:
            self.counters.refused += 1
        self._runtime.events.emit(PeerRefused(self._runtime.clock.now(), node, host, why))

    # -- those who have been let in and have no proxy yet ----------------------------------------------

    @contextmanager
    def arriving(self, node: NodeID) -> Iterator[None]:
        """It has been let in: from this step on it counts, though it has no proxy yet."""
        self._arriving[node] += 1
        try:
            yield
        finally:
            self._arriving[node] -= 1
            if not self._arriving[node]:
                del self._arriving[node]

    def newcomers(self, proxied: Callable[[NodeID], bool]) -> set[NodeID]:
        """Those without a proxy."""
        return {node for node in self._arriving if not proxied(node)}

    # -- turns ------------------------------------------------------------------------------------------

    def give_back(self, *, secure: bool) -> None:
        """It was no stranger that took a turn."""
        self._rate(secure).give_back()

    def _rate(self, secure: bool) -> Rate:
        return self._secure if secure else self._plain

    async def turn(self, *, secure: bool) -> None:
        """Wait until one more handshake may begin (H9), in the order they came. No checkpoint if it may now."""
        rate, clock = self._rate(secure), self._runtime.clock
        if not self._turns.statistics().locked and not rate.wait(clock.now()):
            return
        self.counters.delayed += 1
        async with self._turns:
            while (seconds := rate.wait(clock.now())) > 0:  # noqa: ASYNC110 - time is all it waits for
                await trio.sleep(seconds)
