"""The Router's book of peers: incarnations, dial numbers, and who may be forgotten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import ConfigError
from actors.identity import Incarnation, NodeID, NodeKey
from actors.net.messages import ConnectionID
from actors.net.peers import PROBES, Judgement, PeerRecord, Peers, PeersFull


class Half:
    """A receive half, as far as the book cares."""

    def __init__(self, *, disposable: bool = True) -> None:
        self.disposable = disposable
        self.released = False

    def release(self) -> None:
        self.released = True


NODES = [NodeKey.from_seed(bytes([number]) * 32).id for number in range(100)]
ALICE, BOB, CAROL, DAVE = NODES[:4]


def record_of(*incarnations: Incarnation) -> PeerRecord[Half]:
    record = PeerRecord[Half](ALICE)
    for incarnation in incarnations:
        record.prove(incarnation)
    return record


# -- incarnations -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("incarnation", "judgement"),
    [
        (Incarnation(5, 7), Judgement.SAME),
        (Incarnation(6, 0), Judgement.NEWER),
        (Incarnation(4, 9), Judgement.STALE),
        (Incarnation(5, 6), Judgement.TWIN),
        (Incarnation(5, 8), Judgement.TWIN),
    ],
)
def test_an_incarnation_is_judged_by_its_boot_number_and_twins_by_the_random_half(
    incarnation: Incarnation, judgement: Judgement
) -> None:
    record = record_of(Incarnation(5, 7))
    assert record.judge(incarnation) is judgement
    assert record.incarnation == Incarnation(5, 7), "judging changes nothing"


def test_the_first_incarnation_is_nobodys_restart() -> None:
    record = record_of()
    assert record.prove(Incarnation(5, 7)) is Judgement.FIRST
    assert record.incarnation == Incarnation(5, 7)
    assert record.counters.restarts == 0


def test_a_newer_incarnation_takes_over_and_the_dials_of_the_old_one_are_forgotten() -> None:
    record = record_of(Incarnation(5, 7))
    record.accept(ConnectionID(Incarnation(5, 7), 3))
    record.receive = half = Half()
    assert record.prove(Incarnation(6, 1)) is Judgement.NEWER
    assert (record.incarnation, record.accepted) == (Incarnation(6, 1), ConnectionID(Incarnation(6, 1), 0))
    assert record.receive is half, "the session replaces it, for mailboxes still hold what it let in"
    assert record.counters.restarts == 1


@pytest.mark.parametrize("other", [Incarnation(4, 9), Incarnation(5, 8)])
def test_a_stale_incarnation_or_a_twin_changes_nothing_and_is_counted(other: Incarnation) -> None:
    record = record_of(Incarnation(5, 7))
    record.accept(ConnectionID(Incarnation(5, 7), 3))
    record.prove(other)
    assert (record.incarnation, record.accepted) == (Incarnation(5, 7), ConnectionID(Incarnation(5, 7), 3))
    assert record.counters.refused == 1
    assert record.counters.twins == (other.boot == 5)


def test_the_greatest_accepted_dial_never_shrinks_and_belongs_to_the_newest_incarnation() -> None:
    record = record_of(Incarnation(5, 7))
    for number in (2, 4, 3):
        record.accept(ConnectionID(Incarnation(5, 7), number))
    record.accept(ConnectionID(Incarnation(6, 0), 9))
    assert record.accepted == ConnectionID(Incarnation(5, 7), 4)


# -- dial numbers -----------------------------------------------------------------------------------------


def test_dial_numbers_grow() -> None:
    record = record_of()
    assert [record.next_dial() for _ in range(3)] == [1, 2, 3]
    assert (record.dials, record.counters.dials) == (3, 3)


def test_dial_numbers_go_on_growing_for_a_peer_that_was_forgotten() -> None:
    peers = Peers[Half](1)
    for _ in range(5):
        peers.open(ALICE).next_dial()
    peers.open(BOB)
    assert peers.open(ALICE).next_dial() > 5


# -- who is forgotten -------------------------------------------------------------------------------------


def test_opening_twice_gives_the_same_record() -> None:
    peers = Peers[Half]()
    assert peers.open(ALICE) is peers.open(ALICE) is peers.find(ALICE)
    assert peers.find(BOB) is None
    assert len(peers) == 1


def test_the_peer_used_least_recently_is_forgotten() -> None:
    peers = Peers[Half](2)
    peers.open(ALICE)
    peers.open(BOB)
    peers.open(ALICE)
    peers.open(CAROL)
    assert ALICE in peers
    assert BOB not in peers
    assert peers.evicted == 1


def test_finding_is_not_using() -> None:
    peers = Peers[Half](2)
    peers.open(ALICE)
    peers.open(BOB)
    peers.find(ALICE)
    peers.open(CAROL)
    assert ALICE not in peers


def keep_by_end(record: PeerRecord[Half]) -> None:
    record.ends = 1


def keep_by_proxy(record: PeerRecord[Half]) -> None:
    record.proxied = True


def keep_by_holder(record: PeerRecord[Half]) -> None:
    record.holders.hold("configuration")


def keep_by_mailbox(record: PeerRecord[Half]) -> None:
    record.receive = Half(disposable=False)


@pytest.mark.parametrize("keep", [keep_by_end, keep_by_proxy, keep_by_holder, keep_by_mailbox])
def test_a_peer_in_use_is_never_forgotten(keep: object) -> None:
    assert callable(keep)
    peers = Peers[Half](2)
    keep(peers.open(ALICE))
    peers.open(BOB)
    peers.open(CAROL)
    assert ALICE in peers
    assert BOB not in peers
    keep(peers.open(CAROL))
    with pytest.raises(PeersFull):
        peers.open(DAVE)
    assert len(peers) == 2


def test_a_forgotten_receive_half_gives_its_room_back() -> None:
    peers = Peers[Half](1)
    peers.open(ALICE).receive = half = Half()
    peers.open(BOB)
    assert half.released


def test_a_full_book_is_searched_a_little_at_a_time_and_still_finds_who_may_go() -> None:
    peers = Peers[Half](PROBES + 10)
    for node in NODES[: PROBES + 10]:
        peers.open(node).ends = 1
    idle = peers.find(NODES[PROBES + 5])
    assert idle is not None
    idle.ends = 0
    with pytest.raises(PeersFull):
        peers.open(NODES[-1])
    peers.open(NODES[-1])
    assert idle.id not in peers


def test_a_book_for_nobody_is_refused() -> None:
    with pytest.raises(ConfigError):
        Peers[Half](0)


@given(
    st.lists(st.tuples(st.sampled_from(NODES[:8]), st.sampled_from(("open", "connect", "lose", "dial"))), max_size=80)
)
def test_the_book_stays_within_its_bound_and_keeps_whoever_is_in_use(ops: list[tuple[NodeID, str]]) -> None:
    peers, last = Peers[Half](4), dict.fromkeys(NODES, 0)
    for node, op in ops:
        in_use = {record.id for record in peers if record.in_use}
        try:
            record = peers.open(node)
        except PeersFull:
            assert len(in_use) == 4
            assert node not in in_use
            continue
        assert in_use <= {record.id for record in peers}
        assert len(peers) <= 4
        match op:
            case "connect":
                record.ends = 1
            case "lose":
                record.ends = 0
            case "dial":
                number = record.next_dial()
                assert number > last[node]
                last[node] = number


# -- what it says of itself -------------------------------------------------------------------------------


def test_a_record_knows_the_advert_version_and_says_who_it_is() -> None:
    record = record_of()
    assert (record.advert_version, record.own_advert_version) == (0, 0)
    assert record.history.free_at(5) == 5
    record.holders.hold("console")
    assert repr(record) == f"PeerRecord({ALICE.short}…, ends=0, dials=0, Holders(console))"
