"""A runtime that is recorded, and its engines run again: as tests say it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import trio
from running import NODE
from trio.testing import MockClock

from actors.recording.files import Reading
from actors.recording.folders import run_of
from actors.recording.recorder import Recorder, open_recorder
from actors.replay.performance import Performance, perform, target_of
from actors.replay.story import Story
from actors.runtime import Runtime, open_service_nursery

Scenario = Callable[[Runtime], Awaitable[Any]]


def record(folder: Path, scenario: Scenario, *, largest: int = 64 << 20, clock: MockClock | None = None) -> Recorder:
    """Run this with the engines of a runtime, all recorded as node b."""
    found: list[Recorder] = []

    async def main() -> None:
        with open_recorder(
            folder, node="b", id=NODE, app="recorded_app:setup", engines=(), clock=trio.current_time(), largest=largest
        ) as recorder:
            found.append(recorder)
            async with open_service_nursery() as nursery:
                runtime = Runtime(NODE)
                runtime.witness = recorder
                runtime.events.taps.append(recorder.event)
                await nursery.start(runtime.serve)
                await scenario(runtime)
                nursery.cancel_scope.cancel()

    trio.run(main, clock=clock or MockClock(autojump_threshold=0))
    return found[0]


def story(folder: Path, engine: str | None = None) -> Story:
    """What was recorded."""
    return Story(Reading(run_of(folder, "b", None)), engine)


def again(folder: Path, engine: str | None = None, *, to: int | None = None, to_crash: bool = False) -> Performance:
    """The engines run again."""
    found = story(folder, engine)
    return perform(found, target_of(found, number=to, to_crash=to_crash, debug=False))
