"""A race is joined while it is on, at whatever moment: a newer advert comes when it likes."""

from __future__ import annotations

from math import inf
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from actors.net import racing
from actors.net.call import Call, DialFailed
from actors.net.connecting.history import DialHistory
from actors.net.connecting.selection import Attempt
from actors.net.racing import Race
from transports.addresses import TLSAddress

OLD, NEW = TLSAddress("192.0.2.1", 7), TLSAddress("192.0.2.2", 7)


class Caller:
    """Whose dials fail two steps after they have begun."""

    def __init__(self) -> None:
        self.network: Any = SimpleNamespace(clock=SimpleNamespace(now=trio.current_time))
        self.entry: Any = SimpleNamespace(record=SimpleNamespace(history=DialHistory(), ends=0))
        self.session: Any = SimpleNamespace(links=[])
        self.dialed: list[str] = []

    def dial(self, proxy: Any, address: Any, call: Call) -> Any:
        self.dialed.append(str(address))
        return call

    def over(self, call: Call) -> None: ...

    def failed(self, url: str, failed: DialFailed, *, moving: bool) -> None: ...

    async def send(self, _: object, call: Call) -> None:
        await trio.lowlevel.checkpoint()
        call.end(DialFailed("connection refused"))


@pytest.mark.parametrize("steps", range(12))
async def test_a_race_is_joined_while_it_is_on_and_not_after(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    monkeypatch.setattr(racing, "offers_of", lambda *_: [SimpleNamespace(address=each) for each in (OLD, NEW)])
    caller = Caller()
    race, over = Race(caller, (Attempt(OLD, 0.0),), inf), trio.Event()

    async def run() -> None:
        await race.run(caller)  # type: ignore[arg-type]
        over.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        was_over = over.is_set()
        race.join((Attempt(OLD, 0.0), Attempt(NEW, 0.0)))
        await over.wait()
    assert caller.dialed[:1] == [str(OLD)]
    assert len(caller.dialed) == len(set(caller.dialed)), "none is dialed twice"
    assert not was_over or caller.dialed == [str(OLD)]
