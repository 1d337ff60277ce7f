"""A race is joined while it is on, at whatever moment: a newer advert comes when it likes."""

from __future__ import annotations

from math import inf
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from actors.net import racing
from actors.net.call import Call, Dialed, DialFailed
from actors.net.connecting.history import DialHistory
from actors.net.connecting.selection import Attempt
from actors.net.racing import Race, Schedule
from transports.addresses import TCPAddress, TLSAddress

OLD, NEW = TLSAddress("192.0.2.1", 7), TLSAddress("192.0.2.2", 7)
PLAIN = TCPAddress("192.0.2.1", 8)


class Caller:
    """Whose dials fail two steps after they have begun."""

    def __init__(self) -> None:
        self.network: Any = SimpleNamespace(clock=SimpleNamespace(now=trio.current_time))
        self.entry: Any = SimpleNamespace(record=SimpleNamespace(history=DialHistory(), ends=0))
        self.session: Any = SimpleNamespace(links=[])
        self.dialed: list[str] = []
        self.proxy: Any = self

    def dial(self, proxy: Any, address: Any, call: Call) -> Any:
        self.dialed.append(str(address))
        return call

    def over(self, call: Call) -> None: ...

    def failed(self, url: str, failed: DialFailed, *, moving: bool) -> None: ...

    async def ask(self, _: object, call: Call) -> None:
        await trio.lowlevel.checkpoint()
        call.end(DialFailed("connection refused"))


class Patient(Caller):
    """Whose dials come to nothing by themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, Call] = {}

    async def ask(self, _: object, call: Call) -> None:
        await trio.lowlevel.checkpoint()
        self.calls[self.dialed[-1]] = call


@pytest.fixture(autouse=True)
def all_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(racing, "offers_of", lambda *_: [SimpleNamespace(address=each) for each in (OLD, NEW, PLAIN)])


@pytest.mark.parametrize("steps", range(12))
async def test_a_race_is_joined_while_it_is_on_and_not_after(
    autojump_clock: trio.testing.MockClock, steps: int
) -> None:
    caller = Caller()
    race, over = Race(caller, (Attempt(OLD, 0.0),), inf), trio.Event()

    async def run() -> None:
        await race.run(caller.proxy)
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


async def test_one_is_proven_and_another_fails_in_the_same_moment(autojump_clock: trio.testing.MockClock) -> None:
    for _ in range(20):  # whichever of the two goes on first
        caller = Patient()
        race = Race(caller, (Attempt(OLD, 0.0), Attempt(NEW, 0.25)), inf)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(race.run, caller.proxy)
            await trio.sleep(1)
            caller.calls[str(OLD)].end(Dialed(0.1))
            caller.calls[str(NEW)].end(DialFailed("connection reset"))
        assert not race.timed_out


STAGES: Schedule = (Attempt(OLD, 0.0), Attempt(PLAIN, 5.0))


@pytest.mark.parametrize(
    ("until", "more_at", "ends", "dialed"),
    [
        (3.0, None, 3.0, [OLD]),
        (5.0, None, 5.0, [OLD]),
        (3.0, 2.0, 20.0, [OLD, PLAIN]),
        (3.0, 3.0, 3.0, [OLD]),  # too late: it was over in that very moment
        (30.0, None, 30.0, [OLD, PLAIN]),
    ],
)
async def test_it_ends_when_its_time_is_up_in_whichever_stage(
    autojump_clock: trio.testing.MockClock,
    until: float,
    more_at: float | None,
    ends: float,
    dialed: list[TLSAddress | TCPAddress],
) -> None:
    caller, began = Patient(), trio.current_time()
    race = Race(caller, STAGES, began + until)
    async with trio.open_nursery() as nursery:
        if more_at is not None:
            nursery.start_soon(more, race, began + more_at, began + 20.0)
        nursery.start_soon(race.run, caller.proxy)
    assert trio.current_time() - began == ends
    assert caller.dialed == [str(each) for each in dialed]
    assert race.timed_out


async def more(race: Race, at: float, until: float) -> None:
    await trio.sleep_until(at)
    race.extend(until)
