"""Key files: one line, for its owner's eyes only. Blocking I/O; nothing of a key is in any error.

The line is `actors-secret-key-1 SECRET NODEID`: the 32 secret bytes and the NodeID that they make, both in
lower-case base32 without padding. The NodeID tells people whose key it is, and shows damage.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import stat
from pathlib import Path

from actors import durable
from actors.identity import NodeKey

PREFIX = "actors-secret-key-1"


class KeyFileError(durable.FileError):
    """A key file that cannot be used. Nothing of its content is in the message."""

    code = "key_file"


def load_key(path: str | os.PathLike[str]) -> NodeKey:
    """The key in this file. Raises KeyFileError if it is damaged, or not its owner's secret alone."""
    path = Path(path)
    refuse_secret(str(path))
    secret, public = _words(path, _read_private(path))
    seed = _base32(secret)
    if seed is None or len(seed) != 32:
        raise _damaged(path, "its secret does not have 32 bytes")
    key = NodeKey.from_seed(seed)
    if str(key.id) != public:
        raise _damaged(path, "its secret does not make the NodeID beside it")
    return key


def create_key(path: str | os.PathLike[str]) -> NodeKey:
    """Make a new key and its file, mode 0600, in a folder that is made with mode 0700 if need be.

    Raises KeyFileError if there is a file already: a key is never overwritten.
    """
    path = Path(path)
    refuse_secret(str(path))
    key = NodeKey.generate()
    secret = base64.b32encode(key.seed()).decode().rstrip("=").lower()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        durable.create(path, f"{PREFIX} {secret} {key.id}\n".encode())
    except OSError as error:
        if os.path.lexists(path):
            raise KeyFileError(f"{path} exists already", "use the key that is there, or choose another path") from None
        hint = f"make room or choose a folder of your own; look at: df -h {path.parent}; ls -ld {path.parent}"
        raise KeyFileError(f"{path} cannot be written: {error.strerror}", hint) from None
    return key


def refuse_secret(text: str) -> None:
    """Raise KeyFileError if this is a key, where the path of a key file belongs."""
    # It would be in messages, and it comes from a place that others can read.
    if PREFIX in text:
        raise KeyFileError(
            "this is a key itself, where the path of a key file belongs",
            "put it into a file with mode 0600 and give the path; if others may have seen it, make a new key",
        )


def _read_private(path: Path) -> bytes:
    try:
        # Non-blocking, since to open a FIFO would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise KeyFileError(f"there is no key file {path}", f"make one: actors keygen {path}") from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}", f"look at: ls -l {path}") from None
    try:
        _check_private(path, os.fstat(descriptor))
        return os.read(descriptor, durable.MAX_FILE)
    finally:
        os.close(descriptor)


def _check_private(path: Path, info: os.stat_result) -> None:
    if not stat.S_ISREG(info.st_mode):
        raise KeyFileError(f"{path} is not a file", "give the path of a key file")
    if info.st_uid not in (os.geteuid(), 0):
        raise KeyFileError(f"{path} belongs to another user, who can read it", f"run: chown {os.geteuid()} {path}")
    if info.st_mode & 0o077:
        mode = stat.S_IMODE(info.st_mode)
        raise KeyFileError(f"{path} is open to other users (mode {mode:04o})", f"run: chmod 600 {path}")


def _words(path: Path, content: bytes) -> tuple[str, str]:
    words = content.decode("ascii", errors="replace").split()
    if len(words) != 3 or words[0] != PREFIX:
        raise _damaged(path, f"it is not one line that begins with {PREFIX}")
    return words[1], words[2]


def _base32(text: str) -> bytes | None:
    # A value, not an exception: one raised while another is handled would carry the secret along.
    with contextlib.suppress(binascii.Error, ValueError):
        return base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    return None


def _damaged(path: Path, why: str) -> KeyFileError:
    return KeyFileError(
        f"{path} is no key file, or a damaged one: {why}",
        f"restore it from a backup, or become another node with a new key: actors keygen {path}.new",
    )
