"""Messages to bytes and back, guarded: whatever a stranger's bytes do, they end in a value or a ProtocolError."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, TypeAlias, Union

from msgspec import DecodeError, Meta, Raw, ValidationError, inspect, msgpack

from actors.engine import Engine
from actors.errors import ConfigError, IdentityError, ProtocolError
from actors.identity import NodeID
from actors.messages import Local, Request, reply_type

DEEPEST = 10_000
"""The recursion limit up to which msgspec was seen to refuse nested bytes; from 40,000 on they end the process."""

_BROKEN = (DecodeError, RecursionError, UnicodeDecodeError, ValueError, OverflowError, IdentityError)
"""Everything that msgspec and our hook can raise for the bytes of a stranger."""

Body: TypeAlias = bytes | memoryview


def check_recursion_limit() -> None:
    """Raises ConfigError if nested bytes could end this process."""
    if sys.getrecursionlimit() > DEEPEST:
        raise ConfigError(
            f"the recursion limit is {sys.getrecursionlimit()}: above {DEEPEST}, nested bytes from another node can "
            f"end the process; call sys.setrecursionlimit({DEEPEST}) or less before the node starts"
        )


def _plain(value: object) -> object:
    if isinstance(value, NodeID):
        return bytes(value)
    raise TypeError(f"{type(value).__name__} is not plain data that the codec knows")


def _known(kind: type, value: object) -> object:
    if kind is NodeID and isinstance(value, bytes):
        return NodeID(value)
    raise ValueError(f"no {kind.__name__}")


encode: Callable[[object], bytes] = msgpack.Encoder(enc_hook=_plain).encode
"""A message or a reply as bytes. Raises TypeError or OverflowError for what msgpack cannot hold."""

_raws = msgpack.Decoder(list[Raw]).decode


def _count(body: Body) -> int:
    """How many items the array says it has, or -1. Read before anything is decoded: it may say four billion."""
    first = body[0] if len(body) else 0
    if first & 0xF0 == 0x90:
        return first & 0x0F
    width = {0xDC: 2, 0xDD: 4}.get(first)
    if width is None or len(body) <= width:
        return -1
    return int.from_bytes(body[1 : 1 + width], "big")


def _split(body: Body) -> list[Raw]:
    try:
        return _raws(body)
    except _BROKEN as error:
        raise ProtocolError(f"a run that is no array of messages: {type(error).__name__}") from None


class Codec:
    """What one class of engines understands of the bytes of other nodes. `Codec.of(cls)`, cached."""

    __slots__ = ("_ask", "_asks", "_tags", "_tell", "_tells", "name")

    def __init__(self, cls: type[Engine]) -> None:
        self.name = cls.__name__
        self._tags = {message.__struct_config__.tag for message in cls.wire_messages}
        union: Any = Union[cls.wire_messages] if cls.wire_messages else None  # noqa: UP007 - from a tuple
        self._tell: _Decode = _nothing
        self._ask: _Decode = _nothing
        self._tells: _Decode = _nothing
        self._asks: _Decode = _nothing
        if cls.wire_messages:
            self._tell, self._ask = _decoder(union), _decoder(tuple[int, union])
            self._tells, self._asks = _decoder(list[union]), _decoder(list[tuple[int, union]])

    @staticmethod
    @lru_cache(maxsize=1024)
    def of(cls: type[Engine]) -> Codec:
        """The codec of an engine class."""
        return Codec(cls)

    def tells(self, body: Body, count: int) -> list[Request[Any] | None]:
        """The messages of a run; None in the place of one that this engine does not understand (see `why`).

        Raises ProtocolError if the run is not an array of `count` items.
        """
        self._check_count(body, count)
        try:
            messages: list[Request[Any] | None] = self._tells(body)
        except ValidationError:
            return [_one(self._tell, raw) for raw in _split(body)]
        except _BROKEN as error:
            raise ProtocolError(f"messages for {self.name}: {type(error).__name__}") from None
        return messages

    def asks(self, body: Body, count: int) -> list[tuple[int, Request[Any] | None]]:
        """As `tells`, for a run of [correlation, message]. An item without correlation is a ProtocolError."""
        self._check_count(body, count)
        try:
            asks: list[tuple[int, Request[Any] | None]] = self._asks(body)
        except ValidationError:
            return [_one(self._ask, raw) or (_correlation(raw), None) for raw in _split(body)]
        except _BROKEN as error:
            raise ProtocolError(f"asks for {self.name}: {type(error).__name__}") from None
        return asks

    def why(self, body: Body, index: int, *, ask: bool = False) -> str:
        """The reason to refuse the item that was None: `unhandled` for a message unknown here, else `bad_message`."""
        try:
            raw = _split(body)[index]
            message = _raws(raw)[1] if ask else raw
            tag = msgpack.decode(_raws(message)[0], type=str)
        except (*_BROKEN, ProtocolError, IndexError):
            return "bad_message"
        return "bad_message" if tag in self._tags else "unhandled"

    def _check_count(self, body: Body, count: int) -> None:
        if _count(body) != count:
            raise ProtocolError(f"a run for {self.name} is no array of {count} messages")

    def __repr__(self) -> str:
        return f"<Codec of {self.name}: {', '.join(sorted(map(str, self._tags)))}>"


_Decode: TypeAlias = Callable[[Body], Any]


def _decoder(kind: Any) -> _Decode:
    decode = msgpack.Decoder(kind, dec_hook=_known).decode
    # A Raw looks into the bytes that it came in, and those are overwritten by what the connection brings next.
    return (lambda body: decode(bytes(body))) if _holds_raw(kind) else decode


def _holds_raw(kind: Any) -> bool:
    """Whether a Raw may stand somewhere in a value of this type."""
    seen: set[int] = set()
    left: list[Any] = [inspect.type_info(kind)]
    while left:
        info = left.pop()
        if isinstance(info, inspect.RawType):
            return True
        if isinstance(info, tuple):
            left.extend(info)
        elif isinstance(info, inspect.Type | inspect.Field) and id(info) not in seen:
            seen.add(id(info))
            left.extend(getattr(info, name) for name in info.__struct_fields__)
    return False


def _nothing(_: Body) -> Any:
    raise ValidationError("this engine takes no messages from other nodes")


def _one(decode: _Decode, raw: Raw) -> Any:
    try:
        return decode(raw)
    except _BROKEN:
        return None


_correlations = msgpack.Decoder(tuple[int, Raw]).decode


def _correlation(raw: Raw) -> int:
    try:
        return _correlations(raw)[0]
    except _BROKEN as error:
        raise ProtocolError(f"an ask without its correlation: {type(error).__name__}") from None


@lru_cache(maxsize=4096)
def reply_decoder(request: type[Request[Any]]) -> Callable[[Body | Raw], Any]:
    """Reads what the request is answered with; raises ProtocolError for anything else. Cached."""
    decode = _decoder(reply_type(request))

    def reply(body: Body | Raw) -> Any:
        try:
            value = decode(body)
            # What stays undecoded must not go on lying in a buffer that the next frame is read into.
            return value.copy() if value.__class__ is Raw else value
        except _BROKEN as error:
            raise ProtocolError(f"no answer to {request.__name__}: {error}") from None

    return reply


_code = msgpack.Decoder(Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,39}\Z")]).decode


def reason(body: Body | Raw) -> str:
    """Why another node refused. A code for programs; no other words of a stranger reach anybody."""
    try:
        code: str = _code(body)
    except _BROKEN as error:
        raise ProtocolError(f"a refusal without a reason: {type(error).__name__}") from None
    return code


# -- under test: everything goes through the codec ---------------------------------------------------------


@lru_cache(maxsize=4096)
def _message_decoder(message: type[Request[Any]]) -> _Decode:
    return _decoder(message)


def through_codec(msg: Request[Any]) -> Request[Any]:
    """What another node would have got. A Local message, which never leaves its node, stays what it is."""
    if isinstance(msg, Local):
        return msg
    copy: Request[Any] = _message_decoder(type(msg))(encode(msg))
    return copy


def reply_through_codec(request: type[Request[Any]], value: object) -> object:
    """What an asker on another node would have got. Replies to Local messages stay what they are."""
    return value if issubclass(request, Local) else reply_decoder(request)(encode(value))
