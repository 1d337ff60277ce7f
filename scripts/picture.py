"""Makes the README's picture: the dashboard of three nodes that talk, a few seconds after one of them was killed.

scripts/picture [console.svg]
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import trio

from actors.control.client import open_control
from actors.control.sockets import socket_path
from actors.errors import ActorError

ROOT = Path(__file__).parents[1]
NODES = "abc"
LOOKING = 45.0
"""Seconds that the dashboard looks on."""
KILLED = 38.0
_ACTORS = (sys.executable, "-m", "actors")


async def main(picture: Path) -> None:
    """With a cluster of its own, which is gone afterwards."""
    await _run("up", str(len(NODES)), "--detach")
    try:
        async with trio.open_nursery() as nursery:
            for here in NODES:
                for there in NODES.replace(here, ""):
                    nursery.start_soon(_talk, here, there)
            nursery.start_soon(_kill, NODES[-1])
            await _run("ui", "--svg", str(picture), "--for", str(LOOKING))
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await _run("down")


async def _talk(here: str, there: str) -> None:
    """Questions and words, until one of the two is gone."""
    with suppress(ActorError):
        async with open_control(socket_path("local", here)) as control:
            for number in range(1 << 20):
                await control.ask(f"{there}/echo", "echo.ping", {"n": number})
                for _ in range(number % 7):
                    await control.tell(f"{there}/sink", "sink.drop", {"data": "hello"})
                await trio.sleep(0.02)


async def _kill(node: str) -> None:
    await trio.sleep(KILLED)
    await _run("fault", "kill", node)


async def _run(*words: str) -> None:
    """The picture's node that is down is exit code 3, and no failure."""
    quiet = partial(trio.run_process, capture_stdout=True, capture_stderr=True, check=False)
    done = await quiet([*_ACTORS, *words], env={**os.environ, "PYTHONPATH": str(ROOT)})
    if done.returncode and words[0] != "ui":
        sys.exit(f"actors {' '.join(words)}: {done.stderr.decode()}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="picture-") as runtime:
        os.environ["XDG_RUNTIME_DIR"] = runtime
        trio.run(main, Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "console.svg"))
