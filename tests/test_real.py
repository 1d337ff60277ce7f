"""Whoever uses something real under simulation is told so: who, what, where, and what to use instead."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import socket
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from logging.handlers import SocketHandler
from multiprocessing import get_context
from pathlib import Path
from time import monotonic, sleep
from types import ModuleType
from typing import Any

import pytest
import trio

from actors.engine import Engine, Policy, on
from actors.errors import Crashed
from actors.identity import NodeKey
from actors.messages import Message, Request, Started
from actors.node import Node, open_node
from actors.testing.virtual.real import NothingReal, NotSimulated
from actors.testing.virtual.runner import run_virtual
from transports.memory.network import MemoryNetwork

HERE = Path(__file__).name


# -- what is real -----------------------------------------------------------------------------------------


DEEDS: dict[str, Callable[[], object]] = {
    "time.sleep": lambda: sleep(1),
    "time.time": lambda: time.time(),
    "time.monotonic": lambda: monotonic(),
    "time.perf_counter_ns": lambda: time.perf_counter_ns(),
    "time.clock_gettime": lambda: time.clock_gettime(time.CLOCK_REALTIME),
    "threading.Thread.start": lambda: threading.Thread(target=int).start(),
    "concurrent.futures.ThreadPoolExecutor.submit": lambda: ThreadPoolExecutor().submit(int),
    "multiprocessing.Process.start": lambda: get_context("spawn").Process(target=int).start(),
    "subprocess.Popen": lambda: subprocess.run(["true"], check=False),
    "os.system": lambda: os.system("true"),
    "os.fork": lambda: os.fork(),
    "socket.socket": lambda: socket.socket(),
    "socket.getaddrinfo": lambda: socket.create_connection(("localhost", 1)),
    "asyncio.run": lambda: asyncio.run(None),  # type: ignore[arg-type]
}


def verbs() -> dict[str, tuple[Callable[..., Awaitable[object]], object]]:
    """Looked up where they are called: before, they would be the real ones."""
    return {
        "trio.to_thread.run_sync": (trio.to_thread.run_sync, int),
        "trio.run_process": (trio.run_process, ["true"]),
        "trio.lowlevel.open_process": (trio.lowlevel.open_process, ["true"]),
        "trio.open_tcp_listeners": (trio.open_tcp_listeners, 0),
        "trio.open_tcp_stream": (partial(trio.open_tcp_stream, "localhost"), 1),
        "trio.serve_tcp": (partial(trio.serve_tcp, trio.aclose_forcefully), 0),
        "trio.open_unix_socket": (trio.open_unix_socket, "/nowhere"),
        "trio.open_file": (trio.open_file, __file__),
        "trio.getaddrinfo": (partial(trio.socket.getaddrinfo, "localhost"), 1),
        "trio.Path": (trio.Path.exists, trio.Path("/nowhere")),
        "actors.node.open_node": (AsyncExitStack().enter_async_context, open_node()),
    }


async def do_verb(name: str) -> None:
    verb, argument = verbs()[name]
    await verb(argument)


THROUGH = {
    "trio.open_file": ("trio.to_thread.run_sync()", "trio.open_file()"),
    "trio.Path": ("trio.to_thread.run_sync()", ""),
    "trio.getaddrinfo": ("socket.getaddrinfo()", "trio.getaddrinfo()"),
    "actors.node.open_node": ("socket.getaddrinfo()", "actors.node.open_node()"),
}


def told(deed: Callable[[], object]) -> NotSimulated:
    """What the deed is told."""
    guard = NothingReal()
    with guard:
        with pytest.raises(NotSimulated) as error:
            deed()
        assert guard.offences == [error.value]
        guard.offences.clear()
    return error.value


@pytest.mark.parametrize("name", DEEDS)
def test_a_deed_in_the_real_world_is_told_by_its_name(name: str) -> None:
    error = told(DEEDS[name])
    line = DEEDS[name].__code__.co_firstlineno
    assert (error.what, error.where) == (f"{name}()", f"{HERE} line {line}")
    assert error.code == "not_simulated"
    assert str(error).endswith(f"; under simulation {error.hint}")


@pytest.mark.parametrize("name", verbs())
def test_an_asynchronous_deed_is_the_callers_whatever_library_did_it_for_him(name: str) -> None:
    error = told(partial(run_virtual, partial(do_verb, name)))
    assert (error.what, error.through) == THROUGH.get(name, (f"{name}()", ""))
    assert error.where == f"{HERE} line {do_verb.__code__.co_firstlineno + 2}"


def test_the_words_say_who_what_where_and_what_to_use_instead() -> None:
    def nap() -> None:
        sleep(1)

    line = nap.__code__.co_firstlineno + 1
    assert str(told(nap)) == (
        f"nap() called {'time.'}sleep() in {HERE} line {line}; under simulation use trio.sleep(), the clock is virtual"
    )


def test_code_made_from_a_string_counts_where_it_is_run() -> None:
    def evaluated() -> object:
        return eval("time.time()")

    error = told(evaluated)
    assert error.what == "time.time()"
    assert error.where == f"{HERE} line {evaluated.__code__.co_firstlineno + 1}"


def test_a_deed_that_a_task_consists_of_is_told_although_no_line_of_ours_is_running() -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.open_file, __file__)

    with pytest.raises(NotSimulated) as error, NothingReal():
        run_virtual(main)
    assert (error.value.who, error.value.through) == ("open_file()", "trio.open_file()")


# -- whose engine -----------------------------------------------------------------------------------------


class Do(Request[int]):
    """Do this, and answer with 1."""

    deed: str


class Later(Message):
    """Do it in a task of the port."""


def do(deed: str) -> int:
    if deed == "nothing":
        return 1
    if deed == "look":
        return int(time.time())
    if deed == "log":
        logging.getLogger("test.real").warning("at %s", "what time?")
        return 1
    sleep(1)
    return 1


class Quick(Engine):
    @on(Do)
    def do(self, msg: Do) -> int:
        return do(msg.deed)


class Slow(Engine):
    @on(Do)
    async def do(self, msg: Do) -> int:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._beside, msg)
        return 1

    @staticmethod
    async def _beside(msg: Do) -> None:
        await trio.sleep(1)
        do(msg.deed)


class Ported(Engine):
    async def port(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(_look_once)


async def _look_once() -> None:
    await trio.sleep(1)
    time.time()


class Parent(Engine):
    @on(Started)
    def started(self, _: Started) -> None:
        self.spawn(Quick(), "child")


Scene = Callable[[Node, Node], Awaitable[None]]


def play(scene: Scene, guard: NothingReal) -> None:
    """Two nodes, a and b."""

    async def main() -> None:
        network = MemoryNetwork()
        keys = {name: NodeKey.generate() for name in "ab"}
        guard.name_of = {key.id: name for name, key in keys.items()}.__getitem__

        def opened(name: str) -> Any:
            transports = (network.transport(name),)
            return open_node(keys[name], name=name, listen=(f"memory://{name}",), transports=transports)

        async with opened("a") as a, opened("b") as b:
            a.learn(b.advert)
            await scene(a, b)

    run_virtual(main)


@pytest.mark.parametrize("engine", [Quick(), Slow()], ids=["def", "async def, in a nursery"])
@pytest.mark.parametrize("asker", ["a", "b"])
def test_the_engine_that_did_it_and_its_node_are_named(engine: Engine, asker: str) -> None:
    async def scene(a: Node, b: Node) -> None:
        target = b.spawn(engine, "counter")
        assert await {"a": a, "b": b}[asker].ask(target, Do("nothing")) == 1
        with pytest.raises(Crashed):
            await {"a": a, "b": b}[asker].ask(target, Do("sleep"))

    with pytest.raises(NotSimulated) as error, NothingReal() as guard:
        play(scene, guard)
    assert guard.offences == [error.value]
    assert error.value.who == f"engine counter ({type(engine).__name__}) of node b"
    assert error.value.where == f"{HERE} line {do.__code__.co_firstlineno + 8}"


def test_a_port_and_a_child_are_named_too() -> None:
    async def scene(a: Node, b: Node) -> None:
        b.spawn(Ported(), "ported", policy=Policy.TEMPORARY)
        b.spawn(Parent(), "parent")
        await trio.sleep(2)
        with pytest.raises(Crashed):
            await b.ask(b.runtime.directory["child"].id, Do("look"))

    guard = NothingReal()
    with pytest.raises(NotSimulated), guard:
        play(scene, guard)
    assert [offence.who for offence in guard.offences] == [
        "engine ported (Ported) of node b",
        "engine child (Quick) of node b",
    ]


def test_a_handler_that_is_called_without_a_node_is_named_by_its_class() -> None:
    assert told(partial(Quick().do, Do("sleep"))).who == "engine Quick, of no node,"


def test_without_names_a_node_is_named_by_its_id() -> None:
    names = []

    async def scene(_: Node, b: Node) -> None:
        names.append(b.id.short)
        guard.name_of = NothingReal().name_of
        with pytest.raises(Crashed):
            await b.ask(b.spawn(Quick(), "counter"), Do("sleep"))

    guard = NothingReal()
    with pytest.raises(NotSimulated) as error, guard:
        play(scene, guard)
    assert error.value.who == f"engine counter (Quick) of node {names[0]}"


# -- what is nobody's mistake -----------------------------------------------------------------------------


def test_logging_nodes_and_their_keys_may_look_at_clocks(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(a: Node, b: Node) -> None:
        assert await a.ask(b.spawn(Quick(), "counter"), Do("log")) == 1
        NodeKey.generate()

    with NothingReal() as guard:
        play(scene, guard)
    assert "at what time?" in caplog.text


def test_logging_may_open_a_socket() -> None:
    handler = SocketHandler("/nowhere", None)
    with NothingReal() as guard:
        handler.emit(logging.makeLogRecord({}))
    assert guard.offences == []
    handler.close()


def library(folder: Path, name: str, source: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A package that is installed."""
    (folder / "site-packages").mkdir()
    (folder / "site-packages" / f"{name}.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(folder / "site-packages")
    module = __import__(name)
    monkeypatch.delitem(sys.modules, name)
    return module


def test_a_library_may_look_at_clocks_but_not_sleep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        """
        import time
        def look(): return time.time()
        def nap(): time."""
        + """sleep(1)
    """
    )
    installed = library(tmp_path, "napping", source, monkeypatch)
    with NothingReal():
        assert installed.look() > 0
    error = told(lambda: installed.nap())
    assert error.where.startswith(f"{HERE} line ")
    assert error.through == "napping.nap()"


def test_an_installed_package_that_defines_engines_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = """
        import time
        from actors.engine import Engine
        def look(): return time.time()
        class Idle(Engine): pass
    """
    installed = library(tmp_path, "bank_of_engines", source, monkeypatch)
    assert told(lambda: installed.look()).where == "bank_of_engines.py line 4"


def test_other_threads_go_on_in_real_time() -> None:
    go, times = threading.Event(), []

    def work() -> None:
        go.wait()
        times.append(time.time())

    worker = threading.Thread(target=work)
    worker.start()
    with NothingReal():
        go.set()
        worker.join()
    assert len(times) == 1


def test_what_is_allowed_by_name_is_let_through() -> None:
    with NothingReal(allow=["time.time", "socket.socket"]):
        assert time.time() > 0
        socket.socket().close()


# -- the end of the block ---------------------------------------------------------------------------------


def offend(name: str, *, then: BaseException | None = None) -> bool:
    """Do it, and overlook the error."""
    with pytest.raises(NotSimulated):
        DEEDS[name]()
    if then is not None:
        raise then
    return True


def test_an_offence_that_was_swallowed_is_raised_at_the_end() -> None:
    guard = NothingReal()
    with pytest.raises(NotSimulated, match=r"time\.time\(\)"), guard:
        all(map(offend, ("time.time", "os.fork")))
    assert [offence.what for offence in guard.offences] == ["time.time()", "os.fork()"]
    with pytest.raises(NotSimulated, match=r"time\.time\(\)"):
        guard.check()


def test_an_offence_is_raised_rather_than_what_came_of_it() -> None:
    with pytest.raises(NotSimulated) as error, NothingReal():
        offend("time.time", then=LookupError("no answer"))
    assert isinstance(error.value.__cause__, LookupError)


def test_what_ends_everything_is_not_held_up() -> None:
    with pytest.raises(KeyboardInterrupt), NothingReal():
        offend("time.time", then=KeyboardInterrupt())


def test_without_offences_a_block_and_its_errors_are_left_alone() -> None:
    with NothingReal() as guard:
        guard.check()
    with pytest.raises(LookupError, match="as told"), NothingReal():
        raise LookupError("as told")


@pytest.mark.parametrize("raises", [False, True])
def test_afterwards_all_is_real_again(raises: bool) -> None:
    def functions() -> list[object]:
        held = [time.time, time.sleep, threading.Thread.start, socket.socket.__init__, subprocess.Popen.__init__]
        return [*held, sleep, monotonic, os.urandom, random.Random.seed, vars(trio._path)["run_sync"]]

    before = functions()
    with pytest.raises(LookupError) if raises else NothingReal(), NothingReal():
        assert not set(functions()) & set(before)
        if raises:
            raise LookupError
    assert functions() == before
    assert time.time() > 0


def test_blocks_may_be_nested_and_the_inner_one_tells() -> None:
    with NothingReal() as outer:
        assert told(DEEDS["time.time"])
        offend("time.time")
        assert len(outer.offences) == 1
        outer.offences.clear()


def test_what_was_imported_within_a_block_does_no_harm_afterwards() -> None:
    with NothingReal():
        from time import time as kept
    assert kept() > 0
    assert told(kept).what == "time.time()"


# -- chance -----------------------------------------------------------------------------------------------


def draw() -> list[object]:
    return [
        random.random(),
        random.Random().random(),
        random.SystemRandom().random(),
        os.urandom(8),
        secrets.token_hex(),
        uuid.uuid4(),
    ]


def drawn(seed: int) -> list[object]:
    with NothingReal(seed):
        return draw()


def test_all_chance_comes_from_the_seed() -> None:
    assert drawn(1) == drawn(1)
    assert not set(drawn(1)) & set(drawn(2))


def test_afterwards_chance_goes_on_as_before() -> None:
    random.seed(7)
    first, second = random.random(), random.random()
    random.seed(7)
    assert random.random() == first
    drawn(1)
    assert random.random() == second
    assert not set(draw()) & set(draw())


def test_a_generator_with_a_seed_of_its_own_is_left_alone() -> None:
    expected = random.Random("mine").random()
    with NothingReal():
        assert random.Random("mine").random() == expected
