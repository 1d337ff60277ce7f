"""An engine's state as bytes, and back by the types of its fields. What is no plain data is named, and left out."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from functools import lru_cache
from pathlib import Path, PurePath
from random import Random
from typing import Any, Final, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Raw, Struct

from actors.engine import Engine
from actors.errors import IdentityError
from actors.identity import NodeID
from actors.recording.folders import RecordError

ANOTHER_APP: Final = "replay it with the app that was recorded, as it was then"
LARGEST: Final = 4 << 20
"""Bytes of a state that is written down."""
UNFIT: Final = (TypeError, OverflowError, ValueError, RecursionError)
"""What encoding raises for what is no plain data."""


class StateError(RecordError):
    """A recorded state that does not fit the class that is there now."""


class NotRecorded:
    """In the place of a field that was no plain data. Whoever uses it is told."""

    def __init__(self, field: str, kind: str) -> None:
        self._field, self._kind = field, kind

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{self._field} ({self._kind}) was no plain data: it is not there in a replay")

    def __repr__(self) -> str:
        return f"<{self._kind}, not recorded>"


class State(Struct, frozen=True):
    """See `records.Stands`."""

    data: Raw
    absent: dict[str, str]
    why: str = ""


_NIL: Final = Raw(b"\xc0")


def _plain(value: object) -> object:
    match value:
        case NodeID():
            return bytes(value)
        case deque():
            return [value.maxlen, list(value)]
        case Random() if type(value) is Random:
            return value.getstate()
        case PurePath():
            return str(value)
    raise TypeError(f"{kind_of(value)} is no plain data")


encode = msgspec.msgpack.Encoder(enc_hook=_plain).encode
"""Plain data as bytes. Raises one of UNFIT."""


def kind_of(value: object) -> str:
    """A value's type, for people."""
    cls = type(value)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def state_of(engine: Engine) -> State:
    """The state of an engine."""
    fields = {name: getattr(engine, name) for name in engine.__struct_fields__}
    absent: dict[str, str] = {}
    for name in loose_fields(type(engine)):
        if not _same_again(fields[name], Any):
            absent[name] = kind_of(fields.pop(name))
    try:
        data = encode(fields)
    except UNFIT:
        kept: dict[str, object] = {}
        for name, value in fields.items():
            try:
                kept[name] = Raw(encode(value))
            except UNFIT:
                absent[name] = kind_of(value)
        data = encode(kept)
    if len(data) > LARGEST:
        return State(_NIL, {}, f"its state is {len(data) >> 20} MiB, and only {LARGEST >> 20} MiB are written down")
    return State(Raw(data), absent)


@lru_cache(maxsize=1024)
def loose_fields(cls: type[Struct]) -> tuple[str, ...]:
    """The fields whose types do not say what is in them: a dataclass would come back as a dict."""
    try:
        return tuple(field.name for field in msgspec.structs.fields(cls) if _is_loose(field.type))
    except (NameError, TypeError):  # an annotation that cannot be resolved
        return tuple(cls.__struct_fields__)


def _is_loose(kind: Any) -> bool:
    return kind in (Any, object) or any(map(_is_loose, get_args(kind)))


def comes_back(message: Struct) -> bool:
    """Whether a message is read back as it was. For those with loose fields."""
    return _same_again(message, type(message))


def _same_again(value: object, kind: Any) -> bool:
    try:
        return bool(decode(Raw(encode(value)), kind) == value)
    except (msgspec.MsgspecError, IdentityError, *UNFIT):
        return False


def engine_from(cls: type[Engine], data: Raw, absent: dict[str, str]) -> Engine:
    """The engine with this state. Raises StateError."""
    found = msgspec.msgpack.decode(data, type=dict[str, Raw])
    known = {field.name: field for field in msgspec.structs.fields(cls)}
    if changed := sorted(known.keys() ^ found.keys() ^ absent.keys()):
        what = f"{cls.__name__} has other fields now than when it was recorded: {', '.join(changed)}"
        raise StateError(what, ANOTHER_APP)
    values: dict[str, Any] = {name: NotRecorded(name, kind) for name, kind in absent.items()}
    for name, raw in found.items():
        try:
            values[name] = decode(raw, known[name].type, known[name])
        except (msgspec.MsgspecError, IdentityError, *UNFIT) as error:
            what = f"the state of {cls.__name__} does not fit the class: {name}: {error}"
            raise StateError(what, ANOTHER_APP) from None
    return cls(**values)


def decode(raw: Raw, kind: Any, field: msgspec.structs.FieldInfo | None = None) -> Any:
    """A value of this type. Raises what msgspec raises."""

    def made(kind: Any, value: Any) -> Any:
        return _made(kind, value, field)

    return msgspec.msgpack.decode(raw, type=kind, dec_hook=made)


def _made(kind: Any, value: Any, field: msgspec.structs.FieldInfo | None) -> Any:
    cls = get_origin(kind) or kind
    items = get_args(kind)
    if cls is NodeID:
        return NodeID(value)
    if cls is deque:
        most, found = value
        return deque(msgspec.convert(found, list.__class_getitem__(items) if items else list, dec_hook=_hook), most)
    if cls is Random:
        random = Random()  # noqa: S311 - an engine's own
        version, state, gauss = value
        random.setstate((version, tuple(state), gauss))
        return random
    if isinstance(cls, type) and issubclass(cls, PurePath):
        return Path(value) if cls is Path else cls(value)
    if cls in (Counter, OrderedDict, defaultdict):
        plain: Any = dict
        if items:
            plain = dict.__class_getitem__((items[0], int) if cls is Counter else items)
        return _like(cls, msgspec.convert(value, plain, dec_hook=_hook), field)
    raise ValueError(f"a {getattr(cls, '__name__', cls)} cannot be read back")


def _hook(kind: Any, value: Any) -> Any:
    return _made(kind, value, None)


def _like(cls: Any, found: dict[Any, Any], field: msgspec.structs.FieldInfo | None) -> Any:
    """As the field's own default makes one: a defaultdict knows what it puts in only there."""
    made = field.default_factory if field is not None else NODEFAULT
    twin = made() if callable(made) else cls()
    twin.clear()
    twin.update(found)
    return twin
