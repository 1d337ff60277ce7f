"""What a node keeps for others: the engines it offers to start for them, and those that run for them now.

Plain data and alarms, outside of any engine: the keeper's crash would end no loan, and lose none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from actors.engine import Engine, Policy, fresh
from actors.errors import EngineNameError
from actors.identity import NodeID
from actors.net.keeping import Lent, NotLent
from actors.runtime import Alarm, Cell, Runtime, check_name

_ROUND = 1024
"""Names of one offer are used again after so many: a session has room for a number of targets only."""
_LONGEST = 180


class Offer(Struct, frozen=True):
    """An engine that others may have started here: a fresh copy each time."""

    engine: Engine
    policy: Policy


class Loan:
    """An engine that runs for a peer, until its lease is over."""

    __slots__ = ("alarm", "cell", "lent", "until")

    def __init__(self, cell: Cell, until: float) -> None:
        self.cell = cell
        self.lent = Lent(cell.name, cell.stay)
        self.until = until
        self.alarm: Alarm | None = None


class Loans:
    """Of one node. At most `loans` engines run, and `watches` questions wait, for one peer."""

    def __init__(self, runtime: Runtime, *, run: int, loans: int, watches: int) -> None:
        self._runtime = runtime
        self._run = f"{run & 0xFFFF:04x}"
        """Part of the names: in its next run the node gives others, for somebody may not know yet that it runs anew."""
        self._most_loans = loans
        self._most_watches = watches
        self._offers: dict[str, Offer] = {}
        self._loans: dict[NodeID, dict[int, Loan]] = {}
        self._watches: Counter[NodeID] = Counter()
        self._numbers: dict[str, int] = {}

    # -- offers -----------------------------------------------------------------------------------------

    def offer(self, engine: Engine, name: str, policy: Policy) -> None:
        """From now on other nodes may have it started. Raises EngineNameError."""
        check_name(name)
        if len(name) > _LONGEST:
            raise EngineNameError(f"an offer's name has {_LONGEST} characters at most: a number comes behind it")
        if name in self._offers:
            raise EngineNameError(f"an engine {name!r} is offered already; choose another name")
        self._offers[name] = Offer(fresh(engine), policy)

    # -- loans ------------------------------------------------------------------------------------------

    def lend(self, peer: NodeID, name: str, token: int, seconds: float) -> Lent | NotLent:
        """Start an engine for a peer, or find the one that this token has started already."""
        self._forget_ended(peer)
        loans = self._loans.setdefault(peer, {})
        loan = loans.get(token)
        if loan is None:
            offer, running = self._offers.get(name), sum(not other.cell.gone.is_set() for other in loans.values())
            if offer is None or self._runtime.stopping or running >= self._most_loans:
                if not loans:
                    del self._loans[peer]
                return NotLent(self._why(offer))
            self._runtime.spawn(offer.engine, called := self._free_name(name), policy=offer.policy)
            loan = loans[token] = Loan(self._runtime.directory[called], 0.0)
        self._prolong(peer, token, loan, seconds)
        return loan.lent

    def _forget_ended(self, peer: NodeID) -> None:
        """That an engine ran for a token is remembered for its lease, unless there are too many of them."""
        loans = self._loans.get(peer, {})
        if len(loans) >= 2 * self._most_loans:
            for token in [token for token, loan in loans.items() if loan.cell.gone.is_set()]:
                self.release(peer, token)

    def _why(self, offer: Offer | None) -> str:
        if offer is None:
            return "not_offered"
        return "stopping" if self._runtime.stopping else "too_many"

    def renew(self, peer: NodeID, stay: int, seconds: float) -> None:
        """The peer still wants the engine with this number, if that runs for it."""
        for token, loan in self._loans.get(peer, {}).items():
            if loan.lent.stay == stay:
                self._prolong(peer, token, loan, seconds)

    def release(self, peer: NodeID, token: int) -> Cell | None:
        """End the loan; the engine, which is about to end."""
        loans = self._loans.get(peer, {})
        loan = loans.pop(token, None)
        if loan is None:
            return None
        if not loans:
            del self._loans[peer]
        if loan.alarm is not None:
            loan.alarm.cancel()
        loan.cell.cancel()
        return loan.cell

    def restarted(self, peer: NodeID) -> None:
        """The peer runs anew: whoever wanted engines here is no more."""
        for token in tuple(self._loans.get(peer, ())):
            self.release(peer, token)

    def _prolong(self, peer: NodeID, token: int, loan: Loan, seconds: float) -> None:
        """An alarm that rings too early looks again: it need not be moved at each word."""
        loan.until = max(loan.until, self._runtime.clock.now() + seconds)

        def look() -> None:
            if self._runtime.clock.now() < loan.until:
                loan.alarm = self._runtime.clock.call_at(loan.until, look)
            else:
                self.release(peer, token)

        if loan.alarm is None:
            loan.alarm = self._runtime.clock.call_at(loan.until, look)

    def _free_name(self, offer: str) -> str:
        """The next in turn that no engine has."""
        number = self._numbers.get(offer, 0)
        most = max(_ROUND, 2 * len(self._runtime.directory))
        while (name := f"{offer}.{self._run}.{number % most + 1}") in self._runtime.directory:
            number += 1
        self._numbers[offer] = number + 1
        return name

    # -- watches ----------------------------------------------------------------------------------------

    @contextmanager
    def watched(self, peer: NodeID) -> Iterator[bool]:
        """One more question of the peer waits, for the length of the block. Whether that is not one too many."""
        self._watches[peer] += 1
        try:
            yield self._watches[peer] <= self._most_watches
        finally:
            self._watches[peer] -= 1
            if not self._watches[peer]:
                del self._watches[peer]

    def __repr__(self) -> str:
        loans = sum(map(len, self._loans.values()))
        return f"<Loans: {len(self._offers)} offers, {loans} loans, {self._watches.total()} watches>"
