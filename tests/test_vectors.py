"""The test vectors of PROTOCOL.md: made again from fixed keys, and checked with nothing but what the page says."""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha256
from pathlib import Path
from struct import pack

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from handshake_pair import ALICE, ALICE_RUN, BOB, acceptor, body, dialer, proven
from msgspec import msgpack

from actors.errors import IdentityError
from actors.identity import Incarnation, NodeID
from actors.messages import Request
from actors.net import wire
from actors.net.keeper import Keeper
from actors.net.keeping import Find, Found, Gone, Held, Hold, Lend, Lent, NotLent, Release
from actors.net.messages import (
    Ack,
    Advert,
    AdvertAccepted,
    AdvertInvalid,
    AdvertStale,
    Bye,
    Datagram,
    Denied,
    Disperse,
    Frame,
    GoAway,
    Idle,
    IdleOk,
    Incompatible,
    Kind,
    Lane,
    Limit,
    Messages,
    OverCapacity,
    Ping,
    Pong,
    Refusal,
    Resume,
    RunHead,
    Settled,
    Status,
    Want,
)
from actors.net.proving.adverts import NodeAdvert
from actors.net.proving.handshake import HandshakeFailed
from actors.net.proving.transcript import DOMAIN
from actors.runtime import Codec
from actors.runtime import encode as encode_item

PAGE = Path(__file__).parent.parent / "PROTOCOL.md"
CERTIFICATE = b"the server's certificate in DER"


class Add(Request[int], tag="counter.add"):
    amount: int


# -- what the code makes -----------------------------------------------------------------------------------


def handshake(prefix: str, channel: tuple[int, bytes]) -> dict[str, bytes]:
    alice, bob = dialer(channel=channel), acceptor(channel=channel)
    request = alice.request()
    reply, _ = bob.request(body(request))
    alice.reply(body(reply))
    proof = alice.prove(epoch=11, permanent=True)
    bob.proof(body(proof))
    return {
        f"{prefix}-request": request,
        f"{prefix}-reply": reply,
        f"{prefix}-proof": proof,
        f"{prefix}-accepted": bob.accept(epoch=22, permanent=False),
    }


def refusal() -> bytes:
    bob = acceptor()
    proven(dialer(), bob)
    return bob.refuse("stale_incarnation", 1.5, Incarnation(ALICE_RUN.boot + 1, 7))


def messages() -> bytes:
    payloads = [
        msgpack.encode([Add(1), Add(-2)]),
        msgpack.encode([[0xC0FFEE, Add(3)]]),
        msgpack.encode([[0xBEEF, Status.OK, 5], [0xBEF0, Status.REFUSED, "unhandled"]]),
        msgpack.encode([15, 16]),
        msgpack.encode([0xC0FFED]),
    ]
    kinds = [(1, Kind.TELL, 2, 30_000), (1, Kind.ASK, 1, 5_000), (2, Kind.REPLY, 2, 4_000)]
    kinds += [(1, Kind.SKIP, 2, 0), (1, Kind.CANCEL, 1, 60_000)]
    runs = [
        RunHead(lane, kind, count, ttl, len(payload))
        for (lane, kind, count, ttl), payload in zip(kinds, payloads, strict=True)
    ]
    lanes = [Lane(1, "client", "counter"), Lane(2, "", "")]
    payload = b"".join(payloads)
    return wire.encode_messages(Messages(43, 41, 7, lanes, runs), len(payload)) + payload


ADVERT = NodeAdvert.sign(
    ALICE, [("tls://node.example:4000", 10), ("tcp://192.0.2.7:4000", 1)], version=3, created=1_700_000_000_000
)

FRAMES: dict[str, Frame] = {
    "hint-over-capacity": OverCapacity(2.5),
    "hint-incompatible": Incompatible(2, 3),
    "hint-denied": Denied("wrong_node"),
    "resume": Resume(33, 42, [Refusal(40, "no_engine")], 8, 65536, [Limit("counter", 2048, 4194304)]),
    "resume-first": Resume(33, 0, [], 8, 65536, []),
    "ack": Ack(48, [Refusal(44, "bad_message")], [Limit("counter", 4096, 8388608)]),
    "settled": Settled(44),
    "want": Want("counter", 900000),
    "ping": Ping(1),
    "pong": Pong(2**64 - 1),
    "idle": Idle(),
    "idle-ok": IdleOk(),
    "go-away": GoAway("stopping", 0.5),
    "bye": Bye("superseded"),
    "disperse": Disperse(4.0),
    "datagram": Datagram(0x0123456789ABCDEF, "counter", "client", 30_000, msgpack.encode(["counter.add", 1])),
    "advert-frame": Advert(ADVERT.data),
    "advert-accepted": AdvertAccepted(3),
    "advert-stale": AdvertStale(ADVERT.data),
    "advert-invalid": AdvertInvalid("bad_signature"),
}


KEEPER = {
    "keeper-find": Find("counter"),
    "keeper-found": Found(7),
    "keeper-hold": Hold("counter", 7, 7.5, 37.5),
    "keeper-held": Held(),
    "keeper-gone": Gone("stopped"),
    "keeper-lend": Lend("worker", 0xBEEF, 37.5),
    "keeper-lent": Lent("worker.0b0b.1", 8),
    "keeper-not-lent": NotLent("not_offered"),
    "keeper-release": Release(0xBEEF),
}


@cache
def made() -> dict[str, bytes]:
    """Every vector by its name."""
    return {
        "alice-secret": ALICE.seed(),
        "alice-nodeid": bytes(ALICE.id),
        "bob-secret": BOB.seed(),
        "bob-nodeid": bytes(BOB.id),
        **handshake("plain", (0, b"")),
        "certificate-digest": sha256(CERTIFICATE).digest(),
        **handshake("tls", (1, sha256(CERTIFICATE).digest())),
        "plain-refused": refusal(),
        **{name: wire.encode(record) for name, record in FRAMES.items()},
        "messages": messages(),
        **{name: encode_item(item) for name, item in KEEPER.items()},
        "advert": ADVERT.data,
    }


# -- what the page says ------------------------------------------------------------------------------------


@cache
def page() -> dict[str, str]:
    """Every block of the page by its name."""
    blocks = re.findall(r"^```(?:hex|text) ([a-z-]+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == len(dict(blocks))
    return dict(blocks)


def said(name: str) -> bytes:
    return bytes.fromhex(page()[name])


def shown(data: bytes) -> str:
    """Bytes as the page shows them: 40 on a line."""
    return "".join(data[start : start + 40].hex() + "\n" for start in range(0, len(data), 40))


@pytest.mark.parametrize("name", made())
def test_the_page_shows_what_the_code_makes(name: str) -> None:
    assert page().get(name) == shown(made()[name])


def test_the_page_shows_nothing_else() -> None:
    texts = {"alice-text", "bob-text", "advert-text", "not-nodeids"}
    assert set(page()) == set(made()) | texts


def test_the_texts_on_the_page_are_those_of_the_code() -> None:
    assert page()["alice-text"].split() == [str(ALICE.id)]
    assert page()["bob-text"].split() == [str(BOB.id)]
    assert page()["advert-text"].split() == [str(ADVERT)]
    assert NodeAdvert.parse(page()["advert-text"]) == ADVERT


@pytest.mark.parametrize("line", page()["not-nodeids"].splitlines())
def test_what_the_page_calls_no_nodeid_is_none(line: str) -> None:
    with pytest.raises(IdentityError):
        NodeID(bytes.fromhex(line))


@pytest.mark.parametrize("name", [name for name, item in KEEPER.items() if isinstance(item, Request)])
def test_the_keeper_reads_the_asks_of_the_page(name: str) -> None:
    assert Codec.of(Keeper).tells(b"\x91" + said(name), 1) == [KEEPER[name]]


@pytest.mark.parametrize("name", FRAMES)
def test_the_code_reads_the_frames_of_the_page(name: str) -> None:
    frame = said(name)
    assert wire.decode(frame[4:]) == FRAMES[name]


# -- the page alone, without the code ----------------------------------------------------------------------


def verify(node: str, signature: bytes, signed: bytes) -> None:
    Ed25519PublicKey.from_public_bytes(said(f"{node}-nodeid")).verify(signature, signed)


def transcript(prefix: str, channel: bytes) -> bytes:
    request = said(f"{prefix}-request")[4:]
    reply = said(f"{prefix}-reply")[4:-66]
    return pack("!I", len(request)) + request + pack("!I", len(reply)) + reply + channel


CHANNELS = {
    "plain": pack("!BH", 0, 0),
    "tls": pack("!BH", 1, 32) + sha256(CERTIFICATE).digest(),
}


@pytest.mark.parametrize("node", ["alice", "bob"])
def test_the_nodeid_is_the_public_half_of_the_secret(node: str) -> None:
    key = Ed25519PrivateKey.from_private_bytes(said(f"{node}-secret"))
    assert key.public_key().public_bytes_raw() == said(f"{node}-nodeid")


@pytest.mark.parametrize("prefix", CHANNELS)
def test_the_signatures_of_the_handshake_follow_from_the_page_alone(prefix: str) -> None:
    whole = transcript(prefix, CHANNELS[prefix])
    proof = said(f"{prefix}-proof")
    verify("bob", said(f"{prefix}-reply")[-64:], b"trio-actors/1 connect\0accept\0" + sha256(whole).digest())
    dialed = sha256(whole + pack("!QB", 11, 1)).digest()
    verify("alice", proof[-64:], b"trio-actors/1 connect\0dial\0" + dialed)
    if prefix == "tls":
        assert said("tls-accepted")[-64:] == bytes(64)
    else:
        welcomed = sha256(whole + pack("!QB", 22, 0)).digest()
        verify("bob", said("plain-accepted")[-64:], b"trio-actors/1 connect\0welcome\0" + welcomed)
    other = transcript(prefix, CHANNELS["tls" if prefix == "plain" else "plain"])
    elsewhere = b"trio-actors/1 connect\0accept\0" + sha256(other).digest()
    with pytest.raises(InvalidSignature):
        verify("bob", said(f"{prefix}-reply")[-64:], elsewhere)


def test_the_signature_of_a_refusal_follows_from_the_page_alone() -> None:
    frame = said("plain-refused")
    part = frame[4:-66]
    whole = transcript("plain", CHANNELS["plain"]) + pack("!I", len(part)) + part
    verify("bob", frame[-64:], b"trio-actors/1 connect\0refuse\0" + sha256(whole).digest())


def test_the_signature_of_an_advert_follows_from_the_page_alone() -> None:
    verify("alice", said("advert")[-64:], b"trio-actors/1 advert\0" + said("advert")[:-66])


STEPS = [f"{prefix}-{step}" for prefix in CHANNELS for step in ("request", "reply", "proof", "accepted")]


@pytest.mark.parametrize("name", [*FRAMES, *STEPS, "plain-refused"])
def test_every_frame_of_the_page_tells_its_length_and_is_one_msgpack_array(name: str) -> None:
    frame = said(name)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert isinstance(msgpack.decode(frame[5:]), list)


def test_the_messages_of_the_page_can_be_taken_apart_by_its_words() -> None:
    frame = said("messages")
    assert frame[4] == 0x91
    end = 7 + int.from_bytes(frame[5:7], "big")
    first, settled, upto, lanes, runs = msgpack.decode(frame[7:end])
    assert (first, settled, upto) == (43, 41, 7)
    assert lanes == [[1, "client", "counter"], [2, "", ""]]
    items = []
    for lane, kind, count, ttl, size in runs:
        payload = msgpack.decode(frame[end : end + size])
        assert len(payload) == count
        items.append((lane, kind, ttl, payload))
        end += size
    assert end == len(frame)
    assert items == [
        (1, 0, 30_000, [["counter.add", 1], ["counter.add", -2]]),
        (1, 1, 5_000, [[0xC0FFEE, ["counter.add", 3]]]),
        (2, 2, 4_000, [[0xBEEF, 0, 5], [0xBEF0, 2, "unhandled"]]),
        (1, 3, 0, [15, 16]),
        (1, 4, 60_000, [0xC0FFED]),
    ]


def test_the_refusal_of_the_page_is_believed() -> None:
    alice, bob = dialer(), acceptor()
    proven(alice, bob)
    with pytest.raises(HandshakeFailed) as caught:
        alice.verdict(body(said("plain-refused")))
    assert (caught.value.reason, caught.value.signed, caught.value.retry_after) == ("stale_incarnation", True, 1.5)
    assert caught.value.newest == Incarnation(ALICE_RUN.boot + 1, 7)


def test_the_domain_on_the_page_is_that_of_the_code() -> None:
    assert DOMAIN == b"trio-actors/1 connect\0"
    assert 'CONNECT = "trio-actors/1 connect\\0"' in PAGE.read_text()
