"""The handshake against somebody who owns the network and a node of their own (PROTOCOL H, scenario 17)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations, product

import pytest
from handshake_pair import (
    ALICE,
    ALICE_RUN,
    BOB,
    BOB_RUN,
    MALLORY,
    TLS,
    acceptor,
    body,
    dialer,
    proven,
    record,
    replied,
)
from msgspec import msgpack, structs

from actors.errors import ProtocolError
from actors.identity import Incarnation
from actors.net import wire
from actors.net.messages import ConnectionID, ConnectOk, ConnectRequest, Denied, HandshakeRefused, Proof
from actors.net.proving.handshake import Acceptor, Dialer, HandshakeFailed
from actors.net.proving.transcript import Transcript
from transports.channels import Channel

STOPPED = (HandshakeFailed, ProtocolError)

NEUTRAL = b"\x01" + bytes(31)
"""The encoding of a point of small order: anyone can make signatures that `cryptography` verifies for it."""


def meet(alice: Dialer, bob: Acceptor, change: Callable[[str, bytes], bytes]) -> None:
    """A handshake whose frames go through somebody's hands. Returns if both sides are content."""

    def through(name: str, frame: bytes) -> memoryview:
        return memoryview(change(name, bytes(body(frame))))

    reply, _ = bob.request(through("request", alice.request()))
    alice.reply(through("reply", reply))
    bob.proof(through("proof", alice.prove(epoch=11, permanent=True)))
    alice.verdict(through("accepted", bob.accept(epoch=22, permanent=False)))


def forwarded(_: str, frame: bytes) -> bytes:
    return frame


def changed(target: str, **fields: object) -> Callable[[str, bytes], bytes]:
    """Change fields of one frame, and leave the rest as it is."""

    def change(name: str, frame: bytes) -> bytes:
        if name != target:
            return frame
        said = wire.decode(frame)
        assert said is not None
        return bytes(body(wire.encode(structs.replace(said, **fields))))

    return change


# -- each field of each frame ------------------------------------------------------------------------------


REQUEST_FIELDS: dict[str, object] = {
    "ver_min": 0,
    "ver_max": 2,
    "src": MALLORY.id,
    "dst": MALLORY.id,
    "incarnation": Incarnation(ALICE_RUN.boot + 1, ALICE_RUN.random),
    "nonce": b"x" * 32,
    "dial": 8,
    "accepted": None,
    "advert_mine": 99,
    "advert_yours": 99,
    "max_frame": 131_072,
}
REPLY_FIELDS: dict[str, object] = {
    "ver": 2,
    "ver_min": 0,
    "ver_max": 2,
    "incarnation": Incarnation(BOB_RUN.boot, 1),
    "nonce": b"x" * 32,
    "advert_mine": 99,
    "advert_yours": 99,
    "max_frame": 131_072,
    "signature": bytes(64),
}
PROOF_FIELDS: dict[str, object] = {"epoch": 12, "permanent": False, "signature": bytes(64)}
REFUSED_FIELDS: dict[str, object] = {
    "reason": "stale_incarnation",
    "retry_after": 500.0,
    "newest": Incarnation(2**64 - 1, 0),
    "signature": bytes(64),
}


def test_every_field_of_every_signed_frame_has_its_case() -> None:
    for kind, cases in (
        (ConnectRequest, REQUEST_FIELDS),
        (ConnectOk, REPLY_FIELDS),
        (Proof, PROOF_FIELDS),
        (HandshakeRefused, REFUSED_FIELDS),
    ):
        assert list(cases) == list(kind.__struct_fields__)


def test_frames_that_are_only_forwarded_prove_both_sides() -> None:
    meet(dialer(), acceptor(), forwarded)


@pytest.mark.parametrize("field", REQUEST_FIELDS)
def test_a_changed_field_of_the_request_is_noticed(field: str) -> None:
    with pytest.raises(STOPPED):
        meet(dialer(), acceptor(), changed("request", **{field: REQUEST_FIELDS[field]}))


@pytest.mark.parametrize("field", REPLY_FIELDS)
def test_a_changed_field_of_the_reply_is_noticed(field: str) -> None:
    with pytest.raises(HandshakeFailed, match="bad_signature"):
        meet(dialer(), acceptor(), changed("reply", **{field: REPLY_FIELDS[field]}))


@pytest.mark.parametrize("field", PROOF_FIELDS)
def test_a_changed_field_of_the_proof_is_noticed(field: str) -> None:
    with pytest.raises(HandshakeFailed, match="bad_proof"):
        meet(dialer(), acceptor(), changed("proof", **{field: PROOF_FIELDS[field]}))


@pytest.mark.parametrize("field", REFUSED_FIELDS)
def test_a_changed_field_of_a_refusal_makes_it_a_hint(field: str) -> None:
    alice, bob = dialer(), acceptor()
    proven(alice, bob)
    refused = structs.replace(record(bob.refuse("over_capacity", 60.0)), **{field: REFUSED_FIELDS[field]})
    with pytest.raises(HandshakeFailed) as caught:
        alice.verdict(body(wire.encode(refused)))
    assert (caught.value.reason, caught.value.signed) == ("bad_signature", False)
    assert (caught.value.retry_after, caught.value.newest) == (0.0, None)


def each_flipped_bit(frame: bytes) -> Iterator[bytes]:
    for bit in range(8 * len(frame)):
        flipped = bytearray(frame)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)


CHANNELS = [(0, b""), (1, b"x" * 32), (2, b"x" * 32), (3, b"x" * 32)]
STEPS = ["request", "reply", "proof", "accepted"]
UNPROTECTED = [(channel, "accepted") for channel in CHANNELS if channel[0] in (0, 3)]
"""On the other two the channel itself lets no bit be turned."""


@pytest.mark.parametrize(("channel", "target"), [*product(CHANNELS, STEPS[:3]), *UNPROTECTED])
def test_no_flipped_bit_goes_unnoticed(channel: tuple[int, bytes], target: str) -> None:
    seen: dict[str, bytes] = {}

    def note(name: str, frame: bytes) -> bytes:
        seen[name] = frame
        return frame

    def pair() -> tuple[Dialer, Acceptor]:
        return dialer(channel=channel), acceptor(channel=channel)

    meet(*pair(), note)
    for flipped in each_flipped_bit(seen[target]):
        with pytest.raises(STOPPED):
            meet(*pair(), lambda name, frame: flipped if name == target else frame)  # noqa: B023


@pytest.mark.parametrize("channel", CHANNELS[1:3])
def test_the_last_word_is_not_signed_where_the_channel_speaks_for_the_server(channel: tuple[int, bytes]) -> None:
    alice, bob = dialer(channel=channel), acceptor(channel=channel)
    proven(alice, bob)
    welcome = bob.accept(epoch=22, permanent=False)
    assert welcome[-64:] == bytes(64)
    assert alice.verdict(body(welcome[:-1] + b"x")).epoch == 22


def test_the_same_words_in_other_bytes_are_noticed() -> None:
    """The bytes as sent are signed, never an encoding of what they say."""

    def longer(name: str, frame: bytes) -> bytes:
        return frame[:1] + b"\xdc\x00\x0b" + frame[2:] if name == "request" else frame

    request = bytes(body(dialer().request()))
    assert wire.decode(longer("request", request)) == wire.decode(request)
    with pytest.raises(HandshakeFailed, match="bad_signature"):
        meet(dialer(), acceptor(), longer)


def test_a_signature_in_another_encoding_is_not_cut_off_at_the_wrong_place() -> None:
    def longer(name: str, frame: bytes) -> bytes:
        return frame[:-66] + b"\xc5\x00\x40" + frame[-64:] if name == "reply" else frame

    with pytest.raises(ProtocolError):
        meet(dialer(), acceptor(), longer)


# -- somebody else's words ---------------------------------------------------------------------------------


def test_a_replayed_request_and_proof_do_not_fit_another_nonce_of_the_acceptor() -> None:
    alice, bob = dialer(), acceptor()
    request = alice.request()
    reply, _ = bob.request(body(request))
    alice.reply(body(reply))
    proof = alice.prove(epoch=11, permanent=True)
    bob.proof(body(proof))
    later = acceptor(nonce=b"b" * 32)
    later.request(body(request))
    with pytest.raises(HandshakeFailed, match="bad_proof"):
        later.proof(body(proof))


def test_a_replayed_reply_does_not_fit_another_nonce_of_the_dialer() -> None:
    reply, _ = acceptor().request(body(dialer().request()))
    later = dialer(nonce=b"e" * 32)
    later.request()
    with pytest.raises(HandshakeFailed, match="bad_signature"):
        later.reply(body(reply))


def test_a_replayed_refusal_does_not_fit_another_handshake() -> None:
    alice, bob = dialer(), acceptor()
    proven(alice, bob)
    refusal = bob.refuse("over_capacity", 600.0)
    again = dialer(nonce=b"e" * 32)
    proven(again, acceptor())
    with pytest.raises(HandshakeFailed, match="bad_signature"):
        again.verdict(body(refusal))


def test_a_dialer_is_not_proved_to_itself_by_its_own_request() -> None:
    request = dialer().request()
    hint, go_on = acceptor(key=ALICE).request(body(request))
    assert (record(hint), go_on) == (Denied("wrong_node"), False)
    readdressed = changed("request", dst=ALICE.id)("request", bytes(body(request)))
    hint, go_on = acceptor(key=ALICE).request(readdressed)
    assert (record(hint), go_on) == (Denied("self"), False)


def test_a_reply_is_no_proof_though_the_same_node_signed_the_same_handshake() -> None:
    """Alice dials Bob and Bob dials Alice; what Alice signs as acceptor is shown to Bob's acceptor as her proof."""
    accepting, bob = acceptor(key=ALICE), acceptor()
    reply, _ = accepting.request(body(dialer(key=BOB, dst=ALICE.id).request()))
    signed = record(reply)
    assert isinstance(signed, ConnectOk)
    bob.request(body(dialer().request()))
    with pytest.raises(HandshakeFailed, match="bad_proof"):
        bob.proof(body(wire.encode(Proof(11, True, signed.signature))))


def test_what_is_signed_in_one_role_never_verifies_in_another() -> None:
    transcript = Transcript(b"request", b"reply", Channel(0, b""))
    signed = [
        transcript.accepting(),
        transcript.dialing(0, False),
        transcript.dialing(0, True),
        transcript.dialing(1, False),
        transcript.refusing(b""),
        transcript.refusing(bytes(9)),
        transcript.refusing(b"abcd\x01"),
        transcript.dialing(int.from_bytes(b"\x00\x00\x00\x05abcd", "big"), True),
    ]
    for one, other in permutations(signed, 2):
        assert not ALICE.id.verify(ALICE.sign(one), other)


def test_a_byte_that_moves_from_one_part_of_the_transcript_to_the_next_changes_it() -> None:
    plain, tls = Channel(0, b""), Channel(TLS, bytes(32))
    ways = [
        Transcript(b"ab", b"c", plain),
        Transcript(b"a", b"bc", plain),
        Transcript(b"abc", b"", plain),
        Transcript(b"", b"abc", plain),
        Transcript(b"ab", b"c", tls),
    ]
    assert len({way.accepting() for way in ways}) == len(ways)


def test_a_stranger_who_puts_its_own_name_on_a_request_is_not_answered_for_the_dialer() -> None:
    """Unknown key share: Bob would talk to Alice and believe that she is Mallory."""
    with pytest.raises(HandshakeFailed, match="bad_signature"):
        meet(dialer(), acceptor(), changed("request", src=MALLORY.id))


def test_a_stranger_cannot_prove_the_node_that_it_names() -> None:
    bob = acceptor()
    mallory = dialer(key=MALLORY)
    claimed = changed("request", src=ALICE.id)("request", bytes(body(mallory.request())))
    reply, go_on = bob.request(claimed)
    assert go_on
    own_words = Transcript(claimed, wire.unsigned(bytes(body(reply))), Channel(0, b""))
    forged = Proof(11, True, MALLORY.sign(own_words.dialing(11, True)))
    with pytest.raises(HandshakeFailed, match="bad_proof"):
        bob.proof(body(wire.encode(forged)))


def test_the_answer_of_another_node_is_not_taken_for_the_peers() -> None:
    """Alice dials Mallory, who passes her question on to Bob."""
    to_mallory = dialer(dst=MALLORY.id)
    with pytest.raises(HandshakeFailed, match="bad_signature"):
        meet(to_mallory, acceptor(), changed("request", dst=BOB.id))


def test_a_proof_given_to_one_node_proves_nothing_to_another() -> None:
    """Alice dials Mallory, who wants to be Alice to Bob and copies his nonce and incarnation."""
    alice, bob = dialer(dst=MALLORY.id), acceptor()
    request = bytes(body(alice.request()))
    reply, _ = bob.request(changed("request", dst=BOB.id)("request", request))
    bobs = record(reply)
    assert isinstance(bobs, ConnectOk)
    own = bytes(body(wire.encode(structs.replace(bobs, signature=wire.UNSIGNED))))
    signature = MALLORY.sign(Transcript(request, wire.unsigned(own), Channel(0, b"")).accepting())
    alice.reply(wire.signed(own, signature))
    with pytest.raises(HandshakeFailed, match="bad_proof"):
        bob.proof(body(alice.prove(epoch=11, permanent=True)))


# -- versions and incarnations -----------------------------------------------------------------------------


def test_a_removed_version_is_noticed() -> None:
    with pytest.raises(HandshakeFailed, match="bad_signature"):
        meet(dialer(versions=(1, 2)), acceptor(versions=(1, 2)), changed("request", ver_max=1))


@pytest.mark.parametrize(("said", "range_"), [(1, (1, 2)), (3, (1, 3)), (0, (0, 2)), (2, (2, 1)), (2, (3, 3))])
def test_a_peer_that_does_not_choose_the_highest_common_version_breaks_the_protocol(
    said: int, range_: tuple[int, int]
) -> None:
    alice = dialer(versions=(1, 2))
    request = bytes(body(alice.request()))
    lie = wire.encode(ConnectOk(said, *range_, BOB_RUN, b"a" * 32, 0, 0, 131_072, wire.UNSIGNED))
    transcript = Transcript(request, wire.unsigned(bytes(body(lie))), Channel(0, b""))
    with pytest.raises(ProtocolError, match="highest common"):
        alice.reply(body(wire.signed(lie, BOB.sign(transcript.accepting()))))


@pytest.mark.parametrize("target", ["request", "reply"])
def test_nobody_else_can_make_a_node_look_restarted(target: str) -> None:
    later = Incarnation(2**64 - 1, 0)
    with pytest.raises(HandshakeFailed, match="bad_signature"):
        meet(dialer(), acceptor(), changed(target, incarnation=later))


def test_nobody_else_can_make_a_dial_look_like_a_later_one() -> None:
    with pytest.raises(HandshakeFailed, match="bad_signature"):
        meet(dialer(), acceptor(), changed("request", accepted=ConnectionID(BOB_RUN, 2**64 - 1)))


# -- the channel -------------------------------------------------------------------------------------------

THEIRS, OURS, FRONT = (TLS, b"t" * 32), (TLS, b"o" * 32), (3, b"t" * 32)


def test_a_relay_between_two_plain_links_succeeds() -> None:
    """Nothing tells it from a wire: a plain link does not hold against somebody who owns the network."""
    meet(dialer(channel=(0, b"")), acceptor(channel=(0, b"")), forwarded)


@pytest.mark.parametrize(
    ("dialed", "served"),
    [
        pytest.param((0, b""), THEIRS, id="plain to TLS"),
        pytest.param(THEIRS, (0, b""), id="TLS to plain"),
        pytest.param(OURS, THEIRS, id="TLS to TLS"),
        pytest.param(FRONT, THEIRS, id="front to TLS"),
        pytest.param((2, b"t" * 32), THEIRS, id="QUIC to TLS"),
    ],
)
def test_a_relay_to_or_from_an_encrypted_channel_fails(dialed: tuple[int, bytes], served: tuple[int, bytes]) -> None:
    with pytest.raises(HandshakeFailed, match="bad_signature"):
        meet(dialer(channel=dialed), acceptor(channel=served), forwarded)


# -- keys that anyone can sign for -------------------------------------------------------------------------


def renamed(frame: memoryview, index: int, raw: bytes) -> bytes:
    fields = msgpack.decode(frame[1:])
    fields[index] = raw
    return bytes(frame[:1]) + msgpack.encode(fields)


@pytest.mark.parametrize("index", [2, 3], ids=["source", "destination"])
@pytest.mark.parametrize("raw", [NEUTRAL, bytes(32), b"\xff" * 32, b"short"])
def test_a_malformed_nodeid_is_turned_down_before_anything_is_signed(index: int, raw: bytes) -> None:
    hint, go_on = acceptor().request(renamed(body(dialer().request()), index, raw))
    assert (record(hint), go_on) == (Denied("malformed"), False)


def test_a_refused_request_tells_nothing_but_the_hint() -> None:
    for hint, _ in (
        acceptor().request(renamed(body(dialer().request()), 2, NEUTRAL)),
        acceptor(key=MALLORY).request(body(dialer().request())),
        acceptor().request(body(dialer(key=BOB).request())),
    ):
        assert isinstance(record(hint), Denied)


def test_the_signature_of_a_reply_does_not_sign_a_refusal() -> None:
    alice, bob = dialer(), acceptor()
    ok = replied(alice, bob)
    alice.prove(epoch=11, permanent=True)
    forged = HandshakeRefused("over_capacity", 600.0, None, ok.signature)
    with pytest.raises(HandshakeFailed) as caught:
        alice.verdict(body(wire.encode(forged)))
    assert not caught.value.signed
