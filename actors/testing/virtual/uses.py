"""What is real, and what to use instead: the functions that `NothingReal` watches. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple


class Use(NamedTuple):
    """A function by which code reaches the real world. `path` is its place in the module `home`."""

    home: str
    path: str
    name: str
    """As it is called."""
    instead: str
    looks: bool = False
    """It only reads a clock: a library that does so, for a log or a certificate, is left alone."""


_SLEEP = "use trio.sleep(), the clock is virtual"
_CLOCK = "use trio.current_time(), or self.now in an engine, the clock is virtual"
_THREAD = "do the work in place or in another engine; a thread runs in real time, in an order that no seed decides"
_PROCESS = "let another node of the simulation do it; a process runs in real time, in an order that no seed decides"
_SOCKET = "use messages between nodes, or give the engine something in the connection's place; a socket is real"


def _thread(home: str, path: str, name: str = "") -> Use:
    return Use(home, path, name or f"{home}.{path}", _THREAD)


def _process(home: str, path: str, name: str = "") -> Use:
    return Use(home, path, name or f"{home}.{path}", _PROCESS)


def _socket(home: str, path: str, name: str = "") -> Use:
    return Use(home, path, name or f"{home}.{path}", _SOCKET)


def _clock(name: str) -> Use:
    return Use("time", name, f"time.{name}", _CLOCK, looks=True)


USES: Final = (
    Use("time", "sleep", "time.sleep", _SLEEP),
    *(_clock(name) for name in ("time", "monotonic", "perf_counter", "clock_gettime")),
    *(_clock(f"{name}_ns") for name in ("time", "monotonic", "perf_counter", "clock_gettime")),
    _thread("threading", "Thread.start"),
    _thread("_thread", "start_new_thread"),
    _thread("trio.to_thread", "run_sync"),
    _thread("trio.lowlevel", "start_thread_soon"),
    _thread("concurrent.futures.thread", "ThreadPoolExecutor.submit", "concurrent.futures.ThreadPoolExecutor.submit"),
    _process("multiprocessing.process", "BaseProcess.start", "multiprocessing.Process.start"),
    _process("subprocess", "Popen.__init__", "subprocess.Popen"),
    _process("_posixsubprocess", "fork_exec"),
    _process("trio", "run_process"),
    _process("trio.lowlevel", "open_process"),
    *(_process("os", name) for name in ("system", "fork", "forkpty", "posix_spawn", "posix_spawnp")),
    _socket("socket", "socket.__init__", "socket.socket"),
    _socket("socket", "getaddrinfo"),
    Use("asyncio", "run", "asyncio.run", "use Trio, and trio.sleep(); asyncio waits in real time, on real sockets"),
    *(_socket("trio", f"open_{kind}") for kind in ("tcp_stream", "tcp_listeners", "unix_socket")),
    *(_socket("trio", f"open_ssl_over_tcp_{kind}") for kind in ("stream", "listeners")),
    *(_socket("trio", name) for name in ("serve_tcp", "serve_ssl_over_tcp")),
)
