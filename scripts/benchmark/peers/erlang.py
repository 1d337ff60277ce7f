"""Erlang's distribution: a process of one node tells one of another. The work is in `bench.erl`."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.worker import GRACE, serve

SOURCE = Path(__file__).with_name("bench.erl")
TRIES = 100


def free_port() -> int:
    """Where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(*command: str, environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process for the length of the block."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environ, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()


def main() -> None:
    """Compile, start a name server and two nodes, and answer requests."""
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        environ = {**os.environ, "ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": str(port), "HOME": home}
        subprocess.run(["erlc", "-o", home, str(SOURCE)], check=True, env=environ)
        erl = ["erl", "-noshell", "-pa", home, "-setcookie", "bench"]
        erl += ["-kernel", "inet_dist_use_interface", "{127,0,0,1}"]
        with running("epmd", "-port", str(port), "-address", "127.0.0.1", environ=environ):
            for _ in range(TRIES):
                if answers(port):
                    break
                time.sleep(0.05)
            there = f"there{os.getpid()}@127.0.0.1"
            here = f"here{os.getpid()}@127.0.0.1"
            with (
                running(*erl, "-name", there, environ=environ),
                running(*erl, "-name", here, "-run", "bench", "main", there, environ=environ) as node,
            ):
                assert node.stdin is not None
                assert node.stdout is not None
                stdin, stdout = node.stdin, node.stdout
                if stdout.readline().strip() != "ready":
                    raise RuntimeError("the Erlang nodes did not find each other")

                def measure(count: int, _: int) -> float:
                    stdin.write(f"{count}\n")
                    stdin.flush()
                    return int(stdout.readline()) / 1e9 / count

                serve(measure)


if __name__ == "__main__":
    main()
