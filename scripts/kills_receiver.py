"""The engine of scripts/kills that is killed with its process: it appends each note to a file.

actors run --app scripts.kills_receiver:setup
"""

from __future__ import annotations

import os
from typing import Final

import trio

from actors import Engine, Message, Node, Request, on

FILE: Final = "ACTORS_KILLS"
"""The environment variable that names the file."""
WRITER: Final = "writer"
STALL_EVERY: Final = 5_000
STALL: Final = 0.02
"""Seconds for which the writer stops after so many notes, so that others lie in its mailbox when it is killed."""


class Note(Message, tag="kills.note"):
    number: int


class Count(Request[int], tag="kills.count"):
    """Answered when all notes that came before are written."""


class Writer(Engine):
    """Appends what it is told, at once: what was handled outlives the process."""

    file: int
    life: int
    written: int = 0

    @on(Note)
    async def note(self, msg: Note) -> None:
        os.write(self.file, b"%d %d\n" % (self.life, msg.number))
        self.written += 1
        if self.written % STALL_EVERY == 0:
            await trio.sleep(STALL)

    @on(Count)
    def count(self, _: Count) -> int:
        return self.written


def setup(node: Node) -> None:
    """The app of the receiving process."""
    file = os.open(os.environ[FILE], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    node.spawn(Writer(file=file, life=os.getpid()), WRITER)
