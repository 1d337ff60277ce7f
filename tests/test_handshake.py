"""The handshake between honest nodes, and what each machine makes of bytes that are none of it."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from handshake_pair import ALICE, ALICE_RUN, BOB, BOB_RUN, accepted, acceptor, body, dialer, proven, record, replied
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import ProtocolError
from actors.identity import Incarnation
from actors.net import wire
from actors.net.messages import (
    Accepted,
    ConnectionID,
    ConnectRequest,
    Denied,
    Frame,
    Incompatible,
    OverCapacity,
    Ping,
    Proof,
)
from actors.net.proving.handshake import HandshakeFailed
from transports.channels import Channel


def test_four_steps_prove_both_nodes_to_each_other() -> None:
    alice, bob = dialer(), acceptor()
    who, verdict = accepted(alice, bob)
    assert who.peer == ALICE.id
    assert verdict == Accepted(epoch=22, permanent=False, signature=verdict.signature)
    assert (who.epoch, who.permanent) == (11, True)


def test_both_ends_know_the_connection_by_the_same_id() -> None:
    alice, bob = dialer(dial=9), acceptor()
    who = proven(alice, bob)
    assert who.connection == alice.connection == ConnectionID(ALICE_RUN, 9)
    assert who.incarnation == ALICE_RUN
    assert alice.peer_incarnation == BOB_RUN


@pytest.mark.parametrize("known", [None, ConnectionID(BOB_RUN, 2**64 - 1)])
def test_the_acceptor_learns_what_the_dialer_had_accepted(known: ConnectionID | None) -> None:
    assert proven(dialer(accepted=known), acceptor()).accepted == known


def test_each_side_learns_which_adverts_the_other_has() -> None:
    alice, bob = dialer(adverts=(3, 4)), acceptor(adverts=(5, 6))
    ok = replied(alice, bob)
    who = bob.proof(body(alice.prove(epoch=1, permanent=False)))
    assert (ok.advert_mine, ok.advert_yours) == (5, 6)
    assert (who.advert_mine, who.advert_yours) == (3, 4)


@pytest.mark.parametrize(("ours", "theirs"), [(131_072, 1 << 20), (1 << 20, 131_072), (131_072, 131_072)])
def test_the_smaller_wish_is_the_largest_frame(ours: int, theirs: int) -> None:
    alice, bob = dialer(max_frame=ours), acceptor(max_frame=theirs)
    assert proven(alice, bob).max_frame == alice.max_frame == 131_072


@pytest.mark.parametrize(
    ("ours", "theirs", "chosen"), [((1, 1), (1, 3), 1), ((1, 3), (2, 5), 3), ((2, 4), (4, 4), 4), ((1, 9), (1, 9), 9)]
)
def test_the_highest_common_version_is_chosen(ours: tuple[int, int], theirs: tuple[int, int], chosen: int) -> None:
    alice, bob = dialer(versions=ours), acceptor(versions=theirs)
    assert proven(alice, bob).version == alice.version == chosen


@pytest.mark.parametrize(("ours", "theirs"), [((1, 2), (3, 4)), ((3, 4), (1, 2))])
def test_without_a_common_version_the_acceptor_hints_its_range(ours: tuple[int, int], theirs: tuple[int, int]) -> None:
    alice, bob = dialer(versions=ours), acceptor(versions=theirs)
    hint, go_on = bob.request(body(alice.request()))
    assert not go_on
    assert record(hint) == Incompatible(*theirs)
    with pytest.raises(HandshakeFailed) as caught:
        alice.reply(body(hint))
    assert (caught.value.reason, caught.value.signed) == ("incompatible", False)


def test_a_request_for_another_node_is_turned_down_without_a_signature() -> None:
    hint, go_on = acceptor(key=ALICE).request(body(dialer(dst=BOB.id).request()))
    assert not go_on
    assert record(hint) == Denied("wrong_node")


def test_a_node_that_dials_itself_is_told_so() -> None:
    hint, go_on = acceptor(key=ALICE).request(body(dialer(dst=ALICE.id).request()))
    assert not go_on
    assert record(hint) == Denied("self")


@pytest.mark.parametrize("kind", [1, 2, 3])
def test_a_channel_with_a_certificate_works_when_both_see_the_same_one(kind: int) -> None:
    channel = (kind, b"\x42" * 32)
    who, _ = accepted(dialer(channel=channel), acceptor(channel=channel))
    assert who.peer == ALICE.id


@pytest.mark.parametrize(("kind", "digest"), [(0, b"x" * 32), (1, b""), (2, b"x" * 31), (4, b"x" * 32), (-1, b"")])
def test_a_channel_whose_kind_and_digest_do_not_fit_is_a_mistake_of_the_caller(kind: int, digest: bytes) -> None:
    with pytest.raises(ValueError, match="channel"):
        Channel(kind, digest)


@pytest.mark.parametrize("nonce", [b"", b"n" * 31, b"n" * 33])
def test_a_nonce_has_32_bytes(nonce: bytes) -> None:
    with pytest.raises(ValueError, match="nonce"):
        dialer(nonce=nonce)
    with pytest.raises(ValueError, match="nonce"):
        acceptor(nonce=nonce)


def test_a_hint_ends_the_attempt_and_is_known_as_unsigned() -> None:
    alice = dialer()
    alice.request()
    with pytest.raises(HandshakeFailed) as caught:
        alice.reply(body(wire.encode(Denied("policy"))))
    assert (caught.value.reason, caught.value.signed, caught.value.retry_after) == ("policy", False, 0.0)


@pytest.mark.parametrize(("said", "believed"), [(4.0, 4.0), (1e9, 30.0), (0.0, 0.0)])
def test_an_unsigned_retry_after_is_capped_at_the_backoff_cap(said: float, believed: float) -> None:
    alice = dialer()
    alice.request()
    with pytest.raises(HandshakeFailed) as caught:
        alice.reply(body(wire.encode(OverCapacity(said))))
    assert (caught.value.reason, caught.value.retry_after) == ("over_capacity", believed)


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0, -math.inf])
def test_a_retry_after_that_is_no_time_is_a_protocol_error(seconds: float) -> None:
    alice = dialer()
    alice.request()
    with pytest.raises(ProtocolError):
        alice.reply(body(wire.encode(OverCapacity(seconds))))
    alice, bob = dialer(), acceptor()
    proven(alice, bob)
    with pytest.raises(ProtocolError):
        alice.verdict(body(bob.refuse("over_capacity", seconds)))


@pytest.mark.parametrize(("said", "believed"), [(400.0, 400.0), (1e9, 600.0)])
def test_a_refusal_in_the_peers_own_hand_may_hold_up_for_longer(said: float, believed: float) -> None:
    alice, bob = dialer(), acceptor()
    proven(alice, bob)
    with pytest.raises(HandshakeFailed) as caught:
        alice.verdict(body(bob.refuse("over_capacity", said)))
    assert (caught.value.reason, caught.value.signed, caught.value.retry_after) == ("over_capacity", True, believed)


def test_the_caps_are_a_setting() -> None:
    alice = dialer(retry_caps=(1.0, 2.0))
    alice.request()
    with pytest.raises(HandshakeFailed) as caught:
        alice.reply(body(wire.encode(OverCapacity(9.0))))
    assert caught.value.retry_after == 1.0
    alice, bob = dialer(retry_caps=(1.0, 2.0)), acceptor()
    proven(alice, bob)
    with pytest.raises(HandshakeFailed) as caught:
        alice.verdict(body(bob.refuse("over_capacity", 9.0)))
    assert caught.value.retry_after == 2.0


def test_a_stale_incarnation_is_told_the_newest() -> None:
    alice, bob = dialer(), acceptor()
    proven(alice, bob)
    newest = Incarnation(ALICE_RUN.boot + 1, 5)
    with pytest.raises(HandshakeFailed) as caught:
        alice.verdict(body(bob.refuse("stale_incarnation", newest=newest)))
    assert caught.value.signed
    assert caught.value.newest == newest


@pytest.mark.parametrize("range_", [(2, 1), (9, 0)])
def test_a_version_range_that_ends_before_it_begins_is_a_protocol_error(range_: tuple[int, int]) -> None:
    with pytest.raises(ProtocolError):
        acceptor().request(body(dialer(versions=range_).request()))


@pytest.mark.parametrize("most", [0, 8191, 1 << 32])
def test_a_largest_frame_that_is_no_use_is_a_protocol_error(most: int) -> None:
    with pytest.raises(ProtocolError):
        acceptor().request(body(dialer(max_frame=most).request()))
    alice = dialer()
    reply, _ = acceptor(max_frame=most).request(body(alice.request()))
    with pytest.raises(ProtocolError):
        alice.reply(body(reply))


@pytest.mark.parametrize("wrong", [wire.encode(Ping(1))[4:], b"\x30\x91\xc4\x00", b"\x01", b"", b"\x81"])
def test_a_frame_that_is_not_due_is_a_protocol_error_at_each_step(wrong: bytes) -> None:
    with pytest.raises(ProtocolError):
        acceptor().request(wrong)
    alice = dialer()
    alice.request()
    with pytest.raises(ProtocolError):
        alice.reply(wrong)
    alice, bob = dialer(), acceptor()
    replied(alice, bob)
    with pytest.raises(ProtocolError):
        bob.proof(wrong)
    alice.prove(epoch=1, permanent=True)
    with pytest.raises(ProtocolError):
        alice.verdict(wrong)


def test_the_frames_of_a_handshake_fit_into_the_limit_before_the_proof() -> None:
    far = Incarnation(2**64 - 1, 2**64 - 1)
    alice = dialer(incarnation=far, accepted=ConnectionID(far, 2**64 - 1), adverts=(2**64 - 1, 2**64 - 1))
    assert len(alice.request()) < 256


def test_a_step_out_of_turn_is_a_mistake_of_the_caller() -> None:
    alice, bob = dialer(), acceptor()
    out_of_turn: list[Callable[[], object]] = [
        lambda: alice.reply(b""),
        lambda: alice.prove(epoch=1, permanent=True),
        lambda: alice.verdict(b""),
        lambda: bob.proof(b""),
        lambda: bob.accept(epoch=1, permanent=True),
        lambda: bob.refuse("policy"),
    ]
    for step in out_of_turn:
        with pytest.raises(RuntimeError, match="is FRESH"):
            step()


def test_nobody_is_asked_twice() -> None:
    alice, bob = dialer(), acceptor()
    accepted(alice, bob)
    again_and_again: list[Callable[[], object]] = [alice.request, lambda: bob.refuse("policy")]
    for again in again_and_again:
        with pytest.raises(RuntimeError):
            again()


def test_a_failed_step_leaves_nothing_to_go_on_with() -> None:
    alice, bob = dialer(), acceptor()
    replied(alice, bob)
    with pytest.raises(HandshakeFailed, match="bad_proof"):
        bob.proof(body(wire.encode(Proof(1, True, bytes(64)))))
    with pytest.raises(RuntimeError):
        bob.accept(epoch=1, permanent=True)


def test_a_frame_may_be_overwritten_once_it_was_handed_over() -> None:
    alice, bob = dialer(), acceptor()
    buffer = bytearray(body(alice.request()))
    reply, _ = bob.request(memoryview(buffer))
    buffer[:] = bytes(len(buffer))
    buffer = bytearray(body(reply))
    alice.reply(memoryview(buffer))
    buffer[:] = bytes(len(buffer))
    assert bob.proof(body(alice.prove(epoch=1, permanent=True))).peer == ALICE.id


FIRST_BYTES = st.sampled_from([b"", *(bytes([number]) for number in (*range(0x81, 0x86), 0x30, 0xA0, 0xFF))])


@given(FIRST_BYTES, st.binary(max_size=200))
def test_garbage_is_a_protocol_error_or_a_failed_handshake_and_nothing_else(first: bytes, rest: bytes) -> None:
    garbage = first + rest
    with pytest.raises(ProtocolError):
        acceptor().request(garbage)
    alice, bob = dialer(), acceptor()
    bob.request(body(alice.request()))
    with pytest.raises(ProtocolError):
        bob.proof(garbage)
    with pytest.raises((ProtocolError, HandshakeFailed)):
        alice.reply(garbage)


def frames_of_a_handshake() -> list[Frame]:
    alice, bob = dialer(), acceptor()
    request = alice.request()
    reply, _ = bob.request(body(request))
    alice.reply(body(reply))
    proof = alice.prove(epoch=1, permanent=True)
    return [record(frame) for frame in (request, reply, proof)]


def test_no_application_word_crosses_before_the_proof() -> None:
    kinds = [type(frame).__name__ for frame in frames_of_a_handshake()]
    assert kinds == ["ConnectRequest", "ConnectOk", "Proof"]
    request = frames_of_a_handshake()[0]
    assert isinstance(request, ConnectRequest)
    assert (request.src, request.dst) == (ALICE.id, BOB.id)
