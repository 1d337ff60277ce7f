"""Who is who: which 32 bytes name a node, how they read, and what a key never shows (PROTOCOL H6)."""

from __future__ import annotations

import base64
import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import IdentityError
from actors.identity import EngineID, Incarnation, NodeID, NodeKey

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
SIGN = 1 << 255
ORDER_8 = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")

SMALL_ORDER = [0, SIGN, 1, P - 1, ORDER_8, ORDER_8 + SIGN, P - ORDER_8, P - ORDER_8 + SIGN]
"""All eight points whose order divides 8, by y and the sign of x."""
NOT_CANONICAL = [P, P + SIGN, P + 1, P + 1 + SIGN, P + 18, 1 + SIGN, P - 1 + SIGN, 2**255 - 1, 2**256 - 1]
"""y of p or more, or the sign of an x that is 0."""

SEED = bytes(range(32))
KEY = NodeKey.from_seed(SEED)


def raw(encoded: int) -> bytes:
    return encoded.to_bytes(32, "little")


def decompressed(encoded: int) -> tuple[int, int] | None:
    """The point by RFC 8032, section 5.1.3, or None."""
    y, sign = encoded & (SIGN - 1), encoded >> 255
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or x * x % P != square or (x == 0 and sign):
        return None
    return (P - x if x % 2 != sign else x), y


def doubled(point: tuple[int, int]) -> tuple[int, int]:
    x, y = point
    t = D * x * x * y * y
    return 2 * x * y * pow(1 + t, -1, P) % P, (y * y + x * x) * pow(1 - t, -1, P) % P


def names_a_node(encoded: int) -> bool:
    point = decompressed(encoded)
    return point is not None and doubled(doubled(doubled(point))) != (0, 1)


@pytest.mark.parametrize("encoded", SMALL_ORDER, ids=hex)
def test_a_point_of_small_order_is_no_nodeid(encoded: int) -> None:
    point = decompressed(encoded)
    assert point is not None
    assert doubled(doubled(doubled(point))) == (0, 1)
    with pytest.raises(IdentityError, match="small order"):
        NodeID(raw(encoded))


@pytest.mark.parametrize("encoded", NOT_CANONICAL, ids=hex)
def test_an_encoding_that_is_not_canonical_is_no_nodeid(encoded: int) -> None:
    with pytest.raises(IdentityError, match="not the canonical encoding"):
        NodeID(raw(encoded))


def test_what_is_no_point_of_the_curve_is_no_nodeid() -> None:
    assert decompressed(2) is None
    with pytest.raises(IdentityError, match="not a point"):
        NodeID(raw(2))


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_nodeid_has_32_bytes(size: int) -> None:
    with pytest.raises(IdentityError, match="32 bytes"):
        NodeID(bytes(size))


@given(st.binary(min_size=32, max_size=32))
def test_any_32_bytes_are_a_nodeid_exactly_if_the_definition_says_so(some: bytes) -> None:
    expected = names_a_node(int.from_bytes(some, "little"))
    try:
        NodeID(some)
    except IdentityError:
        assert not expected
    else:
        assert expected


@given(st.binary(min_size=32, max_size=32))
def test_the_public_half_of_any_key_is_a_nodeid_and_survives_its_text(seed: bytes) -> None:
    node = NodeKey.from_seed(seed).id
    assert NodeID(bytes(node)) == node
    assert NodeID.parse(str(node)) == node


def test_the_text_form_is_lower_case_base32_without_padding() -> None:
    assert str(KEY.id) == base64.b32encode(bytes(KEY.id)).decode().lower().rstrip("=")
    assert len(str(KEY.id)) == 52


@pytest.mark.parametrize(
    "change",
    [
        str.upper,
        lambda text: text + "====",
        lambda text: " " + text,
        lambda text: text + "\n",
        lambda text: text[:-1],
        lambda text: text + "a",
        lambda text: text[:-1] + chr(ord(text[-1]) + 1),
        lambda text: "\u017f" + text[1:],
        lambda _: "",
        lambda _: "not a node!",
        lambda _: "node",
    ],
)
def test_a_text_that_is_not_exactly_the_text_of_a_node_is_refused(change: object) -> None:
    assert callable(change)
    with pytest.raises(IdentityError):
        NodeID.parse(change(str(KEY.id)))


def test_nodes_are_ordered_by_their_bytes() -> None:
    nodes = [NodeKey.from_seed(bytes([number]) * 32).id for number in range(8)]
    assert sorted(nodes) == [NodeID(some) for some in sorted(map(bytes, nodes))]


def test_the_short_form_is_for_people() -> None:
    assert str(KEY.id).startswith(KEY.id.short)
    assert KEY.id.short in repr(KEY.id)
    assert str(KEY.id) not in repr(KEY.id)


def test_a_signature_verifies_for_its_key_and_its_bytes_only() -> None:
    signature = KEY.sign(b"words")
    assert KEY.id.verify(signature, b"words")
    assert not KEY.id.verify(signature, b"other words")
    assert not NodeKey.generate().id.verify(signature, b"words")


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65), b"\xff" * 64])
def test_bytes_that_are_no_signature_do_not_verify(signature: bytes) -> None:
    assert not KEY.id.verify(signature, b"words")


def test_a_key_is_its_seed() -> None:
    assert KEY.seed() == SEED
    assert NodeKey.from_seed(KEY.seed()).id == KEY.id
    assert NodeKey.generate().id != NodeKey.generate().id


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_seed_has_32_bytes(size: int) -> None:
    with pytest.raises(IdentityError, match="32 secret bytes"):
        NodeKey.from_seed(bytes(size))


def test_no_form_of_a_key_shows_its_secret() -> None:
    secrets = (SEED.hex(), repr(SEED)[2:-1], base64.b64encode(SEED).decode(), base64.b32encode(SEED).decode().lower())
    for shown in (repr(KEY), str(KEY), f"{KEY}", f"{[KEY]}", f"{KEY!a}"):
        assert "NodeKey(of " in shown
        assert not any(secret in shown for secret in secrets)


def test_an_error_about_a_seed_does_not_quote_it() -> None:
    with pytest.raises(IdentityError) as caught:
        NodeKey.from_seed(SEED + b"more")
    assert SEED.hex() not in str(caught.value)
    assert repr(SEED)[2:-1] not in str(caught.value)


def test_a_copy_of_a_nodeid_is_one() -> None:
    assert type(copy.deepcopy(KEY.id)) is NodeID
    assert NodeID(KEY.id) == KEY.id


def test_an_engine_is_shown_with_its_node_or_without() -> None:
    assert str(EngineID(None, "counter")) == "/counter"
    assert str(EngineID(KEY.id, "counter")) == f"{KEY.id.short}/counter"


def test_incarnations_are_ordered_by_boot_number() -> None:
    assert Incarnation(1, 99) < Incarnation(2, 0)
    assert Incarnation(1, 1) != Incarnation(1, 2)
