"""A node's signed word on where it can be reached: its limits, its text, and what becomes of it (PROTOCOL A)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import msgpack

from actors.identity import NodeID, NodeKey
from actors.net import wire
from actors.net.messages import AdvertAccepted, AdvertContent, AdvertInvalid, AdvertStale, WeightedAddress
from actors.net.proving.adverts import (
    DOMAIN,
    MAX_BYTES,
    AdvertError,
    Decision,
    NodeAdvert,
    consider,
    judge,
    next_version,
)

ALICE = NodeKey.from_seed(b"a" * 32)
BOB = NodeKey.from_seed(b"b" * 32)
HERE = ("tcp://192.0.2.7:4000", 10)


def advert(version: int = 1, *addresses: tuple[str, int], key: NodeKey = ALICE, created: int = 1_700) -> NodeAdvert:
    return NodeAdvert.sign(key, addresses or (HERE,), version=version, created=created)


def forged(content: AdvertContent, key: NodeKey = ALICE) -> bytes:
    """The bytes of any content, however wrong, signed."""
    draft = wire.encode_body(content)
    return wire.signed(draft, key.sign(DOMAIN + wire.unsigned(draft)))


def content(*addresses: WeightedAddress, version: int = 1, node: NodeID = ALICE.id) -> AdvertContent:
    return AdvertContent(node, list(addresses), version, 1_700, wire.UNSIGNED)


def reason(data: bytes) -> str:
    with pytest.raises(AdvertError) as caught:
        NodeAdvert.read(data)
    return caught.value.reason


def test_an_advert_says_what_was_signed() -> None:
    signed = advert(3, HERE, ("wss://node.example:443/actors", 0))
    read = NodeAdvert.read(signed.data)
    assert read == signed
    assert (read.id, read.version, read.created) == (ALICE.id, 3, 1_700)
    assert [(address.url, address.weight) for address in read.addresses] == [HERE, ("wss://node.example:443/actors", 0)]


def test_an_advert_is_one_line_of_text() -> None:
    signed = advert()
    text = str(signed)
    assert text.startswith("advert1:")
    assert text == text.strip()
    assert all(character.isalnum() or character in "-_:" for character in text)
    assert NodeAdvert.parse(text) == signed
    assert NodeAdvert.parse(f"\n  {text} \n") == signed


@pytest.mark.parametrize(
    "text", ["", "advert1:", "advert2:AAAA", "advert1:%%%%", "advert1:A", "advert1:AAAA", "advert1:é", "node"]
)
def test_text_that_is_no_advert_is_refused(text: str) -> None:
    with pytest.raises(AdvertError) as caught:
        NodeAdvert.parse(text)
    assert caught.value.reason == "malformed"


@pytest.mark.parametrize("stray", ["%", "\n", " ", "+", "/", "="])
def test_a_stray_character_within_the_text_is_not_passed_over(stray: str) -> None:
    text = str(advert())
    with pytest.raises(AdvertError):
        NodeAdvert.parse(text[:20] + stray + text[20:])


def test_the_repr_is_for_people() -> None:
    assert repr(advert(7)) == f"NodeAdvert({ALICE.id.short}… version 7: {HERE[0]})"


def test_no_flipped_bit_goes_unnoticed() -> None:
    data = advert().data
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert reason(bytes(flipped)) in ("malformed", "bad_signature")


def test_somebody_else_cannot_sign_for_a_node() -> None:
    assert reason(forged(content(), key=BOB)) == "bad_signature"


def test_a_signature_without_the_domain_of_adverts_is_none() -> None:
    draft = wire.encode_body(content())
    for domain in (b"", b"trio-actors/1 connect\0"):
        assert reason(wire.signed(draft, ALICE.sign(domain + wire.unsigned(draft)))) == "bad_signature"


@pytest.mark.parametrize("size", [0, 1, 65, 66, 200, MAX_BYTES])
def test_bytes_of_any_length_that_are_no_advert_are_malformed(size: int) -> None:
    assert reason(bytes(size)) == "malformed"


@given(st.binary(max_size=300))
def test_garbage_is_an_advert_error_and_nothing_else(data: bytes) -> None:
    assert reason(data) == "malformed"


def test_an_advert_has_at_most_sixteen_addresses() -> None:
    many = [(f"tcp://192.0.2.{number}:1", number) for number in range(17)]
    assert len(advert(1, *many[:16]).addresses) == 16
    with pytest.raises(AdvertError):
        advert(1, *many)


def test_an_advert_has_at_most_4096_bytes() -> None:
    long = "a" * 240
    assert len(advert(1, *((f"tcp://{number:x}{long}", 1) for number in range(15))).data) < MAX_BYTES
    assert reason(forged(content(*(WeightedAddress("tcp://" + "a" * 300, 1) for _ in range(16))))) == "too_large"


def test_a_node_may_have_no_address_at_all() -> None:
    assert NodeAdvert.sign(ALICE, [], version=1, created=0).addresses == ()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "tcp://",
        "192.0.2.7:4000",
        "TCP://192.0.2.7:4000",
        "tcp:192.0.2.7",
        "tcp://192.0.2.7:4000\n",
        "tcp://a b:1",
        "tcp://\x1b[2J:1",
        "tcp://\uff11\uff12\uff17.0.0.1:1",
        "tcp://" + "a" * 250,
    ],
)
def test_an_address_is_a_url_in_printable_ascii(url: str) -> None:
    with pytest.raises(AdvertError):
        advert(1, (url, 1))


@pytest.mark.parametrize("weight", [-1, 0x10000])
def test_a_weight_has_16_bits(weight: int) -> None:
    with pytest.raises(AdvertError):
        advert(1, ("tcp://192.0.2.7:4000", weight))


@pytest.mark.parametrize("version", [0, -1])
def test_versions_begin_with_one(version: int) -> None:
    with pytest.raises(AdvertError):
        advert(version)


def test_an_advert_of_a_malformed_nodeid_is_refused() -> None:
    fields = msgpack.decode(wire.encode_body(content()))
    fields[0] = b"\x01" + bytes(31)
    assert reason(msgpack.encode(fields)) == "malformed"


def test_a_field_too_many_is_refused() -> None:
    fields = msgpack.decode(wire.encode_body(content()))
    draft = msgpack.encode([*fields[:-1], 1, wire.UNSIGNED])
    assert reason(wire.signed(draft, ALICE.sign(DOMAIN + wire.unsigned(draft)))) == "malformed"


# -- what becomes of it ------------------------------------------------------------------------------------


def test_the_first_advert_of_a_node_and_every_newer_one_is_accepted() -> None:
    assert judge(advert(1), None) is Decision.ACCEPTED
    assert judge(advert(9), advert(8)) is Decision.ACCEPTED


def test_the_same_bytes_again_are_known() -> None:
    assert judge(advert(4), advert(4)) is Decision.KNOWN


def test_an_older_advert_never_comes_back() -> None:
    judged = consider(advert(3).data, lambda _: advert(4))
    assert judged.decision is Decision.STALE
    assert judged.reply == AdvertStale(advert(4).data)


def test_the_same_version_with_other_bytes_is_an_equivocation_and_the_first_is_kept() -> None:
    first, second = advert(4), advert(4, created=1_701)
    judged = consider(second.data, lambda _: first)
    assert judged.decision is Decision.EQUIVOCATION
    assert judged.advert == second
    assert judged.reply == AdvertStale(first.data)


def test_an_advert_is_judged_against_that_of_its_own_node() -> None:
    kept = {BOB.id: advert(9, key=BOB)}
    judged = consider(advert(1).data, kept.get)
    assert judged.decision is Decision.ACCEPTED
    assert judged.advert == advert(1)
    assert judged.reply == AdvertAccepted(1)


def test_a_known_advert_is_answered_like_an_accepted_one() -> None:
    judged = consider(advert(4).data, lambda _: advert(4))
    assert (judged.decision, judged.reply) == (Decision.KNOWN, AdvertAccepted(4))


def test_what_is_no_advert_is_invalid_and_nobody_is_asked_about_it() -> None:
    def nobody(_: NodeID) -> None:
        raise AssertionError

    judged = consider(b"garbage", nobody)
    assert (judged.decision, judged.advert, judged.reply) == (Decision.INVALID, None, AdvertInvalid("malformed"))
    judged = consider(forged(content(), key=BOB), nobody)
    assert judged.reply == AdvertInvalid("bad_signature")


def test_a_node_that_lost_its_state_continues_from_the_version_that_a_peer_kept() -> None:
    assert next_version(advert(1), advert(40).data) == 41


def test_a_node_that_signed_the_same_version_again_goes_past_it() -> None:
    assert next_version(advert(1, created=2), advert(1, created=1).data) == 2


@pytest.mark.parametrize(
    "have",
    [
        pytest.param(advert(4).data, id="older than ours"),
        pytest.param(advert(5).data, id="ours"),
        pytest.param(advert(9, key=BOB).data, id="another node's"),
        pytest.param(forged(content(version=9), key=BOB), id="not signed by us"),
        pytest.param(b"garbage", id="garbage"),
    ],
)
def test_a_peer_cannot_make_a_node_skip_versions(have: bytes) -> None:
    assert next_version(advert(5), have) is None
