"""What the dashboard costs, and how fast it is: `actors ui` on a pty of its own, beside real nodes or mere sockets.

    scripts/dashboard-cost [--part cost|lag|crowd]… [--seconds 20] [--json]

cost    a crowd of 50 nodes on 50 rows, drawn four times a second: the dashboard's share of one core
lag     a real node's loop, with no dashboard and with one, in turns: by how much the p99 of its lag grows
crowd   100 nodes with 100 links each: until the first frame with nodes in it, and until a key is answered; the same in
        time of the processor, which others on this machine do not lengthen

Linux only: what a process used is read from /proc.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import trio
from figures import Figure, percentile, told
from target import Lags

from actors.control.client import open_control

ROOT = Path(__file__).parents[1]
PARTS = ("cost", "lag", "crowd")
_ROW = 0
"""None of the reliability table."""
_PATIENCE = 30.0
_KEYS = ("2", "j", "s", "G", "g", "3", "s", "1", "4", "2", "/", "n", "0", "7", "\x1b", "5", "1", "?", "j", "2")
_CONTROL = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")


class Dashboard:
    """One `actors ui` on a terminal of this size."""

    def __init__(self, cluster: str, width: int, height: int) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        environ = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "actors", "ui", "--cluster", cluster]
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environ, start_new_session=True
        )
        os.close(slave)
        self.raw = b""

    def wait_for(self, words: str) -> float:
        """Seconds since the start until these words are on the screen."""
        while words.encode() not in _CONTROL.sub(b"", self.raw):
            self.read(_PATIENCE)
            if time.perf_counter() - self.began > _PATIENCE:
                raise TimeoutError(f"no {words!r} within {_PATIENCE:g} s")
        return time.perf_counter() - self.began

    def read(self, seconds: float) -> bytes:
        """What comes within this time, if anything."""
        if not select.select([self._master], [], [], seconds)[0]:
            return b""
        data = os.read(self._master, 1 << 20)
        self.raw += data
        return data

    def look_on(self, seconds: float) -> None:
        """As a terminal does: take what comes."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self.read(left)

    def answer(self, key: str) -> tuple[float, float]:
        """Seconds from a key to the first bytes that follow it, and what of them was the dashboard's own work."""
        while self.read(0):
            pass
        begin, used = time.perf_counter(), self.used()
        os.write(self._master, key.encode())
        self.read(_PATIENCE)
        return time.perf_counter() - begin, self.used() - used

    def used(self) -> float:
        """Seconds of processor time so far, of the thread that does it all."""
        return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[0]) / 1e9

    def close(self) -> None:
        """Leave."""
        self.process.kill()
        self.process.wait()
        os.close(self._master)


@contextmanager
def dashboard(cluster: str, width: int, height: int) -> Iterator[Dashboard]:
    """Open as long as the block."""
    opened = Dashboard(cluster, width, height)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def crowd(nodes: int, links: int) -> Iterator[str]:
    """The cluster's name."""
    directory = Path(os.environ["XDG_RUNTIME_DIR"]) / "actors" / "crowd"
    directory.mkdir(mode=0o700, parents=True)
    directory.parent.chmod(0o700)
    command = [sys.executable, str(ROOT / "scripts" / "dashboard_crowd.py"), str(directory), str(nodes), str(links)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield "crowd"
        finally:
            process.kill()
            process.wait()
            for left in directory.glob("*"):
                left.unlink()
            directory.rmdir()


# -- what is measured -------------------------------------------------------------------------------------


def cost(seconds: float) -> list[Figure]:
    """50 rows, 4 Hz."""
    with crowd(50, 10) as cluster, dashboard(cluster, 120, 54) as ui:
        ui.wait_for("running")
        ui.answer("2")
        ui.wait_for("n004 → n009")
        ui.look_on(3)
        before, began = ui.used(), time.perf_counter()
        ui.look_on(seconds)
        share = (ui.used() - before) / (time.perf_counter() - began)
    return [Figure(_ROW, "the dashboard's share of a core, 50 rows at 4 Hz", 100 * share, 15, "%")]


def lag(seconds: float) -> list[Figure]:
    """In turns: without, with."""
    alone: list[float] = []
    watched: list[float] = []
    with tempfile.TemporaryDirectory(prefix="lag-") as folder:
        control = Path(os.environ["XDG_RUNTIME_DIR"]) / "actors" / "lag" / "a.sock"
        command = [sys.executable, "-m", "actors", "run", "--name", "a", "--app", "scripts.target:setup"]
        command += ["--state-dir", f"{folder}/state", "--control", str(control), "--json"]
        control.parent.mkdir(mode=0o700, parents=True)
        control.parent.parent.chmod(0o700)
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as node:
            assert node.stdout is not None
            node.stdout.readline()
            try:
                for _ in range(4):
                    trio.run(_beats, control)
                    time.sleep(seconds / 4)
                    alone += trio.run(_beats, control)
                    with dashboard("lag", 80, 24) as ui:
                        ui.wait_for("running")
                        trio.run(_beats, control)
                        ui.look_on(seconds / 4)
                        watched += trio.run(_beats, control)
            finally:
                node.terminate()
    before, after = (1000 * percentile(values, 0.99) for values in (alone, watched))
    return [
        Figure(_ROW, f"p99 of a node's lag grows with a dashboard, from {before:.2f} ms", after - before, 2, "ms"),
    ]


async def _beats(control: Path) -> tuple[float, ...]:
    async with open_control(control) as client:
        told = await client.ask("a/target", Lags.__struct_config__.tag, {})  # type: ignore[arg-type]
    value = told.value
    assert isinstance(value, dict)
    return tuple(value["beats"])


def many(_: float) -> list[Figure]:
    """100 nodes, 10,000 links."""
    with crowd(100, 100) as cluster, dashboard(cluster, 120, 40) as ui:
        first = ui.wait_for("running")
        work = ui.used()
        ui.look_on(5)
        answers = []
        for key in _KEYS * 2:
            answers.append(ui.answer(key))
            ui.look_on(0.3)
    waits, works = [wait for wait, _ in answers], [own for _, own in answers]
    return [
        Figure(_ROW, "100 nodes, 10,000 links: the first frame with nodes", first, 2, "s"),
        Figure(_ROW, "the same, in time of the processor", work, 2, "s"),
        Figure(_ROW, f"the same: a key is answered, the slowest of {len(answers)}", 1000 * max(waits), 150, "ms"),
        Figure(_ROW, "the same: a key is answered, half of them", 1000 * percentile(waits, 0.5), 150, "ms"),
        Figure(_ROW, "the same, the slowest in time of the processor", 1000 * max(works), 150, "ms"),
    ]


_PARTS = {"cost": cost, "lag": lag, "crowd": many}


def main(arguments: Sequence[str]) -> int:
    """The exit code: 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="scripts/dashboard-cost", description="What the dashboard costs.")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this; repeatable")
    parser.add_argument("--seconds", type=float, default=20.0, help="of looking on")
    parser.add_argument("--json", action="store_true", help="JSON lines in place of a table")
    said = parser.parse_args(arguments)
    if said.seconds <= 0:
        parser.error("there must be some seconds to look on")
    with tempfile.TemporaryDirectory(prefix="ui-") as runtime:
        os.environ["XDG_RUNTIME_DIR"] = runtime
        found = [figure for part in said.part or PARTS for figure in _PARTS[part](said.seconds)]
    return told(found, json=said.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
