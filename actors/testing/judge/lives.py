"""The runs of all nodes: who is who, when each began and ended, and when bytes or clocks could not be trusted. Pure.

Places in a history are indices: what happened at the same time is still in order. `NEVER` is after all of them.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from typing import TypeAlias, TypeVar

from actors.testing.history.records import AnyRecord, Began, Ended, Fault, Healed, Stopping

R = TypeVar("R", bound=AnyRecord)
Places: TypeAlias = list[tuple[int, R]]
"""Records of one kind with their indices, in order."""
NEVER = sys.maxsize


class Run:
    """One run of a node. Indices; `place` counts the runs of everybody with the same key, from 0."""

    __slots__ = ("began", "ended", "ended_at", "how", "place", "stopping")

    def __init__(self, place: int = 0, began: int = -1) -> None:
        self.place = place
        self.began = began
        self.stopping = NEVER
        self.ended = NEVER
        self.ended_at = float("inf")
        self.how = ""


class Lives:
    """Runs by node and number. Hosts with the same key are one node, which `who` names; `twins` are such nodes."""

    def __init__(
        self,
        began: Places[Began],
        stopping: Places[Stopping],
        ended: Places[Ended],
        faults: Places[Fault],
        healed: Places[Healed],
    ) -> None:
        self.twins: set[str] = set()
        self._names: dict[str, str] = {}
        self._runs: dict[tuple[str, int], Run] = {}
        self._begun: dict[str, list[int]] = {}
        self._order: dict[str, list[tuple[str, int]]] = {}
        self._corrupted: list[tuple[int, int]] = []
        self._stalls: list[tuple[float, float, str]] = []
        self._begin(began)
        self._end(stopping, ended)
        self._distrust(faults, healed)

    def _begin(self, began: Places[Began]) -> None:
        first: dict[str, str] = {}
        for index, record in began:
            name = first.setdefault(record.id or record.node, record.node)
            if self._names.setdefault(record.node, name) != record.node:
                self.twins.add(name)
            begun = self._begun.setdefault(self.who(record.node), [])
            self._runs[record.node, record.run] = Run(len(begun), index)
            begun.append(index)
            self._order.setdefault(self.who(record.node), []).append((record.node, record.run))

    def _end(self, stopping: Places[Stopping], ended: Places[Ended]) -> None:
        for index, told in stopping:
            self.run(told.node, told.run).stopping = index
        for index, record in ended:
            run = self.run(record.node, record.run)
            run.ended, run.ended_at, run.how = index, record.at, record.how

    def _distrust(self, faults: Places[Fault], healed: Places[Healed]) -> None:
        heals = [index for index, _ in healed]
        for index, fault in faults:
            if fault.corrupts:
                after = bisect_left(heals, index)
                self._corrupted.append((index, heals[after] if after < len(heals) else NEVER))
            if fault.stalls:
                self._stalls.append((fault.at, fault.at + fault.stalls, fault.node))

    def who(self, name: str) -> str:
        """The node that this is a name of."""
        return self._names.get(name, name)

    def run(self, node: str, number: int) -> Run:
        """That run of the node; one that was always there if the history does not say when it began."""
        run = self._runs.get((node, number))
        if run is None:
            run = self._runs[node, number] = Run()
        return run

    def begun(self, who: str) -> list[int]:
        """Where each run of the node began."""
        return self._begun.get(who, [])

    def latest(self, who: str, index: int) -> int:
        """The place of its latest run at that index; -1 if none has begun."""
        return bisect_left(self.begun(who), index) - 1

    def latest_run(self, who: str, index: int) -> tuple[str, int] | None:
        """Host and number of its latest run at that index."""
        place = self.latest(who, index)
        return self._order[who][place] if place >= 0 else None

    @property
    def any_corruption(self) -> bool:
        """Whether bytes may have been changed at all."""
        return bool(self._corrupted)

    def corrupted(self, first: int, last: int) -> bool:
        """Whether bytes may have been changed somewhere between these indices."""
        return any(since <= last and first <= until for since, until in self._corrupted)

    def awake(self, node: str, at: float) -> float:
        """The first time from `at` on, or soon after it, at which the node could do something."""
        for since, until, stalled in self._stalls:
            if stalled in ("", node) and since <= at + 1 and at < until:
                at = until
        return at
