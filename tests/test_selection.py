"""Which addresses are dialed, in which order and when; and what a node remembers of its dials."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.errors import ConfigError
from actors.net.connecting.history import COOLING, COOLING_CAP, KEPT, DialHistory
from actors.net.connecting.selection import Attempt, DialPrefs, Offer, explain, rank, stages
from transports.addresses import TransportAddress, parse_address

TLS, QUIC, WSS = "tls://peer.example:1", "quic://peer.example:2", "wss://peer.example:3"
TCP, WS, UDP = "tcp://peer.example:4", "ws://peer.example:5", "udp://peer.example:6"
HERE = "tcp://127.0.0.1:4000"
MEMORY = "memory://peer"
INSECURE = DialPrefs(insecure=True)


def offers(*urls: str, trusted: bool = False) -> list[Offer[TransportAddress]]:
    return [Offer(parse_address(url), trusted=trusted) for url in urls]


def weighted(**weights: float) -> list[Offer[TransportAddress]]:
    return [Offer(parse_address(f"{scheme}://peer.example:1"), weight) for scheme, weight in weights.items()]


def order(
    offered: list[Offer[TransportAddress]],
    prefs: DialPrefs | None = None,
    history: DialHistory | None = None,
    now: float = 0,
) -> list[str]:
    return [str(attempt.address) for attempt in rank(offered, prefs or DialPrefs(), history or DialHistory(), now=now)]


def delays(offered: list[Offer[TransportAddress]], history: DialHistory, *, now: float) -> list[float]:
    return [attempt.delay for attempt in rank(offered, INSECURE, history, now=now)]


def why(offered: list[Offer[TransportAddress]], prefs: DialPrefs | None = None) -> dict[str, str]:
    return {str(c.address): c.why for c in explain(offered, prefs or DialPrefs(), DialHistory(), now=0)}


# -- what may be dialed -----------------------------------------------------------------------------------


def test_a_race_never_mixes_plain_and_secure() -> None:
    assert order(offers(TCP, TLS, WS, QUIC, HERE, trusted=True)) == [QUIC, TLS]
    assert why(offers(TCP, TLS))[TCP] == "plain, and the peer has a secure address"


def test_a_secure_address_that_we_cannot_dial_still_bars_the_plain_ones() -> None:
    assert order(offers(TCP, QUIC), DialPrefs(only=frozenset({"tcp"}))) == []


def test_plain_addresses_are_for_this_machine() -> None:
    assert order(offers(TCP, WS)) == []
    assert order(offers(HERE, trusted=True)) == [HERE]
    assert why(offers(TCP))[TCP] == "plain, off this machine, and insecure is not set"


def test_insecure_admits_plain_addresses_of_a_peer_that_has_no_others() -> None:
    assert order(offers(TCP), INSECURE) == [TCP]
    assert order(offers(TCP, TLS, WS), INSECURE) == [TLS]


def test_a_plain_transport_that_is_preferred_by_name_for_a_peer_is_its_last_resort() -> None:
    offered, prefs = offers(TCP, TLS, WS, QUIC), DialPrefs(insecure=True, schemes=("ws",), stagger=0.5, patience=4)
    schedule = rank(offered, prefs, DialHistory(), now=0)
    assert [(str(attempt.address), attempt.delay) for attempt in schedule] == [(QUIC, 0), (TLS, 0.5), (WS, 5)]
    assert [[str(attempt.address) for attempt in race] for race in stages(schedule)] == [[QUIC, TLS], [WS]]
    assert order(offered, DialPrefs(schemes=("ws",))) == [QUIC, TLS]


def test_datagrams_carry_no_handshake() -> None:
    assert order(offers(UDP), INSECURE) == []


def test_a_scheme_without_a_transport_is_left_out() -> None:
    assert order(offers(TLS, QUIC), DialPrefs(only=frozenset({"tls"}))) == [TLS]
    assert why(offers(QUIC), DialPrefs(only=frozenset()))[QUIC] == "no transport for quic:// here"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.9.9.9",
        "[::1]",
        "localhost",
        "db.localhost",
        "169.254.1.1",
        "[fe80::1%eth0]",
        "0.0.0.0",
        "[::]",
    ],
)
def test_a_stranger_does_not_make_us_knock_at_our_own_services(host: str) -> None:
    url = f"tls://{host}:22"
    assert order(offers(url), INSECURE) == []
    assert why(offers(url))[url] == "a local address, learned from afar"
    assert order(offers(url, trusted=True)) == [url]


def test_a_memory_address_is_neither_plain_nor_secure() -> None:
    assert order(offers(MEMORY)) == [MEMORY]
    assert set(order(offers(MEMORY, TLS))) == {MEMORY, TLS}
    assert order(offers(MEMORY, TCP)) == [MEMORY]


# -- in which order ---------------------------------------------------------------------------------------


def test_the_peers_weights_decide_among_equals() -> None:
    assert order(weighted(tls=1, quic=5, wss=3)) == [
        "quic://peer.example:1",
        "wss://peer.example:1",
        "tls://peer.example:1",
    ]


@pytest.mark.parametrize("weight", [0.0, -3.0, float("nan"), float("-inf")])
def test_a_weight_that_makes_no_sense_is_the_least(weight: float) -> None:
    assert order(weighted(tls=weight, wss=0.1))[0].startswith("wss")


def test_our_preferred_schemes_come_before_the_peers_weights() -> None:
    assert order(weighted(tls=9, quic=5, wss=1), DialPrefs(schemes=("wss", "quic")))[:2] == [
        "wss://peer.example:1",
        "quic://peer.example:1",
    ]


def test_the_nearer_of_two_measured_addresses_comes_first() -> None:
    history = DialHistory()
    history.proven(TLS, 0.2)
    history.proven(WSS, 0.01)
    assert order(offers(TLS, QUIC, WSS), history=history) == [WSS, QUIC, TLS], "unknown counts for 100 ms"


def test_a_failed_address_stands_behind_the_others_until_it_has_cooled_down() -> None:
    history = DialHistory()
    history.failed(QUIC, 0, "refused")
    offered = [Offer(parse_address(QUIC), 9.0), Offer(parse_address(TLS))]
    assert order(offered, history=history, now=COOLING - 1) == [TLS, QUIC]
    assert order(offered, history=history, now=COOLING) == [QUIC, TLS]


def test_the_last_address_is_dialed_however_often_it_failed() -> None:
    history = DialHistory()
    for _ in range(50):
        history.failed(TLS, 0, "refused")
    assert rank(offers(TLS), DialPrefs(), history, now=0) == (Attempt(parse_address(TLS), 0),)


def test_among_failing_addresses_the_one_that_failed_least_comes_first() -> None:
    history = DialHistory()
    for url in (QUIC, QUIC, TLS):
        history.failed(url, 0, "refused")
    assert order(offers(QUIC, TLS), history=history) == [TLS, QUIC]


def test_an_address_that_was_overtaken_is_remembered_as_a_black_hole() -> None:
    history = DialHistory()
    history.overtaken(QUIC, 0)
    assert order(offers(QUIC, TLS), history=history) == [TLS, QUIC]


def test_equal_addresses_are_dialed_in_one_fixed_order() -> None:
    assert order(offers(WSS, TLS, QUIC)) == order(offers(QUIC, WSS, TLS)) == sorted([WSS, TLS, QUIC])


# -- when -------------------------------------------------------------------------------------------------


def test_starts_are_staggered_and_three_to_a_second() -> None:
    urls = [f"tls://peer.example:{port}" for port in range(1, 8)]
    assert delays(offers(*urls), DialHistory(), now=10) == [0, 0.25, 0.5, 1.0, 1.25, 1.5, 2.0]


def test_the_dials_of_the_race_before_count() -> None:
    history = DialHistory()
    for at in (9.5, 9.6, 9.7):
        history.dialed(TLS, at)
    assert delays(offers(TLS, QUIC), history, now=10) == pytest.approx([0.5, 0.75])
    assert history.free_at(10) == 10.5
    assert history.free_at(11) == 11


@given(st.lists(st.floats(0, 5), max_size=12), st.integers(0, 16), st.floats(0, 0.5))
def test_no_four_dials_fall_into_one_second(gaps: list[float], count: int, stagger: float) -> None:
    history, now, starts = DialHistory(), 0.0, []
    for gap in gaps:
        now = history.free_at(now + gap)
        history.dialed(TLS, now)
        starts.append(now)
    planned = history.schedule(count, stagger, now=now)
    assert all(later - sooner >= stagger - 1e-9 for sooner, later in pairwise(planned))
    every = [*starts, *planned]
    assert all(later - sooner >= 1 - 1e-9 for sooner, later in zip(every, every[3:], strict=False))


def test_no_address_no_race() -> None:
    assert rank([], DialPrefs(), DialHistory(), now=0) == ()


def test_a_race_cannot_start_before_it_starts() -> None:
    with pytest.raises(ConfigError):
        DialPrefs(stagger=-0.1)


# -- why --------------------------------------------------------------------------------------------------


def test_every_choice_is_explained() -> None:
    history = DialHistory()
    history.proven(TLS, 0.02)
    history.failed(QUIC, 0, "connection refused")
    choices = explain(offers(QUIC, TLS, TCP), DialPrefs(schemes=("tls",)), history, now=5)
    assert [(str(choice.address), choice.delay, choice.why) for choice in choices] == [
        (TLS, 0, "preferred (tls), weight 1, round trip 20 ms"),
        (QUIC, 0.25, "failed 1x, cools down for 10 s more, weight 1, never measured"),
        (TCP, None, "plain, and the peer has a secure address"),
    ]
    assert choices[1].record.error == "connection refused"


urls = st.sampled_from([TLS, QUIC, WSS, TCP, WS, UDP, HERE, MEMORY])


@given(st.lists(urls, unique=True), st.booleans(), st.booleans(), st.lists(st.tuples(urls, st.booleans()), max_size=10))
def test_explaining_names_each_address_once_and_ranks_the_same(
    named: list[str], insecure: bool, trusted: bool, past: list[tuple[str, bool]]
) -> None:
    history = DialHistory()
    for url, good in past:
        if good:
            history.proven(url, 0.1)
        else:
            history.failed(url, 0, "refused")
    offered, prefs = offers(*named, trusted=trusted), DialPrefs(insecure=insecure)
    choices = explain(offered, prefs, history, now=1)
    assert sorted(str(choice.address) for choice in choices) == sorted(named)
    assert [(c.address, c.delay) for c in choices if c.delay is not None] == [
        (attempt.address, attempt.delay) for attempt in rank(offered, prefs, history, now=1)
    ]
    dialed = [choice.address for choice in choices if choice.delay is not None]
    plain = {address.secure for address in dialed if address.scheme != "memory"}
    assert len(plain) < 2 or insecure


# -- what is remembered -----------------------------------------------------------------------------------


def test_cooling_doubles_with_each_failure_up_to_ten_minutes() -> None:
    history = DialHistory()
    seen = []
    for _ in range(8):
        history.failed(TLS, 100, "refused")
        seen.append(history.record(TLS).cools_for(100))
    assert seen == [15, 30, 60, 120, 240, 480, 600, 600]
    assert COOLING_CAP == 600


def test_a_success_clears_the_failures() -> None:
    history = DialHistory()
    history.failed(TLS, 0, "refused")
    history.proven(TLS, 0.1)
    record = history.record(TLS)
    assert (record.failures, record.cools_for(0), record.error, record.proven) == (0, 0, "", 1)
    history.failed(TLS, 0, "refused")
    assert history.record(TLS).cools_for(0) == COOLING


def test_round_trips_are_smoothed_over_connections_and_pings() -> None:
    history = DialHistory()
    history.proven(TLS, 0.1)
    history.proven(TLS, 0.2)
    assert history.record(TLS).rtt == pytest.approx(0.125)
    history.measured(TLS, 0.325)
    assert history.record(TLS).rtt == pytest.approx(0.175)


def test_a_failure_keeps_the_measured_round_trip() -> None:
    history = DialHistory()
    history.proven(TLS, 0.1)
    history.failed(TLS, 0, "refused")
    assert history.record(TLS).rtt == 0.1


def test_the_history_is_bounded_and_forgets_what_was_not_dialed_for_longest() -> None:
    history = DialHistory()
    for port in range(1, KEPT + 1):
        history.failed(f"tls://peer.example:{port}", 0, "refused")
    history.failed("tls://peer.example:1", 0, "refused")
    history.failed("tls://other.example:1", 0, "refused")
    assert history.record("tls://peer.example:1").failures == 2
    assert history.record("tls://peer.example:2").failures == 0
    assert repr(history) == f"DialHistory({KEPT} addresses)"
