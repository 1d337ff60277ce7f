"""A run under `run_virtual` depends on its seed, and on nothing else."""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.abc import Instrument
from trio.lowlevel import Abort, ParkingLot, RaiseCancelT, Task, wait_task_rescheduled
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.testing.virtual import runner as virtual
from actors.testing.virtual.runner import SimulationHung, TrioHasChanged, run_virtual

ROOT = Path(__file__).parents[1]


# -- one order for each seed ------------------------------------------------------------------------------


class Medley:
    """A program with something of everything that Trio could do in one order or another; it writes down which."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.lot = ParkingLot()
        self.event = trio.Event()

    async def main(self) -> None:
        for part in (self.yielding, self.timing_out, self.parking, self.cancelling, self.starting, self.closing):
            self.log.append(part.__name__)
            await part()

    async def yielding(self) -> None:
        async def turns(number: int) -> None:
            for turn in range(3):
                self.log.append(f"task {number}, turn {turn}")
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(turns, number)

    async def timing_out(self) -> None:
        """Scopes of equal deadlines, within each other and beside each other."""
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(self._timed, number, trio.current_time() + 1 + number % 2)

    async def _timed(self, number: int, deadline: float) -> None:
        with trio.CancelScope(deadline=deadline) as outer:
            with trio.CancelScope(deadline=deadline) as inner:
                await self._sleep(f"timed {number}")
            self.log.append(f"inner {number} {inner.cancelled_caught}")
        self.log.append(f"outer {number} {outer.cancelled_caught}")

    async def parking(self) -> None:
        async def park(number: int) -> None:
            with trio.move_on_after(number % 3):
                await self.lot.park()
            self.log.append(f"parked {number}")
            await self.event.wait()
            self.log.append(f"heard {number}")

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(park, number)
            await wait_all_tasks_blocked()
            self.lot.unpark(count=5)
            await trio.sleep(1.5)
            self.lot.unpark_all()
            await trio.sleep(1.5)
            self.event.set()

    async def cancelling(self) -> None:
        """A nursery with others in it, and with shields."""

        async def inner(number: int) -> None:
            with trio.CancelScope(shield=number % 4 == 0, relative_deadline=number):
                async with trio.open_nursery() as nursery:
                    for twig in range(3):
                        nursery.start_soon(self._sleep, f"cancelled {number} {twig}")

        async with trio.open_nursery() as nursery:
            for number in range(12):
                nursery.start_soon(inner, number)
            await trio.sleep(1)
            nursery.cancel_scope.cancel()

    async def starting(self) -> None:
        """Tasks that hand over what they have begun to a nursery that is about to be cancelled."""

        async def begin(number: int, task_status: trio.TaskStatus[None]) -> None:
            async with trio.open_nursery() as nursery:
                for twig in range(5):
                    nursery.start_soon(self._sleep, f"started {number} {twig}")
                task_status.started()

        async with trio.open_nursery() as old, trio.open_nursery() as new:
            for number in range(5):
                old.start_soon(new.start, begin, number)
            await trio.sleep(1)
            new.cancel_scope.cancel()

    async def closing(self) -> None:
        async def receive(number: int, channel: trio.MemoryReceiveChannel[int]) -> None:
            async with channel:
                async for item in channel:
                    self.log.append(f"receiver {number} got {item}")
            self.log.append(f"receiver {number} ends")

        send, channel = trio.open_memory_channel[int](0)
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(receive, number, channel.clone())
            channel.close()
            for item in range(30):
                await send.send(item)
            await send.aclose()

    async def _sleep(self, name: str) -> None:
        """Like an ask, it does something while it is being cancelled."""

        def abort(_: RaiseCancelT) -> Abort:
            self.log.append(f"woken: {name}")
            return Abort.SUCCEEDED

        await wait_task_rescheduled(abort)


def medley(seed: int) -> list[str]:
    program = Medley()
    run_virtual(program.main, seed=seed)
    return program.log


def digest(seed: int) -> str:
    return sha256("\n".join(medley(seed)).encode()).hexdigest()


@contextmanager
def litter() -> Iterator[None]:
    """New objects come to lie at other places than before."""
    chance = random.SystemRandom()
    made = [bytearray(chance.randrange(1, 500)) for _ in range(5000)]
    kept = [each for each in made if chance.random() < 0.5]
    del made
    yield
    del kept


def test_the_same_seed_gives_the_same_order_wherever_objects_lie_in_memory() -> None:
    first = medley(1)
    for _ in range(8):
        with litter():
            assert medley(1) == first


def test_another_seed_gives_another_order() -> None:
    logs = {digest(seed) for seed in range(5)}
    assert len(logs) == 5, f"Trio {trio.__version__} no longer takes the order of its tasks from trio._core._run._r"
    assert {len(medley(seed)) for seed in range(5)} == {len(medley(0))}


def test_the_same_seed_gives_the_same_order_in_every_process() -> None:
    program = "import test_virtual as t\nwith t.litter(): print([t.digest(seed) for seed in range(5)])"
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": paths, **settings},
            stdout=subprocess.PIPE,
            text=True,
        )
        for settings in ({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2"}, {"PYTHONMALLOC": "malloc"})
    ]
    printed = [run.communicate()[0].strip() for run in runs]
    assert printed == [str([digest(seed) for seed in range(5)])] * 3


def test_where_trio_has_moved_what_we_need_the_error_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(trio._core._run, "_r")
    with pytest.raises(TrioHasChanged, match=rf"Trio {trio.__version__} has no _r in trio._core._run any more"):
        run_virtual(trio.lowlevel.checkpoint)


# -- what a run leaves behind -----------------------------------------------------------------------------


def knobs() -> dict[str, object]:
    loop: Any = vars(trio._core._run)
    return {name: loop.get(name) for name in ("_ALLOW_DETERMINISTIC_SCHEDULING", "_r", "CancelStatus", "id")}


@pytest.fixture
def untouched() -> Iterator[None]:
    """Trio is afterwards as it was before, and drew nothing."""
    before, drawn = knobs(), trio._core._run._r.getstate()
    assert before["id"] is None
    assert gc.isenabled()
    yield
    assert knobs() == before
    assert trio._core._run._r.getstate() == drawn
    assert gc.isenabled()


@pytest.mark.usefixtures("untouched")
def test_a_run_gives_the_result_and_leaves_trio_as_it_was() -> None:
    async def main() -> tuple[float, float, bool]:
        start = trio.current_time()
        await trio.sleep(3600)
        return start, trio.current_time(), gc.isenabled()

    assert run_virtual(main) == (0.0, 3600.0, False)


@pytest.mark.usefixtures("untouched")
def test_a_run_that_raises_leaves_trio_as_it_was() -> None:
    async def main() -> None:
        await trio.sleep(1)
        raise LookupError("as told")

    with pytest.raises(LookupError, match="as told"):
        run_virtual(main)


@pytest.mark.usefixtures("untouched")
def test_a_run_within_a_run_is_refused_and_the_outer_one_keeps_its_order() -> None:
    async def outer(nested: bool) -> list[str]:
        if nested:
            inside = knobs()
            with pytest.raises(RuntimeError, match="from inside"):
                run_virtual(trio.lowlevel.checkpoint, seed=2)
            assert knobs() == inside
        program = Medley()
        await program.yielding()
        return program.log

    assert run_virtual(lambda: outer(True), seed=1) == run_virtual(lambda: outer(False), seed=1)


@pytest.mark.usefixtures("untouched")
def test_a_collector_that_rests_already_is_not_woken() -> None:
    gc.disable()
    try:
        run_virtual(trio.lowlevel.checkpoint)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_clock_and_the_instruments_can_be_those_of_the_caller() -> None:
    class Steps(Instrument):
        names: list[str] = []  # noqa: RUF012 - of this test

        def before_task_step(self, task: Task) -> None:
            self.names.append(task.name)

    clock = MockClock()
    clock.jump(100)

    async def main() -> None:
        assert trio.lowlevel.current_clock() is clock
        await trio.sleep(50)

    run_virtual(main, clock=clock, limit=60, instruments=[Steps()])
    assert clock.current_time() == 150
    assert any("guard" in name for name in Steps.names)


# -- runs that hang ---------------------------------------------------------------------------------------


async def wait_in_vain(event: trio.Event) -> None:
    await event.wait()


async def hang() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_in_vain, trio.Event(), name="engine idle")
        await trio.sleep_forever()


@pytest.mark.usefixtures("untouched")
def test_a_run_that_hangs_ends_with_what_every_task_waits_for() -> None:
    with pytest.raises(SimulationHung, match=r"after 60 virtual seconds: main stands in test_virtual.py line") as hung:
        run_virtual(hang, limit=60)
    main, engine = hung.value.waiting
    assert main.startswith("main: test_virtual.py line ")
    assert main.endswith(" (hang)")
    assert engine.startswith("engine idle: test_virtual.py line ")
    assert engine.endswith(" (wait_in_vain)")
    assert hung.value.__notes__ == [main, engine]


def test_of_very_many_tasks_only_the_first_are_shown() -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(99):
                nursery.start_soon(trio.sleep_forever)

    with pytest.raises(SimulationHung) as hung:
        run_virtual(main)
    assert len(hung.value.waiting) == 100
    assert hung.value.__notes__[-1] == "and 60 more tasks"


def test_a_run_that_ends_in_time_is_left_alone_and_one_that_takes_exactly_the_limit_is_not() -> None:
    run_virtual(partial(trio.sleep, 59.9), limit=60)
    with pytest.raises(SimulationHung):
        run_virtual(partial(trio.sleep, 60), limit=60)


@pytest.mark.usefixtures("untouched")
def test_a_run_that_goes_round_and_round_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual, "ROUNDS", 1000)

    async def spin() -> None:
        await trio.sleep(7)
        while True:
            await trio.lowlevel.checkpoint()

    with pytest.raises(SimulationHung, match=r"clock has stopped at 7, for something never waits: .* \(spin\)"):
        run_virtual(spin)


@pytest.mark.usefixtures("untouched")
def test_what_is_done_when_the_run_is_cancelled_is_neither_lost_nor_in_the_way() -> None:
    async def refuses() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise LookupError("as told")

    with pytest.raises(SimulationHung) as hung:
        run_virtual(refuses)
    assert isinstance(hung.value.__cause__, LookupError)

    async def overlooks() -> str:
        with trio.CancelScope(shield=True):
            await trio.sleep(2 * virtual.DAY - 1)
        return "done"

    with pytest.raises(SimulationHung):
        run_virtual(overlooks)


@pytest.mark.usefixtures("untouched")
def test_no_shield_keeps_a_run_that_hangs() -> None:
    ended: list[str] = []

    async def clean_up(name: str) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep_forever()
            ended.append("not so")

    async def beat() -> None:
        with trio.CancelScope(shield=True):
            for _ in count():
                await trio.sleep(10)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(clean_up, "one")
            nursery.start_soon(clean_up, "two")
            nursery.start_soon(beat)

    with pytest.raises(SimulationHung):
        run_virtual(main, limit=100)
    assert ended == []
