"""What a node remembers over a restart: its key, its boot number, what it knows of peers. No clock of its own.

Blocking and flushed to the disk: call it before the node starts, or from a thread.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from actors import durable
from actors.errors import IdentityError
from actors.identity import NodeID, NodeKey
from actors.keyfile import KeyFileError, create_key, load_key

__all__ = ["KeyFileError", "PeerRecord", "StateDir", "StateError", "create_key", "load_key"]

_MAX_BOOT = (1 << 64) - 1
_MAX_CLAIMED_BOOT = 1 << 63


class StateError(durable.FileError):
    """A file of the state folder that cannot be used; `hint` says how to mend it. Nothing has changed."""

    code = "state_file"


class PeerRecord(msgspec.Struct, frozen=True):
    """What is remembered of a node."""

    advert: bytes | None = None
    """Its newest, as received (PROTOCOL A1, A3)."""
    learned_from: str | None = None
    """The host that told of it; None for this node's own user (PROTOCOL A4)."""
    holders: tuple[str, ...] = ()
    """Who holds the link to it for permanent (PROTOCOL L5)."""


class StateDir:
    """The folder that a node remembers itself by. Every write is whole or has not happened.

    `key` (a key file), `boot` (one number), `peers/NODEID` (one JSON record each; the node's own advert too).
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Make the folder, mode 0700, or check that nobody else can write to it (StateError)."""
        self.path = Path(path)
        self._boot = self.path / "boot"
        self._peers = self.path / "peers"
        _make_folder(self.path)
        _make_folder(self._peers)

    def __repr__(self) -> str:
        return f"StateDir({str(self.path)!r})"

    def key(self) -> NodeKey:
        """The node's key: the one that is kept here, or a new one at the first call."""
        path = self.path / "key"
        return load_key(path) if os.path.lexists(path) else create_key(path)

    def next_boot(self, wall_ms: int) -> int:
        """The boot number of this start, stored before it is returned (PROTOCOL I1). Call once a start.

        `wall_ms` is the wall clock in milliseconds since 1970; one that was set back does no harm.
        """
        return self._store_boot(max(self._stored_boot() + 1, wall_ms))

    def boot_above(self, newest: int) -> int:
        """A boot number above the one that a peer holds against this node, stored (PROTOCOL I3)."""
        # One peer's word must not use up the numbers of every later start.
        if newest >= _MAX_CLAIMED_BOOT:
            raise StateError(f"a peer claims boot number {newest}, which no clock gives", "do not link to that peer")
        return self._store_boot(max(self._stored_boot(), newest) + 1)

    def peers(self) -> dict[NodeID, PeerRecord]:
        """All records, the node's own among them."""
        paths = sorted(self._peers.iterdir())
        return {node: self._load_peer(node) for path in paths if (node := _node_id(path.name)) is not None}

    def _load_peer(self, node: NodeID) -> PeerRecord:
        try:
            return msgspec.json.decode(_read(self._peers / str(node)) or b"", type=PeerRecord)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self.damaged(node) from None

    def damaged(self, node: NodeID) -> StateError:
        """What to say of a record that cannot be used."""
        path = self._peers / str(node)
        return StateError(f"{path} is not the record of a peer", f"its advert can be learned again; run: rm {path}")

    def store_peer(self, node: NodeID, record: PeerRecord) -> None:
        """Keep this record, in place of an earlier one."""
        _replace(self._peers / str(node), msgspec.json.encode(record) + b"\n")

    def forget_peer(self, node: NodeID) -> None:
        """Keep nothing of this node. Without effect if there is no record."""
        path = self._peers / str(node)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StateError(f"{path} cannot be removed: {error.strerror}", f"look at: ls -ld {self._peers}") from None

    def _stored_boot(self) -> int:
        content = _read(self._boot)
        if content is None:
            return 0
        if not re.fullmatch(rb"[0-9]{1,20}\n?", content):
            raise StateError(f"{self._boot} does not hold a boot number", self._use_the_clock)
        return int(content)

    def _store_boot(self, boot: int) -> int:
        if boot > _MAX_BOOT:
            raise StateError(f"{self._boot} leaves no boot number above it", self._use_the_clock)
        _replace(self._boot, b"%d\n" % boot)
        return boot

    @property
    def _use_the_clock(self) -> str:
        return f"the clock can give one instead; run: rm {self._boot}"


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = path.stat()
    except FileExistsError:
        raise StateError(f"{path} is not a folder", "choose another path for the state folder") from None
    except OSError as error:
        raise StateError(f"{path} cannot be made: {error.strerror}", "choose a folder of your own") from None
    if info.st_uid not in (os.geteuid(), 0) or info.st_mode & 0o022:
        mend = f"run: chown {os.geteuid()} {path} && chmod 700 {path}"
        raise StateError(f"other users can write to {path}", f"{mend}, or choose another folder")


def _node_id(name: str) -> NodeID | None:
    try:
        return NodeID.parse(name)
    except IdentityError:  # not ours: an editor's backup, a write that a crash cut short
        return None


def _read(path: Path) -> bytes | None:
    try:
        return durable.read(path)
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error.strerror}", f"look at: ls -ld {path}") from None


def _replace(path: Path, content: bytes) -> None:
    try:
        durable.replace(path, content)
    except OSError as error:
        hint = f"make room or mend the folder; look at: df -h {path.parent}; ls -ld {path.parent}"
        raise StateError(f"{path} cannot be written: {error.strerror}", hint) from None
