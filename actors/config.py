"""The settings of a node: flags > `ACTORS_*` > TOML file > defaults. Reads files, starts nothing.

A setting's name is its field below; those of `[limits]` are written `limits.frame_bytes`, in the environment
`ACTORS_LIMITS_FRAME_BYTES`. Several values in one environment variable are parted by commas.
"""

from __future__ import annotations

import difflib
import re
import tomllib
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from actors.admission import sorted_out
from actors.durable import FileError
from actors.errors import ConfigError
from actors.keyfile import refuse_secret

ENVIRONMENT: Final = "ACTORS_"
UNLIMITED: Final = (1 << 63) - 1
"""What `"unlimited"` means for a limit that counts. It must be written out: nothing is unlimited by default."""

Count = Annotated[int, Meta(gt=0)]
Seconds = Annotated[float, Meta(gt=0)]
PerSecond = Annotated[float, Meta(gt=0)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}\Z")]
Reference = Annotated[str, Meta(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*\Z")]
"""`module:name`. Imported from the node's own settings only, never from the wire."""


class SettingError(FileError):
    """A setting that cannot be used; it says where it comes from."""

    code = "configuration"


class Limits(Struct, frozen=True, kw_only=True):
    """What bounds a node. Its memory stays under a base + peers x outbox_bytes + engines x mailbox_bytes."""

    outbox_messages: Count = 4096
    """Messages for one peer that are queued or not yet acknowledged; `outbox_bytes` bounds them too."""
    outbox_bytes: Count = 8 << 20
    mailbox_messages: Count = 4096
    mailbox_bytes: Count = 16 << 20
    frame_bytes: Annotated[int, Meta(ge=128 << 10, le=1 << 30)] = 1 << 20
    """The largest frame after the proof. Before it, it is 4 KiB (PROTOCOL H11)."""
    peers: Count = 10_000
    """Receive records that are kept (PROTOCOL S2)."""
    loans_per_peer: Count = 64
    """Engines that run here for one other node at the same time (`Node.offer`)."""
    watches_per_peer: Count = 1024
    """Engines of this node that one other node watches at the same time."""
    unproven: Count = 256
    """Connections before their proof, and how many of one source (PROTOCOL H9)."""
    unproven_per_source: Count = 16
    handshakes_per_second: PerSecond = 1000.0
    """Handshakes that others may begin on plain transports, and on those that encrypt; who comes faster waits."""
    secure_handshakes_per_second: PerSecond = 200.0
    links: Count = 10_000
    """Peers that this node deals with at a time; who is one too many is told when to come again."""
    links_kept: Annotated[int, Meta(ge=0)] = 0
    """How many of these places are kept for peers whose link this node holds for permanent."""
    handshake_seconds: Seconds = 5.0
    heartbeat_seconds: Seconds = 5.0
    """Silence after which the peer is asked for a sign of life, and after which it is taken for dead."""
    dead_seconds: Seconds = 15.0
    idle_seconds: Seconds = 300.0
    """Time without traffic after which an ephemeral connection is closed."""
    backoff_cap_seconds: Seconds = 30.0
    """The longest pause between two attempts of a permanent link."""
    drain_seconds: Seconds = 10.0
    """Time that a stopping node gives to what is still unacknowledged."""
    record_bytes: Annotated[int, Meta(ge=1 << 20)] = 64 << 20
    """What a run's record may take of the disk; the oldest part of it goes first."""

    def __post_init__(self) -> None:
        if self.dead_seconds <= self.heartbeat_seconds:
            raise ValueError("limits.dead_seconds must be more than limits.heartbeat_seconds")
        if self.links_kept > self.links:
            raise ValueError("limits.links_kept must not be more than limits.links")


class NodeConfig(Struct, frozen=True, kw_only=True):
    """One node's settings. Relative paths of a file are relative to its folder."""

    name: Name = "node"
    """For people, and for the control socket's file name. A node's identity is its key."""
    key: Path | None = None
    """A key file. Default: the one of the state folder, else a new key for each start."""
    state_dir: Path | None = None
    """Without it nothing is remembered over a restart."""
    listen: tuple[str, ...] = ("tcp://127.0.0.1:0",)
    """Addresses to accept connections on, as URLs."""
    peers: tuple[str, ...] = ()
    """Nodes to keep a permanent link to: lines that `actors advert` printed there; or their NodeIDs, where `adverts`
    or the state folder know where they are."""
    adverts: tuple[Path, ...] = ()
    """Files with such lines, of nodes to know; without a link until something is sent to them."""
    engines: tuple[Reference, ...] = ()
    """Engine classes to spawn, as `module:Class`."""
    app: Reference | None = None
    """A function that is called with the node once it runs, as `module:setup`."""
    allow: tuple[str, ...] = ()
    """Nodes, by their NodeIDs, and networks (`192.0.2.0/24`) to deal with; those of `peers` always belong to them.
    Empty: all."""
    deny: tuple[str, ...] = ()
    """Nodes and networks not to deal with, whatever `allow` says."""
    record: Path | None = None
    """A folder to write down in what comes in, for `actors replay`."""
    insecure: bool = False
    """Allow plain transports beyond the loopback interface."""
    log_level: Literal["debug", "info", "warning", "error"] | None = None
    """What goes to stderr. Default: errors of a node that somebody started by hand, nothing of one of a cluster."""
    log_json: bool = False
    """As JSON lines."""
    limits: Limits = Limits()


class Setting(Struct, frozen=True):
    """One value as somebody wrote it. `origin` names the place, `folder` is what its paths are relative to."""

    key: str
    value: Any
    origin: str
    folder: Path = Path()
    text: bool = False
    """Whether text may stand for a number or a truth value, as it must in the environment."""


def load_config(
    file: Path | None = None, *, environ: Mapping[str, str] | None = None, flags: Mapping[str, object] | None = None
) -> NodeConfig:
    """The settings from all their sources. Raises SettingError for the first that cannot be used.

    A flag's name is that of its setting; one that is None was not given.
    """
    settings: dict[str, Setting] = {}
    for source in (_from_file(file), _from_environment(environ or {}), _from_flags(flags or {})):
        settings.update((setting.key, setting) for setting in source)
    return _build({key: _value(setting) for key, setting in settings.items()})


def advert_lines(config: NodeConfig) -> Iterator[str]:
    """The lines of the files of `adverts`, without empty ones and comments (#). Raises SettingError."""
    for path in config.adverts:
        for line in _read(path).splitlines():
            if text := line.partition("#")[0].strip():
                yield text


# -- sources ----------------------------------------------------------------------------------------------


def _from_file(file: Path | None) -> Iterator[Setting]:
    if file is None:
        return
    for key, value in _flat(_parse(file), file):
        if key not in _TYPES:
            raise SettingError(f"{file}: there is no setting {key!r}", _guess(key, _TYPES))
        yield Setting(key, value, f"{file}: {key}", file.parent)


def _parse(file: Path) -> dict[str, Any]:
    text = _read(file)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingError(f"{file} is not TOML: {error}", "mend that line") from None
    except (ValueError, RecursionError):  # the parser lets out what int() and its own depth raise
        what = f"{file} is not TOML of ours: a number of thousands of digits, or tables a hundred deep"
        raise SettingError(what, "take it out") from None


def _flat(document: dict[str, Any], file: Path) -> Iterator[tuple[str, Any]]:
    limits = document.pop("limits", {})
    if not isinstance(limits, dict):
        raise SettingError(f"{file}: limits is a table", "write [limits], and the limits below it")
    yield from document.items()
    yield from ((f"limits.{key}", value) for key, value in limits.items())


def _from_environment(environ: Mapping[str, str]) -> Iterator[Setting]:
    known = {ENVIRONMENT + key.upper().replace(".", "_"): key for key in _TYPES}
    for name, value in environ.items():
        if key := known.get(name):
            if value:
                parts = [part.strip() for part in value.split(",")]
                yield Setting(key, parts if _is_list(key) else value, name, text=True)
        elif name.startswith(ENVIRONMENT) and difflib.get_close_matches(name, known, 1, 0.9):
            # Only what looks misspelt: other programs have names with this start as well.
            raise SettingError(f"{name} is no setting", _guess(name, known))


def _from_flags(flags: Mapping[str, object]) -> Iterator[Setting]:
    for key, value in flags.items():
        if key not in _TYPES:
            raise SettingError(f"there is no setting {key!r}", _guess(key, _TYPES))
        if value is not None:
            yield Setting(key, value, "--" + key.replace("_", "-"), text=True)


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise SettingError(f"{file} cannot be read: {error.strerror}", f"look at: ls -l {file}") from None
    except UnicodeDecodeError:
        raise SettingError(f"{file} is not text in UTF-8", "choose another file, or write it again") from None


def _guess(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known)}"


# -- values -----------------------------------------------------------------------------------------------

_TYPES: Final[Mapping[str, Any]] = {
    **{field.name: field.type for field in msgspec.structs.fields(NodeConfig) if field.name != "limits"},
    **{f"limits.{field.name}": field.type for field in msgspec.structs.fields(Limits)},
}

_FORMS: Final[Mapping[str, str]] = {
    "name": "letters, digits, dots and dashes, 32 at most",
    "engines": "written as module:Class",
    "app": "written as module:function",
}


def _is_list(key: str) -> bool:
    return typing.get_origin(_TYPES[key]) is tuple


def _value(setting: Setting) -> Any:
    if setting.key == "key":
        refuse_secret(str(setting.value))
    value = UNLIMITED if setting.value == "unlimited" and _TYPES[setting.key] is Count else setting.value
    try:
        value = msgspec.convert(
            value, _TYPES[setting.key], strict=not setting.text, dec_hook=lambda _, path: _path(setting, path)
        )
        if setting.key in ("allow", "deny"):
            sorted_out(value)
        return value
    except ConfigError as error:
        raise SettingError(
            f"{setting.origin}: {error}", "write NodeIDs, as `actors ls` shows them, or networks"
        ) from None
    except msgspec.ValidationError as error:
        form = _FORMS.get(setting.key) if "regex" in str(error) else None
        raise SettingError(f"{setting.origin}: {form or _words(error)}", "see: actors run --help") from None
    except UnicodeEncodeError:  # the environment's bytes, as Python hands them on
        raise SettingError(f"{setting.origin} is not text in UTF-8", "write it again") from None


def _path(setting: Setting, text: object) -> Path:
    if not isinstance(text, str | Path) or not str(text):
        raise ValueError("Expected a path")
    if "\0" in str(text):
        raise ValueError("Expected a path, which has no zero byte")
    try:
        return setting.folder / Path(text).expanduser()
    except RuntimeError:
        raise ValueError("Expected a path; there is no such user's home folder") from None


def _words(error: msgspec.ValidationError) -> str:
    return re.sub(r" - at `\$\[(\d+)\]`", r" (number \1)", str(error)).replace("`", "").replace("Expected", "expected")


def _build(values: dict[str, Any]) -> NodeConfig:
    limits = {key.removeprefix("limits."): values.pop(key) for key in list(values) if key.startswith("limits.")}
    try:
        return NodeConfig(limits=Limits(**limits), **values)
    except ValueError as error:
        raise SettingError(str(error), "change one of the two") from None
