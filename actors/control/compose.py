"""Messages from JSON with field names, and answers back to it, by an engine's own classes. Pure.

On the wire a message is an array; people write its fields by name. Only the process that has the classes can
tell one from the other, so the target node's own process does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import zip_longest
from types import UnionType
from typing import Any, TypeAlias, Union, get_args, get_origin

import msgspec
from msgspec import Struct, msgpack

from actors.control.failures import ControlError
from actors.control.messages import FieldDescription, MessageDescription
from actors.control.resolve import guess
from actors.errors import ActorError, IdentityError
from actors.identity import EngineID, NodeID
from actors.messages import Request, reply_type
from actors.messages.immutable import shown

Address: TypeAlias = Callable[[str], EngineID]
"""`b/echo` to the engine that is meant; raises ControlError."""

AnyRequest: TypeAlias = Request[object]


def tag(message: type[AnyRequest]) -> str:
    """The wire name of a message class."""
    return str(message.__struct_config__.tag)


def find_message(engine: str, messages: Iterable[type[AnyRequest]], name: str) -> type[AnyRequest]:
    """The one class with this wire name among those that the engine takes. ControlError `unknown_message`."""
    messages = tuple(messages)
    found = [message for message in messages if tag(message) == name]
    if not found:
        hint = guess(name, map(tag, messages), "it takes no message from outside")
        raise ControlError("unknown_message", f"{engine} takes no message {name!r}", hint)
    if len(found) > 1:
        where = ", ".join(f"{message.__module__}.{message.__qualname__}" for message in found)
        raise ControlError("unknown_message", f"{name!r} may be any of {where}", "give one of them another tag")
    return found[0]


def describe(message: type[AnyRequest]) -> MessageDescription:
    """The message in words."""
    fields = tuple(
        FieldDescription(name=field.encode_name, type=shown(field.type), required=field.required)
        for field in msgspec.structs.fields(message)
    )
    return MessageDescription(type=tag(message), fields=fields, reply=shown(reply_type(message)))


def compose(message: type[AnyRequest], fields: Mapping[str, object], address: Address) -> AnyRequest:
    """The message with these fields. ControlError `unknown_field`, `missing_field`, `bad_field`."""
    made = _Composer(address).struct(message, fields, tag(message))
    assert isinstance(made, Request)
    return made


def encode(value: object) -> bytes:
    """A message or an answer, as it crosses between nodes."""
    return msgpack.encode(value, enc_hook=_plain)


def decode(payload: bytes, kind: Any) -> Any:
    """The other way round. ControlError `bad_field` for what is no such thing."""
    try:
        return _decoder(kind).decode(payload)
    except _UNFIT as error:
        raise ControlError("bad_field", f"these bytes are no {shown(kind)}: {error}") from None


@lru_cache(maxsize=1024)
def _decoder(kind: Any) -> msgpack.Decoder[Any]:
    return msgpack.Decoder(kind, dec_hook=_from_plain)


def decode_message(engine: str, messages: Iterable[type[AnyRequest]], payload: bytes) -> AnyRequest:
    """The message that these bytes are, of those that the engine takes."""
    array = decode(payload, list[msgspec.Raw])
    name = decode(bytes(array[0]), str) if array else ""
    return decode(payload, find_message(engine, messages, name))  # type: ignore[no-any-return]


def readable(value: object) -> object:
    """An answer as JSON has it: Structs as objects, identities as text."""
    match value:
        case NodeID():
            return str(value)
        case EngineID():
            return f"{value.node or ''}/{value.name}"
        case Struct():
            return _readable_struct(value)
        case Mapping():
            return {str(readable(key)): readable(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [readable(item) for item in value]
    return msgspec.to_builtins(value, enc_hook=str)


def _readable_struct(value: Struct) -> dict[str, object]:
    kind = value.__struct_config__.tag
    shown: dict[str, object] = {} if kind is None else {"type": kind}
    for field in msgspec.structs.fields(value):
        shown[field.encode_name] = readable(getattr(value, field.name))
    return shown


_UNFIT = (msgspec.MsgspecError, IdentityError, ValueError, TypeError, RecursionError, OverflowError)


class _Composer:
    """Walks a value along the type that it should have: objects become Structs, texts become identities.

    What it does not know it leaves as it is: msgspec's conversion, which comes last, judges everything.
    """

    def __init__(self, address: Address) -> None:
        self._address = address

    def struct(self, kind: type[Struct], fields: Mapping[str, object], where: str) -> Struct:
        known = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        for name in fields:
            if name not in known:
                hint = guess(name, known, "it has no fields")
                raise ControlError("unknown_field", f"{where} has no field {name!r}", hint)
        for field in known.values():
            if field.required and field.encode_name not in fields:
                raise ControlError(
                    "missing_field", f"{where} needs the field {field.encode_name!r}", f"it is {shown(field.type)}"
                )
        values = {
            known[name].name: self.value(value, known[name].type, f"{where}.{name}") for name, value in fields.items()
        }
        try:
            return kind(**values)
        except _UNFIT as error:  # the class's own __post_init__ may object
            raise ControlError("bad_field", f"{where}: {error}") from None

    def value(self, value: object, kind: Any, where: str) -> object:
        try:
            return msgspec.convert(self.walk(value, kind, where), kind, dec_hook=_from_plain)
        except ActorError as error:
            if isinstance(error, ControlError):
                raise
            raise ControlError("bad_field", f"{where}: {error}") from None
        except _UNFIT as error:
            raise ControlError("bad_field", f"{where}: {error}", f"it is {shown(kind)}") from None

    def walk(self, value: object, kind: Any, where: str) -> object:
        origin, arguments = get_origin(kind), get_args(kind)
        if origin in (Union, UnionType):
            kind = self._member(value, arguments)
            return self.walk(value, kind, where) if kind else value
        if isinstance(value, str) and kind is EngineID:
            return self._address(value)
        if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, Struct):
            return self.struct(kind, value, where)
        if isinstance(value, list) and origin in (tuple, frozenset):
            kinds = arguments[:1] * len(value) if Ellipsis in arguments or origin is frozenset else arguments
            # Too many or too few: left over or left out here, objected to by the conversion.
            pairs = zip_longest(value, kinds[: len(value)])
            return [self.walk(item, kind, f"{where}[{i}]") for i, (item, kind) in enumerate(pairs)]
        return value

    def _member(self, value: object, members: Sequence[Any]) -> Any:
        """The one member of a union that such a value can only be meant for, if there is one to walk along."""
        fitting: list[Any]
        if isinstance(value, str):
            fitting = [kind for kind in members if kind is EngineID]
        elif isinstance(value, dict):
            fitting = [kind for kind in members if isinstance(kind, type) and issubclass(kind, Struct)]
        else:
            fitting = [kind for kind in members if get_origin(kind) in (tuple, frozenset)]
        return fitting[0] if len(fitting) == 1 else None


def _plain(value: Any) -> Any:
    if isinstance(value, NodeID):
        return bytes(value)
    raise NotImplementedError(type(value).__name__)


def _from_plain(kind: type, value: Any) -> Any:
    if kind is not NodeID:
        raise NotImplementedError(kind.__name__)
    return NodeID.parse(value) if isinstance(value, str) else NodeID(value)
