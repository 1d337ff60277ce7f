"""Where control sockets lie, and who may use them. No protocol here: paths, modes, owners, bind and connect.

    $XDG_RUNTIME_DIR/actors/<cluster>/<node>.sock       0600, in directories of 0700
    <temp dir>/actors-<uid>/<cluster>/<node>.sock       where XDG_RUNTIME_DIR is not set

A cluster is a directory with one socket for each node that runs. The directories are the only registry: what
cannot be connected to is dead, and is removed when it is seen.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import stat
import struct
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from actors.errors import ConfigError

MAX_PATH = 107 if sys.platform == "linux" else 103
"""Bytes of a Unix socket's path; the kernel takes no more."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_BACKLOG = 1024
_CREDENTIALS = struct.Struct("3i")
"""Linux: process, user and group of the other end."""
_SOL_LOCAL, _LOCAL_PEERPID = 0, 2
"""macOS, from sys/un.h."""


class NodeSocket(Struct, frozen=True, order=True):
    """The control socket of a node that runs on this machine."""

    cluster: str
    name: str
    path: Path


def runtime_directory() -> Path:
    """This user's directory for clusters; made if it is not there. ConfigError if others could use it."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        return private_directory(Path(runtime) / "actors")
    return private_directory(Path(tempfile.gettempdir()) / f"actors-{os.geteuid()}")


def cluster_directory(cluster: str) -> Path:
    """The directory of a cluster, made if it is not there."""
    return private_directory(runtime_directory() / checked_name(cluster))


def socket_path(cluster: str, node: str) -> Path:
    """Where a node of this name, in this cluster, serves its control socket."""
    return cluster_directory(cluster) / f"{checked_name(node)}.sock"


def checked_name(name: str) -> str:
    """The name of a node or cluster, if it can be one: it becomes a file's name."""
    if not _NAME.fullmatch(name):
        allowed = "at most 32 letters, digits, dots, dashes, underscores; the first a letter or digit"
        raise ConfigError(f"{name!r} cannot name a node or cluster: {allowed}")
    return name


def private_directory(path: Path) -> Path:
    """The directory, made with 0700 if it is not there; ConfigError unless it is ours alone."""
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"{path} is not a directory")
    if found.st_uid != os.geteuid():
        raise _with_hint(ConfigError(f"{path} belongs to another user"), "set XDG_RUNTIME_DIR to a directory of yours")
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise _with_hint(ConfigError(f"{path} is open to other users (mode {mode:04o})"), f"chmod 700 {path}")
    return path


def clusters() -> dict[str, tuple[NodeSocket, ...]]:
    """The nodes that run on this machine, by cluster. Removes what dead processes left behind."""
    found = {entry.name: live_sockets(entry) for entry in sorted(runtime_directory().iterdir()) if entry.is_dir()}
    return {name: nodes for name, nodes in found.items() if nodes}


def live_sockets(directory: Path) -> tuple[NodeSocket, ...]:
    """The nodes of one cluster. Removes what dead processes left behind, but never a directory."""
    live = []
    for path in sorted(directory.glob("*.sock")):
        if is_alive(path):
            live.append(NodeSocket(directory.name, path.stem, path))
        else:
            path.unlink(missing_ok=True)
    return tuple(live)


def is_alive(path: Path) -> bool:
    """Whether a process listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except BlockingIOError:  # its backlog is full: somebody is there
            return True
        except OSError:
            return False
        return True


def serving_process(path: Path) -> int | None:
    """The process that listens there, even if it does not answer; None if there is none."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
            if sys.platform == "linux":
                credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
                return int(_CREDENTIALS.unpack(credentials)[0])
            return probe.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID)
        except OSError:
            return None


def check_owner(path: Path) -> None:
    """ConfigError unless the socket there, and its directory, are ours alone; FileNotFoundError if it is not there."""
    found = path.lstat()
    if not stat.S_ISSOCK(found.st_mode):
        raise ConfigError(f"{path} is not a socket")
    if found.st_uid != os.geteuid():
        raise ConfigError(f"{path} belongs to another user")
    private_directory(path.parent)


@contextmanager
def bound_socket(path: Path) -> Iterator[socket.socket]:
    """A listening Unix socket at this path, 0600, removed at the end. ConfigError if a node already serves it.

    It appears under its name only once it listens, so that a socket that refuses is always a dead one.
    """
    if len(os.fsencode(path)) > MAX_PATH:
        raise ConfigError(f"{path} is too long for a socket: {len(os.fsencode(path))} bytes, at most {MAX_PATH} fit")
    hidden = private_directory(path.parent) / f".{secrets.token_hex(3)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
        bound.bind(str(hidden))
        try:
            hidden.chmod(0o600)
            bound.listen(_BACKLOG)
            _publish(hidden, path)
        finally:
            hidden.unlink(missing_ok=True)
        ours = path.lstat().st_ino
        try:
            yield bound
        finally:
            with suppress(FileNotFoundError):
                if path.lstat().st_ino == ours:
                    path.unlink()


def _publish(hidden: Path, path: Path) -> None:
    """Give the socket its name; a link, unlike a rename, never replaces a node that runs."""
    for _ in range(2):
        try:
            path.hardlink_to(hidden)
        except FileExistsError:
            if is_alive(path):
                break
            path.unlink(missing_ok=True)
        else:
            return
    hint = f"stop it, or give this one a name other than {path.stem!r}"
    raise _with_hint(ConfigError(f"a node already serves {path}"), hint)


def _with_hint(error: ConfigError, hint: str) -> ConfigError:
    error.hint = hint
    return error
