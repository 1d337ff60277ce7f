"""A terminal to run a command in: a pty, and pyte, which understands what the command writes."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyte

ENTER, LEAVE = b"\x1b[?1049h", b"\x1b[?1049l"
PATIENCE = 60.0
ACTORS = (sys.executable, "-m", "actors")


class Terminal:
    """One command on a terminal of its own."""

    def __init__(self, command: Sequence[str], width: int, height: int, words: Path | None) -> None:
        self._master, self._slave = pty.openpty()
        self.screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self._set_size(width, height)
        self.before = termios.tcgetattr(self._slave)
        stderr = words.open("wb") if words else None
        self.process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, *command],
            stdin=self._slave,
            stdout=self._slave,
            stderr=stderr or self._slave,
            env={**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"},
            start_new_session=True,
        )
        if stderr:
            stderr.close()

    # -- what is seen -----------------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """The screen, without trailing spaces."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Until the screen shows this pattern."""
        found = self.wait_until(lambda: re.search(pattern, self.text), pattern)
        assert found is not None
        return found

    def wait_until(self, condition: Callable[[], re.Match[str] | None], what: str) -> re.Match[str] | None:
        """Until the condition holds, which is looked at after each piece of output."""
        deadline = time.monotonic() + PATIENCE
        while not (found := condition()):
            assert time.monotonic() < deadline, f"no {what!r} on\n{self.text}"
            self._read(0.2)
        return found

    def wait_raw(self, data: bytes, count: int = 1) -> None:
        """Until these bytes have been written so many times."""
        deadline = time.monotonic() + PATIENCE
        while self.raw.count(data) < count:
            assert time.monotonic() < deadline, f"no {data!r} in {self.raw[-500:]!r}"
            self._read(0.2)

    @property
    def restored(self) -> bool:
        """Whether the terminal is as it was: its modes, its screen, its cursor."""
        entered, left = self.raw.count(ENTER), self.raw.count(LEAVE)
        cursor = self.raw.rfind(b"\x1b[?25h") > self.raw.rfind(b"\x1b[?25l")
        return entered == left and cursor and termios.tcgetattr(self._slave) == self.before

    # -- what is done -----------------------------------------------------------------------------------

    def type(self, *keys: str) -> None:
        """As if somebody typed it."""
        for key in keys:
            os.write(self._master, key.encode())

    def resize(self, width: int, height: int) -> None:
        """As if somebody dragged the window."""
        self.screen.resize(height, width)
        self._set_size(width, height)

    def hang_up(self) -> None:
        """As if somebody closed the window."""
        os.close(self._slave)
        os.close(self._master)
        self._slave = self._master = -1

    def wait_ended(self) -> int:
        """The exit code; what is still written is read."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.text
            if self._master >= 0:
                self._read(0.1)
        while self._master >= 0 and self._read(0.0):
            pass
        return self.process.returncode

    def wait_stopped(self) -> None:
        """Until it is suspended."""
        deadline = time.monotonic() + PATIENCE
        while True:
            _, status = os.waitpid(self.process.pid, os.WUNTRACED | os.WNOHANG)
            if status and os.WIFSTOPPED(status):
                return
            assert time.monotonic() < deadline
            self._read(0.1)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        for fd in (self._slave, self._master):
            if fd >= 0:
                os.close(fd)

    def _read(self, patience: float) -> bool:
        if not select.select([self._master], [], [], patience)[0]:
            return False
        data = os.read(self._master, 1 << 16)
        self.raw += data
        self._stream.feed(data)
        return True

    def _set_size(self, width: int, height: int) -> None:
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


_TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


@contextmanager
def open_terminal(*command: str, width: int = 80, height: int = 24, words: Path | None = None) -> Iterator[Terminal]:
    """The command runs on a terminal of this size; `words` is a file for its stderr."""
    terminal = Terminal(command, width, height, words)
    try:
        yield terminal
    finally:
        terminal.close()
