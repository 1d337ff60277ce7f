"""Asks every node of a cluster, again and again, and listens to its events. Only over control sockets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

import trio

from actors.console.ui.places import Place
from actors.console.ui.watch import Watch
from actors.control.client import ControlClient, open_control
from actors.control.failures import ControlError, NodeDownError
from actors.errors import ActorError, ConfigError

EVERY = 1.0
"""Seconds between two questions."""
ENGINES_EVERY = 3
"""So many questions for one about all engines, where nobody looks at them."""
PATIENCE = 3.0
"""Seconds after which a node that does not answer is silent."""
_GOLDEN = 0.618
"""Its multiples lie evenly between whole numbers, however many there are."""
_APART = 0.005
"""Seconds between the answers of nodes that are all asked at once: so long one takes to be read, and a key waits."""
_SETTLE = 0.05
"""Seconds for a node that stops to remove its socket, after it has closed its connections."""

T = TypeVar("T")
Apply = Callable[[Callable[[Watch, float], object]], object]
"""Takes what was learned: a change of the watch, with the time when it was heard."""


class Poller:
    """What it hears goes to `apply`; `focus` says where the person looks, for what is asked only there."""

    def __init__(self, directory: Path, apply: Apply, focus: Callable[[], Place]) -> None:
        self._directory = directory
        self._apply = apply
        self._focus = focus
        self._nudges: dict[str, trio.Event] = {}
        self._places: dict[str, float] = {}
        """Of each node within a second, from 0 to 1."""

    async def run(self) -> None:
        """Until cancelled. Nodes that appear are asked too."""
        async with trio.open_nursery() as nursery:
            known: set[str] = set()
            while True:
                for path in _expected(self._directory):
                    if path.stem not in known:
                        known.add(path.stem)
                        nursery.start_soon(self._watch, path)
                await trio.sleep(EVERY)

    def look(self, place: Place) -> None:
        """The person looks here now: ask those that have more to tell of it than they have told."""
        if place.page in ("engines", "letters"):
            self.nudge()
        elif place.page in ("link", "engine") and place.node in self._nudges:
            self._nudges[place.node].set()

    def nudge(self) -> None:
        """Ask now: somebody wants to see it."""
        for event in self._nudges.values():
            event.set()

    async def _watch(self, path: Path) -> None:
        """One node, over all its lives."""
        name = path.stem
        self._places[name] = len(self._places) * _GOLDEN % 1
        self._apply(lambda watch, now: watch.node(name, now))
        while True:
            try:
                async with open_control(path) as control:
                    await self._attend(control, path)
            except ConfigError as error:
                self._failed(name, "denied", str(error).replace(str(path), "its socket"))
            except ActorError as error:
                await trio.sleep(_SETTLE)
                self._failed(name, "down", _cause(path, error))
            await self._pause(name)

    async def _attend(self, control: ControlClient, path: Path) -> None:
        """One life of a node. Raises ActorError at its end."""
        failure: ActorError | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, path)
            try:
                await self._poll(control, path.stem)
            except ActorError as error:
                failure = error
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _poll(self, control: ControlClient, name: str) -> None:
        turn = 0
        while True:
            with trio.move_on_after(PATIENCE) as patience:
                await self._ask(control, name, turn)
            if patience.cancelled_caught:
                self._failed(name, "silent", "it is connected to, and does not answer")
            turn += 1
            # Of many nodes not all at once: a key that is pressed meanwhile would wait for them.
            await self._pause(name, EVERY * (0.5 + self._places[name]) if turn == 1 else EVERY)

    async def _ask(self, control: ControlClient, name: str, turn: int) -> None:
        node, proxies = await control.node(), await control.proxies()
        self._apply(lambda watch, now: watch.heard(now, name, node, proxies))
        place = self._focus()
        if turn % ENGINES_EVERY == 0 or place.page in ("engines", "engine"):
            engines = await control.engines()
            self._apply(lambda watch, now: watch.listed(name, engines))
        if place.page == "letters":
            letters = await control.dead_letters()
            self._apply(lambda watch, now: watch.told(name, letters))
        if place.page == "engine" and place.node == name:
            await self._look_closely(lambda: control.work(place.engine), lambda watch, work: watch.worked(name, work))
        if place.page == "link" and place.node == name and any(proxy.peer_id == place.peer for proxy in proxies):
            await self._look_closely(lambda: control.link(place.peer), lambda watch, link: watch.looked(name, link))

    async def _look_closely(self, ask: Callable[[], Awaitable[T]], learn: Callable[[Watch, T], object]) -> None:
        try:
            told = await ask()
        except NodeDownError:
            raise
        except ControlError:
            return  # what it was asked for has ended meanwhile, or the node is of a version that does not tell
        self._apply(lambda watch, now: learn(watch, told))

    async def _listen(self, path: Path) -> None:
        """Its events. When they end the node has, and is asked at once."""
        try:
            async with open_control(path) as control, control.events() as events:
                async for event in events:
                    self._apply(lambda watch, now, event=event: watch.happened(now, path.stem, event))  # type: ignore[misc]
        except ActorError:
            pass  # the questions find out
        self._nudges.setdefault(path.stem, trio.Event()).set()

    async def _pause(self, name: str, seconds: float = EVERY) -> None:
        event = self._nudges[name] = trio.Event()
        with trio.move_on_after(seconds):
            await event.wait()
            await trio.sleep(self._places[name] * len(self._places) * _APART)

    def _failed(self, name: str, state: str, why: str) -> None:
        self._apply(lambda watch, now: watch.failed(now, name, state, why))


def _expected(directory: Path) -> Iterable[Path]:
    """Sockets of nodes that run here, and of those that were started for this cluster and run no more."""
    try:
        started = {path.with_suffix(".sock") for path in directory.glob("*.start")}
        return sorted(started | set(directory.glob("*.sock")))
    except OSError:  # the cluster's directory went with its last node
        return ()


def _cause(path: Path, error: ActorError) -> str:
    """What became of a node that does not answer, as far as its socket tells."""
    if error.code != "unreachable":
        return str(error)
    return "its process is gone" if path.exists() else "it has stopped"
