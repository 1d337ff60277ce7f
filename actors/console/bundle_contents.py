"""What goes into a debug bundle, and the file that it becomes. Looks, and changes nothing.

Every text passes the redactor on its way in; nothing is copied as it is.
"""

from __future__ import annotations

import gzip
import io
import os
import platform
import secrets
import sys
import tarfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from actors.cluster.children import NodeProcess
from actors.console.doctor import read_settings
from actors.console.doctor_machine import machine, memory
from actors.console.doctor_node import node as look_at_node
from actors.console.failures import now
from actors.console.reach import running
from actors.console.redacting import Redactor
from actors.control.client import ControlClient
from actors.control.failures import ControlError
from actors.control.gathering import gather
from actors.control.sockets import NodeSocket
from actors.durable import FileError

TAIL: Final = 64 << 10
"""Bytes of a log's end."""
PACKAGES: Final = ("trio-actors", "trio", "msgspec", "cryptography", "trio-websocket", "wsproto", "aioquic", "rich",
                   "cyclopts")  # fmt: skip

_README: Final = """\
What `actors debug bundle` has collected: see `actors debug bundle --help`.

versions.json      of Python, this machine's kind, and the packages
doctor.json        what `actors doctor` finds, and the memory that these settings may take
settings/          of files that were named, and how the nodes of a local cluster were started
nodes/NAME/        figures, engines, proxies and links, events and dead letters: times are of the node's own clock
logs/              the ends of what nodes said

Taken out: keys, passwords, adverts, the home folder's name, and of dead letters what they carried.
"""


class Wanted(NamedTuple):
    """What was asked for."""

    configs: tuple[Path, ...]
    logs: tuple[Path, ...]
    cluster: str | None
    hash_addresses: bool


class Contents(Struct, frozen=True):
    """Files by their places, and the nodes that did not answer, with why."""

    name: str
    files: dict[str, bytes]
    silent: dict[str, str]


class Figures(NamedTuple):
    """What one node says."""

    files: dict[str, Any]


async def collect(wanted: Wanted) -> Contents:
    """All of it, redacted."""
    redactor = Redactor(os.environ.get("HOME", ""), secrets.token_bytes(16) if wanted.hash_addresses else b"")
    nodes, silent = _nodes(wanted.cluster)
    found = await gather(nodes, _figures)
    silent |= found.silent
    data: dict[str, Any] = {"versions.json": _versions(), "doctor.json": _doctor(wanted.configs)}
    data |= {f"settings/{place}.json": value for place, value in _settings(wanted.configs, nodes)}
    for name, figures in found.by_name.items():
        data |= {f"nodes/{name}/{place}.json": value for place, value in figures.files.items()}
    files = {place: _json(redactor, value) for place, value in data.items()}
    for place, words in _logs(wanted.logs, nodes):
        files[f"logs/{place}"] = redactor.text(words).encode()
    files |= {f"nodes/{name}/silent.txt": redactor.text(why).encode() + b"\n" for name, why in silent.items()}
    files["README.txt"] = _README.encode()
    stamp = now().strftime("%Y%m%dT%H%M%SZ")
    return Contents(f"actors-debug-{nodes[0].cluster if nodes else 'none'}-{stamp}", files, silent)


def write_bundle(path: Path, contents: Contents) -> int:
    """A gzipped tar, mode 0600, with the name of no user; its size. FileError if it cannot be written, or is there."""
    data = _archive(contents)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
    except FileExistsError:
        raise FileError(f"{path} exists already", "choose another name with --out") from None
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}", "choose another place with --out") from None
    return len(data)


def _archive(contents: Contents) -> bytes:
    packed = io.BytesIO()
    with gzip.GzipFile("", "wb", fileobj=packed, mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for place, data in sorted(contents.files.items()):
            entry = tarfile.TarInfo(f"{contents.name}/{place}")
            entry.size, entry.mode = len(data), 0o600
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def _json(redactor: Redactor, value: object) -> bytes:
    plain = redactor.data(msgspec.to_builtins(value, enc_hook=str))
    return msgspec.json.format(msgspec.json.encode(plain), indent=1) + b"\n"


# -- nodes --------------------------------------------------------------------------------------------------


def _nodes(cluster: str | None) -> tuple[tuple[NodeSocket, ...], dict[str, str]]:
    """Those that run. A cluster that does not is worth a bundle, too."""
    try:
        return running(cluster), {}
    except ControlError as error:
        return (), {cluster or "cluster": str(error)}


async def _figures(control: ControlClient) -> Figures:
    proxies = await control.proxies()
    letters = [msgspec.structs.replace(letter, head=b"") for letter in await control.dead_letters()]
    return Figures(
        {
            "node": await control.node(),
            "engines": await control.engines(),
            "proxies": proxies,
            "links": [await control.link(proxy.peer_id) for proxy in proxies],
            "events": [_event(event) for event in await control.recent()],
            "dead-letters": letters,
        }
    )


def _event(event: Any) -> dict[str, Any]:
    """As `actors events --json` prints it, without what a message carried."""
    return {"event": event.event, "at": event.at, **{key: value for key, value in event.data.items() if key != "head"}}


# -- this machine -------------------------------------------------------------------------------------------


def _versions() -> dict[str, Any]:
    found: dict[str, Any] = {"python": sys.version, "implementation": platform.python_implementation()}
    found |= {"system": platform.system(), "release": platform.release(), "machine": platform.machine()}
    return found | {"packages": {name: _version(name) for name in PACKAGES}}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _doctor(configs: Sequence[Path]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in configs or (None,):
        settings, findings = read_settings(path)
        findings += [*machine(settings), *look_at_node(settings)]
        found.append({"settings": str(path or "defaults"), "findings": findings, "memory": memory(settings)})
    return found


def _settings(configs: Sequence[Path], nodes: Sequence[NodeSocket]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = [(path.stem, read_settings(path)[0]) for path in configs]
    for node in nodes:
        start = NodeProcess.read(node.path)
        if start is not None:
            found.append((f"started-{node.name}", start))
    ours = {name: value for name, value in os.environ.items() if name.startswith(("ACTORS_", "PYTHON"))}
    return [*found, ("environment", ours)]


def _logs(paths: Sequence[Path], nodes: Sequence[NodeSocket]) -> list[tuple[str, str]]:
    beside = sorted({log for node in nodes for log in node.path.parent.glob("*.log")})
    return [(f"{number}-{path.name}", _tail(path)) for number, path in enumerate([*paths, *beside], 1)]


def _tail(path: Path) -> str:
    """Whole lines of a file's end: a part of a line might hold a part of a key."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            data = file.read(TAIL)
    except OSError as error:
        raise FileError(f"the log {path} cannot be read: {error.strerror}", f"look at: ls -l {path}") from None
    if size > TAIL:
        data = data.partition(b"\n")[2]
    return data.decode("utf-8", "replace")
