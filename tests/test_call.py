"""A call: what a race waits for, and what the connection that dials is told of the race."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from actors.net.call import Call, Dialed, DialFailed


async def test_the_first_word_counts(autojump_clock: trio.testing.MockClock) -> None:
    call, came = Call(), list[Dialed | DialFailed]()

    async def wait() -> None:
        came.append(await call.outcome())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.sleep(1)
        assert not came
        call.end(DialFailed("connection refused"))
        call.end(Dialed(0.1))
    assert came == [DialFailed("connection refused")]
    assert await call.outcome() == came[0], "also for one who comes later"


@pytest.mark.parametrize("early", [False, True])
def test_who_withdraws_it_ends_the_dial_also_one_that_has_not_begun(early: bool) -> None:
    call, ended = Call(), list[str]()
    if early:
        call.withdraw()
    call.begin(lambda: ended.append("cancelled"))
    assert ended == ["cancelled"] * early
    call.withdraw()
    call.withdraw()
    assert ended == ["cancelled"]


def test_one_that_has_come_out_cannot_be_withdrawn() -> None:
    call, ended = Call(), list[str]()
    call.begin(lambda: ended.append("cancelled"))
    call.end(Dialed(0.1))
    call.withdraw()
    assert not ended
