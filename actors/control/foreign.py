"""Messages whose classes are not known here, on their way to the node that knows them. Pure.

A node sends messages, and does not care of which class: one made of undecoded fields is as good as the real one.
"""

from __future__ import annotations

from functools import lru_cache
from types import new_class
from typing import Any, TypeAlias, cast

from msgspec import Raw

from actors.control.compose import decode
from actors.control.failures import ControlError
from actors.messages import Request

Foreign: TypeAlias = Request[Raw]
"""Its answer stays undecoded too."""

_MOST_FIELDS = 256


def foreign(payload: bytes) -> Foreign:
    """The message that these bytes are, fields undecoded. ControlError `bad_field` for bytes that are none."""
    array = decode(payload, list[Raw])
    if not 1 <= len(array) <= _MOST_FIELDS:
        raise ControlError("bad_field", "a message is an array of its type and its fields")
    return _foreign_class(decode(bytes(array[0]), str), len(array) - 1)(*array[1:])


@lru_cache(maxsize=512)
def _foreign_class(tag: str, fields: int) -> type[Foreign]:
    if not tag:
        raise ControlError("bad_field", "a message has a type")

    def body(namespace: dict[str, Any]) -> None:
        namespace.update(__module__=__name__, __qualname__="Foreign")
        namespace["__annotations__"] = {f"field{number}": Raw for number in range(fields)}

    return cast("type[Foreign]", new_class("Foreign", (Request[Raw],), {"tag": tag}, body))
