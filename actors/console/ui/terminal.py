"""The terminal while the dashboard has it: keys as they are pressed, a screen of its own, and all as before at the end.

It is opened anew by its name, so that reading and writing never wait in the kernel: the standard streams are shared
with whoever started us, and must stay as they are.
"""

from __future__ import annotations

import errno
import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import trio

from actors.console.exits import UsageError
from actors.errors import ActorError

_ENTER = b"\x1b[?1049h\x1b[?25l\x1b[2J"
_LEAVE = b"\x1b[0m\x1b[?25h\x1b[?1049l"
_READ = 1024
_LAST_WORDS = 1.0
"""Seconds that a terminal which takes nothing (Ctrl-S) gets to take what restores it."""
_GONE = (errno.EIO, errno.ENXIO, errno.EBADF, errno.ENODEV)


class TerminalLost(ActorError):
    """The terminal was closed under the dashboard."""

    code = "terminal_lost"
    hint = "actors ui opens another dashboard; the cluster goes on"


def check_terminal() -> None:
    """UsageError unless there is a terminal that can show a screen."""
    if sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return
    error = UsageError("the dashboard needs a terminal")
    error.hint = "actors ui --once prints one frame anywhere"
    raise error


@contextmanager
def open_terminal() -> Iterator[Terminal]:
    """The terminal of stdin, as the dashboard needs it; left as it was found, whatever ends the block."""
    fd = _opened(sys.stdin.fileno())
    try:
        terminal = Terminal(fd)
        terminal.enter()
        try:
            yield terminal
        finally:
            terminal.leave()
    finally:
        os.close(fd)


class Terminal:
    """Raises TerminalLost from everything but `leave`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._before = termios.tcgetattr(fd)

    def enter(self) -> None:
        """Keys come singly and unechoed; another screen, without a cursor. Ctrl-C and Ctrl-Z remain signals."""
        self._before = termios.tcgetattr(self._fd)
        tty.setcbreak(self._fd, termios.TCSADRAIN)
        self._write_now(_ENTER)

    def leave(self) -> None:
        """As it was. What a lost terminal does not take is nobody's."""
        with suppress(OSError):
            self._write_now(_LEAVE)
        with suppress(OSError, termios.error):
            termios.tcsetattr(self._fd, termios.TCSANOW, self._before)

    def size(self) -> tuple[int, int]:
        """Cells and lines; a terminal that does not know has 80x24."""
        try:
            width, height = os.get_terminal_size(self._fd)
        except OSError as error:
            raise _lost(error) from None
        return (width, height) if width and height else (80, 24)

    async def read(self) -> bytes:
        """What was typed, once something was."""
        while True:
            await trio.lowlevel.wait_readable(self._fd)
            try:
                data = os.read(self._fd, _READ)
            except BlockingIOError:
                continue
            except OSError as error:
                raise _lost(error) from None
            if not data:
                raise TerminalLost("the terminal was closed")
            return data

    async def write(self, data: bytes) -> None:
        """Returns when the terminal has taken it; what it takes at once is there before anybody else has a turn."""
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._fd)
            except OSError as error:
                raise _lost(error) from None
        await trio.lowlevel.checkpoint()

    def _write_now(self, data: bytes) -> None:
        while data and select.select((), (self._fd,), (), _LAST_WORDS)[1]:
            data = data[os.write(self._fd, data) :]


def _opened(fd: int) -> int:
    """The terminal anew; where it may not be opened (somebody else's, after `su`) the one that we were given."""
    try:
        return os.open(os.ttyname(fd), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return os.dup(fd)


def _lost(error: OSError) -> ActorError:
    if error.errno in _GONE:
        return TerminalLost("the terminal was closed")
    return TerminalLost(f"the terminal cannot be used: {error.strerror}")
