"""The dashboard at work: poller, keys and screen in one nursery. Decides nothing; desk and views do."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import localtime, strftime

import trio

from actors.console.exits import Interrupted
from actors.console.ui.actions import Able, Action
from actors.console.ui.desk import Desk, Quit, Run
from actors.console.ui.keyboard import Keyboard
from actors.console.ui.picture import Picture, look, sight
from actors.console.ui.poller import Poller
from actors.console.ui.problems import Problem, Problems
from actors.console.ui.running import run_action
from actors.console.ui.screen import Screen
from actors.console.ui.terminal import Terminal, TerminalLost, open_terminal
from actors.console.ui.views.frame import frame
from actors.console.ui.watch import EventLine, Watch

FRAME = 0.25
"""Seconds between two pictures, where no key asks for one."""
_JUDGE = 0.5
"""Seconds between two looks for problems: with thousands of links they cost more than the picture."""
_ESC = 0.05
"""Seconds after which an Esc is a key, and not the beginning of one."""
_BACKLOG = 10_000
"""News that are kept while the picture is held still."""

_Change = Callable[[Watch, float], object]


async def run_shell(cluster: str, directory: Path, able: Able) -> None:
    """Show the cluster until `q`. Interrupted for SIGINT and SIGTERM, TerminalLost for a terminal that is closed.

    They come in groups, as nurseries raise them. The terminal is as it was whenever this ends.
    """
    # While it is watched for, a hang-up is an error like others. Afterwards it must not kill what still has to be
    # closed and said: whoever reads the keys may find out first, and the signal come when nobody listens any more.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with open_terminal() as terminal:
        await Shell(cluster, directory, able, terminal).run()


class Shell:
    """One dashboard on one terminal."""

    def __init__(self, cluster: str, directory: Path, able: Able, terminal: Terminal) -> None:
        self._desk = Desk(able=able)
        self._watch = Watch(cluster)
        self._problems = Problems()
        self._terminal = terminal
        self._screen = Screen()
        self._poller = Poller(directory, self._learn, lambda: self._desk.place)
        self._backlog: deque[tuple[_Change, float]] = deque(maxlen=_BACKLOG)
        self._held_at: float | None = None
        """When the picture was held still."""
        self._judged: tuple[float, tuple[Problem, ...]] = (-_JUDGE, ())
        self._painting = trio.Lock()

    async def run(self) -> None:
        """Until somebody quits."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._signals)
            nursery.start_soon(self._poller.run)
            nursery.start_soon(self._frames)
            await self._keys(nursery)
            nursery.cancel_scope.cancel()

    # -- what is heard ------------------------------------------------------------------------------------

    def _learn(self, change: _Change) -> None:
        now = trio.current_time()
        if self._desk.paused:
            self._backlog.append((change, now))
        else:
            change(self._watch, now)

    def _hold(self) -> None:
        """After a key: the picture stands still, or what was heard meanwhile comes into it."""
        if self._desk.paused:
            self._held_at = self._held_at or trio.current_time()
            return
        self._held_at = None
        while self._backlog:
            change, now = self._backlog.popleft()
            change(self._watch, now)

    # -- what is typed ------------------------------------------------------------------------------------

    async def _keys(self, nursery: trio.Nursery) -> None:
        keyboard = Keyboard()
        while True:
            keys: list[str] = []
            with trio.move_on_after(_ESC if keyboard.waiting else float("inf")) as patience:
                keys = keyboard.feed(await self._terminal.read())
            for key in keyboard.pause() if patience.cancelled_caught else keys:
                if self._press(key, nursery):
                    return
            await self._paint()

    def _press(self, key: str, nursery: trio.Nursery) -> bool:
        """Whether that was the last one."""
        if key == "redraw":
            self._screen.forget()
            return False
        place = self._desk.place
        match self._desk.press(key, sight(self._picture())):
            case Quit():
                return True
            case Run(action):
                nursery.start_soon(self._run_action, action)
        if self._desk.place != place:
            self._poller.nudge()
        self._hold()
        return False

    async def _run_action(self, action: Action) -> None:
        self._desk.note = f"running: {action.command}"
        self._desk.note = await run_action(action)
        self._watch.events.append(EventLine(trio.current_time(), "here", "command", self._desk.note))
        self._watch.heard_events += 1
        self._poller.nudge()
        await self._paint()

    # -- what is shown ------------------------------------------------------------------------------------

    def _picture(self) -> Picture:
        now = trio.current_time() if self._held_at is None else self._held_at
        judged, problems = self._judged
        if now - judged >= _JUDGE or now < judged:
            problems = self._problems.look(self._watch, now)
            self._judged = now, problems
        return look(self._watch, problems, self._desk, now)

    async def _frames(self) -> None:
        while True:
            await self._paint()
            await trio.sleep(FRAME)

    async def _paint(self) -> None:
        async with self._painting:
            size = self._terminal.size()
            lines = frame(self._picture(), *size, strftime("%H:%M:%S", localtime()))
            await self._terminal.write(self._screen.paint(lines, size))

    # -- signals ------------------------------------------------------------------------------------------

    async def _signals(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP, signal.SIGWINCH)
        with trio.open_signal_receiver(*watched) as signals:
            task_status.started()
            async for number in signals:
                match number:
                    case signal.SIGWINCH:
                        await self._paint()
                    case signal.SIGTSTP:
                        await self._suspend()
                    case signal.SIGHUP:
                        raise TerminalLost("the terminal was closed")
                    case _:
                        raise Interrupted(number)

    async def _suspend(self) -> None:
        """Give the terminal back, stop, and take it again when the shell lets us go on."""
        async with self._painting:
            self._terminal.leave()
            os.kill(os.getpid(), signal.SIGSTOP)
            self._terminal.enter()
            self._screen.forget()
        await self._paint()
