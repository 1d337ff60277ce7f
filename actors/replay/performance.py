"""The turns of a recorded node, run again in their order, up to a message or a crash."""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Final

import trio
from msgspec import Struct, field
from trio.testing import MockClock

from actors.identity import NodeID
from actors.recording.chance import own_chance
from actors.recording.folders import RecordError
from actors.recording.records import Stands
from actors.replay.breaking import call_stopped, look_back
from actors.replay.players import Call, Played, Player, plain_call
from actors.replay.stage import Diverged, Unplayable
from actors.replay.story import Story, Turn
from actors.replay.traces import users_part
from actors.testing.virtual.runner import run_virtual

LAST: Final = 3
"""Messages before the one that it stops at that are shown."""


class Target(Struct, frozen=True, kw_only=True):
    """Where to stop: at this turn, or at the end."""

    turn: Turn | None
    debug: bool = False
    """With the debugger: where the handler crashed, or, for a message that was named, before it."""
    named: bool = False


class Performance(Struct, kw_only=True):
    """How it went."""

    played: int = 0
    """Messages that were handled again."""
    last: deque[Played]
    """The last of them, the one it stopped at included."""
    stopped: bool = False
    """At the target."""
    failed: Diverged | Unplayable | None = None
    """Why it could not go on as it went, to the target; without one, the first reason."""
    aside: dict[str, Diverged | Unplayable] = field(default_factory=dict)
    """Engines that could not, for a life at least, while others went on."""


def target_of(story: Story, *, number: int | None, to_crash: bool, debug: bool) -> Target:
    """Where to stop: message `number`, or the first crash, if there is one. RecordError if it is not in the record."""
    turns = [turn for turn in story.turns if turn.number]
    if number is not None:
        found = next((turn for turn in turns if turn.number == number), None)
        if found is None:
            raise RecordError(f"there is no message {number} of it: {_reach(turns)}", "actors replay DIR lists engines")
        return Target(turn=found, debug=debug, named=True)
    crash = next((turn for turn in turns if turn.crash), None)
    if crash is None and to_crash:
        raise RecordError(f"no handler crashed in this record: {_reach(turns)}", "leave out --to-crash, or use --to N")
    return Target(turn=crash, debug=debug)


def perform(story: Story, target: Target) -> Performance:
    """Run the engines again. Raises RecordError or AppError if what was recorded is not there now.

    The app is imported here, unless it was before.
    """
    clock = MockClock()
    clock.jump(story.header.clock)
    performance = Performance(last=deque(maxlen=LAST + 1))

    async def main() -> None:
        await _perform(story, target, performance, clock)
        if target.turn is None:
            performance.failed = next(iter(performance.aside.values()), None)

    with own_chance():
        run_virtual(main, clock=clock, limit=inf)
    return performance


async def _perform(story: Story, target: Target, performance: Performance, clock: MockClock) -> None:
    node = NodeID.parse(story.header.id)
    players: dict[int, Player] = {}
    lost: dict[int, Diverged | Unplayable] = {}
    wanted = _near(story, target)
    for place, turn in enumerate(story.turns):
        here, number = turn is target.turn, turn.role.number
        if turn.at > (at := trio.current_time()):
            clock.jump(turn.at - at)
        if isinstance(turn.came, Stands) and (turn.came.begins or turn.sudden):
            lost.pop(number, None)  # it begins anew
        if number not in lost:
            if number not in players:
                players[number] = Player(turn.role, node, lenient=target.debug)
            try:
                await _take(players[number], turn, target, performance, look=place in wanted)
            except (Diverged, Unplayable) as error:
                lost[number] = error
                performance.aside.setdefault(turn.role.name, error)
        if here:
            performance.failed = lost.get(number)
            performance.stopped = performance.failed is None
            return


async def _take(player: Player, turn: Turn, target: Target, performance: Performance, *, look: bool) -> None:
    if isinstance(turn.came, Stands):
        player.stand(turn)
        return
    debug = target.debug and turn is target.turn
    call: Call = call_stopped if debug and target.named else plain_call
    played = await player.play(turn, look=look, call=call)
    performance.played += 1
    if look:
        performance.last.append(played)
    if debug and not target.named and played.error is not None:
        look_back(users_part(played.error))


def _near(story: Story, target: Target) -> set[int]:
    """The places of the turns that are shown: the last ones of the same engine."""
    stop = target.turn or next((turn for turn in reversed(story.turns) if turn.number), None)
    if stop is None:
        return set()
    places = [place for place, turn in enumerate(story.turns) if turn.role is stop.role and turn.number]
    until = next(index for index, place in enumerate(places) if story.turns[place] is stop)
    return set(places[max(0, until - LAST) : until + 1])


def _reach(turns: list[Turn]) -> str:
    if not turns:
        return "no message is in it"
    names = dict.fromkeys(turn.role.name for turn in turns)
    parts = []
    for name in names:
        numbers = [turn.number for turn in turns if turn.role.name == name]
        parts.append(f"{name} has {min(numbers)} to {max(numbers)}")
    return ", ".join(parts)
