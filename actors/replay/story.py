"""A record as turns: an engine stands, or a message comes to it, and what follows until its next turn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from actors.identity import EngineID
from actors.recording import records as r
from actors.recording.files import Reading
from actors.recording.folders import RecordError

_UNKNOWN: Final = EngineID(None, "?")


class Role(Struct, frozen=True):
    """One engine's stay on the node."""

    number: int
    name: str
    cls: str
    takes: tuple[str, ...]
    spawner: str


class Turn(Struct):
    """`came` is what the engine was given; `tail` what was recorded of it until the next."""

    role: Role
    came: r.Stands | r.Came
    sender: EngineID = _UNKNOWN
    number: int = 0
    """Of a message: the engine's how many-th, counted from its spawn."""
    life: int = 0
    sudden: bool = False
    """The engine is first known here: what was before is not in the record."""
    tail: list[r.Read | r.Answered | r.Done | r.Cut | r.Crashed | r.Gone] = []

    @property
    def at(self) -> float:
        return self.came.at

    @property
    def crash(self) -> r.Crashed | None:
        """How its handler crashed, or what it asked for could not be carried out."""
        found = (record for record in self.tail if isinstance(record, r.Crashed) and record.in_handler)
        return next(found, None)

    @property
    def end(self) -> r.Done | r.Cut | r.Crashed | None:
        """How its handler ended; None if it had not when the record did, or if no action took the message."""
        for record in self.tail:
            if isinstance(record, (r.Done, r.Cut)) or (isinstance(record, r.Crashed) and record.in_handler):
                return record
        return None


class Story:
    """What a record tells, in order. With `engine`, of the engines of this name only."""

    def __init__(self, reading: Reading, engine: str | None = None) -> None:
        self.header = reading.header
        self.turns: list[Turn] = []
        self.roles: dict[int, Role] = {}
        self.arrived = self.commands = 0
        self.closed = False
        self.ends = self.header.clock
        """The last time that is in the record."""
        self._engine = engine
        self._known: dict[int, Turn] = {}
        self._counts: dict[int, tuple[int, int]] = {}
        self._senders: dict[int, EngineID] = {}
        for record in reading:
            self._take(record)
        self.cut = reading.cut or ("" if self.closed else f"{reading.parts[-1].name} has no end")
        self.names = list(dict.fromkeys(role.name for role in self.roles.values()))

    def _take(self, record: r.Header | r.Record) -> None:
        self.ends = max(self.ends, getattr(record, "at", 0.0))
        match record:
            case r.Header():
                self._senders.clear()
                if record.gap:
                    self._known.clear()
            case r.Introduced():
                self.roles.setdefault(
                    record.engine, Role(record.engine, record.name, record.cls, record.takes, record.spawner)
                )
            case r.Sender():
                self._senders[record.sender] = record.id
            case r.Arrived():
                self.arrived += record.count
            case r.Commanded():
                self.commands += 1
            case r.Closed():
                self.closed = True
            case r.Stands():
                self._stands(record)
            case r.Came():
                self._came(record)
            case _:
                if (turn := self._known.get(record.engine)) is not None:
                    turn.tail.append(record)

    def _stands(self, record: r.Stands) -> None:
        role = self.roles.get(record.engine)
        if role is None:
            raise RecordError(f"an engine stands that was never introduced: number {record.engine}")
        sudden = record.engine not in self._known and not record.begins
        self._counts[record.engine] = (record.handled, record.life)
        self._add(Turn(role, record, life=record.life, sudden=sudden))

    def _came(self, record: r.Came) -> None:
        if record.engine not in self._known:
            return
        role = self.roles[record.engine]
        handled, life = self._counts[record.engine]
        self._counts[record.engine] = (handled + 1, life)
        self._add(Turn(role, record, self._senders.get(record.sender, _UNKNOWN), handled + 1, life))

    def _add(self, turn: Turn) -> None:
        self._known[turn.role.number] = turn
        if self._engine is None or turn.role.name == self._engine:
            self.turns.append(turn)


class Summary(Struct, frozen=True, kw_only=True):
    """One engine of a record."""

    engine: str
    type: str
    messages: int
    lives: int
    first: int
    """The number of its first message that is in the record; 0 if there is none."""
    crashes: tuple[int, ...]
    """The numbers of the messages that it crashed at."""


def summaries(story: Story) -> list[Summary]:
    """The engines of a story."""
    return [_summary(role, [turn for turn in story.turns if turn.role is role]) for role in story.roles.values()]


def _summary(role: Role, turns: Iterable[Turn]) -> Summary:
    found = list(turns)
    messages = [turn.number for turn in found if turn.number]
    return Summary(
        engine=role.name,
        type=role.cls.partition(":")[2],
        messages=len(messages),
        lives=max((turn.life for turn in found), default=0),
        first=min(messages, default=0),
        crashes=tuple(turn.number for turn in found if turn.number and turn.crash),
    )
