"""The one place where an exception of an engine's own code ends."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from actors.runtime.containment import Containment, words


def test_an_exception_is_kept_and_the_world_goes_on() -> None:
    with Containment() as crash:
        raise ValueError("x")
    assert repr(crash.error) == "ValueError('x')"


def test_without_an_exception_there_is_none() -> None:
    with Containment() as crash:
        pass
    assert crash.error is None


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_passes(kind: type[BaseException]) -> None:
    crash = Containment()
    with pytest.raises(kind), crash:
        raise kind
    assert crash.error is None


def test_a_group_of_both_is_split() -> None:
    crash = Containment()
    with pytest.RaisesGroup(KeyboardInterrupt), crash:
        raise BaseExceptionGroup("of a nursery", [ValueError("x"), KeyboardInterrupt()])
    assert crash.error is not None
    assert words(crash.error) == "ValueError('x')"


def test_a_group_of_exceptions_is_one_crash() -> None:
    with Containment() as crash:
        raise ExceptionGroup("of a nursery", [ValueError("x"), OSError("y")])
    assert words(crash.error or ValueError()).startswith("ExceptionGroup(")


async def test_a_scope_that_is_cancelled_still_ends(autojump_clock: trio.testing.MockClock) -> None:
    crash = Containment()
    with trio.move_on_after(1) as scope, crash:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("cleanup failed")
    assert scope.cancelled_caught
    assert words(crash.error or OSError()) == "ValueError('cleanup failed')"


class Unprintable(Exception):
    def __repr__(self) -> str:
        raise RuntimeError("not even this works")


def test_words_are_always_found() -> None:
    inner = ExceptionGroup("inner", [ExceptionGroup("innermost", [KeyError("k")])])
    assert words(inner) == "KeyError('k')"
    assert words(Unprintable()) == "Unprintable"
