"""Valid inputs for every decoder: the test vectors of PROTOCOL.md, and what the code itself writes."""

from __future__ import annotations

import base64
import re
from functools import cache
from pathlib import Path

import msgspec
from handshake_pair import ALICE, BOB, acceptor, body, dialer, proven
from msgspec import msgpack

from actors.identity import NodeID, NodeKey
from actors.keyfile import PREFIX
from actors.net.messages import (
    Ack,
    Disperse,
    Frame,
    GoAway,
    Idle,
    IdleOk,
    Kind,
    Lane,
    Limit,
    Messages,
    Ping,
    Refusal,
    Resume,
    RunHead,
    Settled,
    Want,
)
from actors.net.wire import encode, encode_messages
from actors.state import PeerRecord

PAGE = Path(__file__).parent.parent / "PROTOCOL.md"


@cache
def vectors() -> dict[str, bytes]:
    """Every block of bytes of PROTOCOL.md by its name."""
    blocks = re.findall(r"^```hex ([a-z-]+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return {name: bytes.fromhex(block) for name, block in blocks}


def texts(name: str) -> list[bytes]:
    """The lines of a block of text of PROTOCOL.md."""
    found = re.search(rf"^```text {name}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1].encode().splitlines()


# -- between nodes ------------------------------------------------------------------------------------------


def whole_frames() -> tuple[bytes, ...]:
    """Every frame of the page, with its length."""
    found = [data for data in vectors().values() if len(data) > 4 and int.from_bytes(data[:4], "big") == len(data) - 4]
    assert len(found) > 20
    return tuple(found)


@cache
def honest() -> dict[str, bytes]:
    """The frames of one handshake between two fixed nodes, and of one that ends in a refusal."""
    alice, bob = dialer(), acceptor()
    request = alice.request()
    reply, _ = bob.request(body(request))
    alice.reply(body(reply))
    proof = alice.prove(epoch=11, permanent=True)
    bob.proof(body(proof))
    other = acceptor()
    proven(dialer(), other)
    refused = other.refuse("over_capacity", 1.5)
    accepted = bob.accept(epoch=22, permanent=False)
    return {"request": request, "reply": reply, "proof": proof, "accepted": accepted, "refused": refused}


def messages(first: int, kind: Kind, target: str, *items: object, lane: int = 1, upto: int = 0) -> bytes:
    """One run of messages, its lane declared."""
    payload = msgpack.encode(list(items))
    head = Messages(
        first, 0, upto, [Lane(lane, "client", target)], [RunHead(lane, kind, len(items), 30_000, len(payload))]
    )
    return encode_messages(head, len(payload)) + payload


def conversations() -> tuple[bytes, ...]:
    """What a proven peer may say to a node with an engine `counter`, which has asked, told and waits."""
    start = encode(Resume(33, 0, [], 8, 1 << 16, [Limit("counter", 100, 1 << 20)]))
    tell = messages(1, Kind.TELL, "counter", ["add", 1, [2, 3], None], ["add", 2, [], "x"])
    ask = messages(3, Kind.ASK, "counter", [7, ["add", 1, [1], None]], upto=1)
    cancel = messages(4, Kind.CANCEL, "counter", 7)
    answer = messages(5, Kind.REPLY, "", [1000, 0, 5], [1001, 2, "unhandled"], lane=2)
    skip = messages(7, Kind.SKIP, "counter", 15, 16)
    lost = messages(9, Kind.TELL, "nobody", ["add", 1, [], None], lane=3)
    small: list[Frame] = [
        Ack(3, [Refusal(2, "bad_message")], [Limit("counter", 200, 1 << 21)]),
        Settled(9),
        Want("counter", 90_000),
    ]
    upkeep: list[Frame] = [Ping(1), Idle(), IdleOk(), GoAway("stopping", 0.5), Disperse(4.0)]
    page = vectors()
    return (
        start + tell + ask + cancel + answer + skip + lost + b"".join(map(encode, small)),
        start + tell + tell + ask + b"".join(map(encode, upkeep)) + page["bye"],
        start + b"".join(map(encode, small)) + page["advert-frame"] + page["advert-invalid"],
        start
        + messages(1, Kind.TELL, "counter", *[["add", number, [], None] for number in range(8)])
        + encode(Ack(3, [], [])),
    )


# -- files, lines and text ----------------------------------------------------------------------------------


def json_lines(union: object) -> tuple[bytes, ...]:
    """A line for each record of the control socket, with something in every field."""
    return tuple(msgspec.json.encode(_example(kind)) for kind in msgspec.inspect.type_info(union).types)  # type: ignore[attr-defined]


def _example(kind: msgspec.inspect.Type) -> object:
    match kind:
        case msgspec.inspect.StructType(tag=tag, tag_field=name, fields=fields):
            said = {field.encode_name: _example(field.type) for field in fields}
            return said if tag is None else {str(name): tag, **said}
        case msgspec.inspect.BoolType():
            return True
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            return 3
        case msgspec.inspect.StrType():
            return "a/counter"
        case msgspec.inspect.BytesType():
            return msgpack.encode(["add", 1, [], None])
        case msgspec.inspect.LiteralType(values=values) | msgspec.inspect.EnumType(cls=values):
            return next(iter(values))
        case msgspec.inspect.UnionType(types=types):
            return _example(types[0])
        case msgspec.inspect.VarTupleType(item_type=item) | msgspec.inspect.ListType(item_type=item):
            return [_example(item)]
        case msgspec.inspect.DictType():
            return {"n": 1, "pairs": [2], "note": None}
    return "counter"


TOML = (
    b'name = "a"\nkey = "keys/a"\nstate_dir = "/nowhere/a"\nlisten = ["tcp://127.0.0.1:4000", "memory://a"]\n'
    b'peers = ["advert1:xyz"]\nadverts = ["b.advert"]\nengines = ["myapp:Counter"]\napp = "myapp:setup"\n'
    b'insecure = true\n[limits]\noutbox_messages = 10\nmailbox_bytes = "unlimited"\ndrain_seconds = 2.5\n',
    b"listen = ['''tcp://[::1]:0''']\nlimits = { peers = 1_000, unproven = 0x10, heartbeat_seconds = 1e0 }\n",
    b'name = 1979-05-27T07:32:00Z\n[[peers]]\na = {b = {c = [1, [2, [3]]]}}\n"ke\\u0079" = "~/k"\n',
)

ADDRESSES = (
    b"tcp://127.0.0.1:4000", b"tcp://[::1]:0", b"tls://node.example:443", b"quic://[fe80::1%eth0]:65535", b"udp://10.0.0.1:1",
    b"ws://localhost:80/a/b%20c", b"wss://a-b.c_d.example:8443/", b"memory://a.b-c_d", b"tcp://[::ffff:127.0.0.1]:1",
)  # fmt: skip


def key_line(seed: bytes) -> bytes:
    """The content of a key file."""
    secret = base64.b32encode(seed).decode().rstrip("=").lower()
    return f"{PREFIX} {secret} {NodeKey.from_seed(seed).id}\n".encode()


def peer_records() -> tuple[bytes, ...]:
    """Files of the state folder."""
    known = PeerRecord(advert=vectors()["advert"], holders=("console",))
    return msgspec.json.encode(known) + b"\n", msgspec.json.encode(PeerRecord()) + b"\n"


def node_ids() -> tuple[bytes, ...]:
    """NodeIDs as text and as bytes."""
    nodes: list[NodeID] = [ALICE.id, BOB.id]
    return (*(str(node).encode() for node in nodes), *(bytes(node) for node in nodes))
