"""A node's connections, as the control socket of a local cluster troubles them. A node in service has none of this."""

from __future__ import annotations

from math import inf

from actors.control.messages import Troubles
from transports.base import Transport
from transports.faulty.stream import Slowness
from transports.faulty.transport import Faults, FaultyTransport


class Troubled:
    """What troubles them, in the words of the control socket; carried out by the node's transports."""

    def __init__(self, troubles: Troubles | None = None) -> None:
        self.troubles = Troubles()
        self._faults = Faults()
        self.set(troubles or self.troubles)

    def over(self, transport: Transport) -> FaultyTransport:
        """This transport, troubled."""
        return self._faults.over(transport)

    def set(self, troubles: Troubles) -> None:
        """In place of what there was; connections to whom is away now are cut."""
        self.troubles = troubles
        away = [url for node in troubles.away for url in node.addresses]
        rate = inf if troubles.rate is None else troubles.rate
        self._faults.set(away, Slowness(latency=troubles.latency, rate=rate))
