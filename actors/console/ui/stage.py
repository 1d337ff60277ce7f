"""Where a dashboard's picture comes from: a cluster that runs, or the recorded log of one. The shell shows either."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import trio

from actors.console.ui.desk import Desk, Go
from actors.console.ui.picture import Picture, look
from actors.console.ui.places import CLUSTER, Place
from actors.console.ui.player import Player
from actors.console.ui.poller import Poller
from actors.console.ui.problems import Problem, Problems
from actors.console.ui.replay import Replay
from actors.console.ui.watch import EventLine, Watch

_JUDGE = 0.5
"""Seconds between two looks for problems: with thousands of links they cost more than the picture."""
_BACKLOG = 10_000
"""News that are kept while the picture is held still."""

_Change = Callable[[Watch, float], object]


class Stage(Protocol):
    """All synchronous but `run`."""

    async def run(self) -> None:
        """Until cancelled, or until nothing comes any more."""

    def picture(self, desk: Desk) -> Picture:
        """What is to be seen now."""

    def moved(self, desk: Desk) -> None:
        """After each key: the person may look elsewhere, or hold the picture still."""

    def go(self, wish: Go) -> None:
        """To another time."""

    def happened(self, words: str) -> None:
        """A command has ended so."""


class Live:
    """A cluster, by the control sockets in this directory."""

    def __init__(self, cluster: str, directory: Path) -> None:
        self._watch = Watch(cluster)
        self._problems = Problems()
        self._place: Place = CLUSTER
        self._poller = Poller(directory, self._learn, lambda: self._place)
        self._backlog: deque[tuple[_Change, float]] = deque(maxlen=_BACKLOG)
        self._held_at: float | None = None
        """When the picture was held still."""
        self._judged: tuple[float, tuple[Problem, ...]] = (-_JUDGE, ())

    async def run(self) -> None:
        """Ask and listen."""
        await self._poller.run()

    def _learn(self, change: _Change) -> None:
        now = trio.current_time()
        if self._held_at is not None:
            self._backlog.append((change, now))
        else:
            change(self._watch, now)

    def picture(self, desk: Desk) -> Picture:
        """As last heard."""
        now = trio.current_time() if self._held_at is None else self._held_at
        judged, problems = self._judged
        if now - judged >= _JUDGE or now < judged:
            problems = self._problems.look(self._watch, now)
            self._judged = now, problems
        return look(self._watch, problems, desk, now)

    def moved(self, desk: Desk) -> None:
        """Ask at once where the person looks now. Held still, news wait; let go, they come into the picture."""
        if desk.place != self._place:
            self._place = desk.place
            self._poller.look(desk.place)
        if desk.paused:
            self._held_at = self._held_at or trio.current_time()
            return
        self._held_at = None
        while self._backlog:
            change, now = self._backlog.popleft()
            change(self._watch, now)

    def go(self, wish: Go) -> None:
        """There is only one time."""

    def happened(self, words: str) -> None:
        """Among the events; and what came of it is asked for."""
        self._watch.events.append(EventLine(trio.current_time(), "here", "command", words))
        self._watch.heard_events += 1
        self._poller.nudge()


class Recorded:
    """A log, with a cursor that plays."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._player = Player(replay.past.end, replay.stops)
        self._looked = trio.current_time()

    async def run(self) -> None:
        """Nothing comes."""

    def picture(self, desk: Desk) -> Picture:
        """At the cursor, which has moved on since the last look."""
        now, before = trio.current_time(), self._looked
        self._looked = now
        self._player.pass_time(now - before)
        self._replay.seek(self._player.at, desk.place)
        return look(self._replay.watch, self._replay.problems, desk, self._player.at, self._player.words)

    def moved(self, desk: Desk) -> None:
        """It is all there."""

    def go(self, wish: Go) -> None:
        """The next picture is of there."""
        self._player.turn(wish.turn, wish.seconds)

    def happened(self, words: str) -> None:
        """No command changes what was."""
