"""The dashboard at work: stage, keys and screen in one nursery. Decides nothing; desk and views do."""

from __future__ import annotations

import os
import signal
from time import localtime, strftime

import trio

from actors.console.exits import Interrupted
from actors.console.ui.actions import Able, Action
from actors.console.ui.desk import Desk, Go, Quit, Run
from actors.console.ui.keyboard import Keyboard
from actors.console.ui.picture import Picture, sight
from actors.console.ui.running import run_action
from actors.console.ui.screen import Screen
from actors.console.ui.stage import Stage
from actors.console.ui.terminal import Terminal, TerminalLost, open_terminal
from actors.console.ui.views.frame import frame

FRAME = 0.25
"""Seconds between two pictures, where no key asks for one."""
_ESC = 0.05
"""Seconds after which an Esc is a key, and not the beginning of one."""


async def run_shell(stage: Stage, able: Able) -> None:
    """Show it until `q`. Interrupted for SIGINT and SIGTERM, TerminalLost for a terminal that is closed.

    They come in groups, as nurseries raise them. The terminal is as it was whenever this ends.
    """
    # While it is watched for, a hang-up is an error like others. Afterwards it must not kill what still has to be
    # closed and said: whoever reads the keys may find out first, and the signal come when nobody listens any more.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with open_terminal() as terminal:
        await Shell(stage, able, terminal).run()


class Shell:
    """One dashboard on one terminal."""

    def __init__(self, stage: Stage, able: Able, terminal: Terminal) -> None:
        self._desk = Desk(able=able)
        self._stage = stage
        self._terminal = terminal
        self._screen = Screen()
        self._painting = trio.Lock()
        self._seen: Picture | None = None
        """What the person sees, until a key changes it: what a key means there is found in it."""

    async def run(self) -> None:
        """Until somebody quits."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._signals)
            nursery.start_soon(self._stage.run)
            nursery.start_soon(self._frames)
            await self._keys(nursery)
            nursery.cancel_scope.cancel()

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
        seen, self._seen = self._seen or self._stage.picture(self._desk), None
        match self._desk.press(key, sight(seen)):
            case Quit():
                return True
            case Run(action):
                nursery.start_soon(self._run_action, action)
            case Go() as wish:
                self._stage.go(wish)
        self._stage.moved(self._desk)
        return False

    async def _run_action(self, action: Action) -> None:
        self._desk.note = f"running: {action.command}"
        self._desk.note = await run_action(action)
        self._stage.happened(self._desk.note)
        await self._paint()

    # -- what is shown ------------------------------------------------------------------------------------

    async def _frames(self) -> None:
        while True:
            await self._paint()
            await trio.sleep(FRAME)

    async def _paint(self) -> None:
        try:
            self._painting.acquire_nowait()  # a key is answered before what has just been heard is read
        except trio.WouldBlock:
            await self._painting.acquire()
        try:
            size = self._terminal.size()
            self._seen = self._stage.picture(self._desk)
            lines = frame(self._seen, *size, strftime("%H:%M:%S", localtime()))
            await self._terminal.write(self._screen.paint(lines, size))
        finally:
            self._painting.release()

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
