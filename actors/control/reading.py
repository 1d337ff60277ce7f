"""A line from a client, to the request that it is or to what is wrong with it. Pure."""

from __future__ import annotations

import re
from typing import Any, get_args

import msgspec

from actors.control.messages import MAX_LINE, Failed, Request
from actors.control.resolve import guess

_decode = msgspec.json.Decoder(Request).decode
_REQUESTS: dict[str, Any] = {str(kind.__struct_config__.tag): kind for kind in get_args(Request)}

TOO_LONG = Failed(
    code="bad_request", what=f"a line of more than {MAX_LINE} bytes", hint="send large data in several messages"
)


def read_request(line: bytes) -> Request | Failed:
    """The request, or Failed `bad_request`."""
    try:
        request: Request = _decode(line)
    except _UNFIT as error:
        return _bad_request(line, str(error))
    return request


_UNFIT = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def _bad_request(line: bytes, what: str) -> Failed:
    # That it is not one of ours may have been seen before its end: whether it is JSON at all is asked here.
    try:
        found = msgspec.json.decode(line)
    except _UNFIT as error:
        return Failed(code="bad_request", what=f"not JSON: {error}", hint='write {"do": "node"}')
    return Failed(code="bad_request", what=what, hint=_hint(found, what))


def _hint(found: object, what: str) -> str:
    """What may have been meant by a line that is JSON, but not one of ours."""
    name = found.get("do") if isinstance(found, dict) else None
    if not isinstance(name, str):
        return f'write {{"do": …}} with one of {", ".join(_REQUESTS)}'
    if name not in _REQUESTS:
        return guess(name, _REQUESTS)
    fields = _REQUESTS[name].__struct_encode_fields__
    unknown = re.search(r"unknown field `(.*)`", what)
    return guess(unknown[1], fields) if unknown and fields else f"{name} has {', '.join(fields) or 'no fields'}"
