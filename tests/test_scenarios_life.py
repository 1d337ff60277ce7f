"""Scenarios of lives, strangers and weather: each goes through, also without its faults, and is about something.

What a scenario must come upon within some seeds stands beside its name (`reach`, `reach_wider`).
"""

from __future__ import annotations

from itertools import product

import pytest
from reach import reached
from reach_wider import WiderReach, looking_wider

from actors.net.session.liveness import LivenessCfg
from actors.testing.cluster.simulation import Simulation
from actors.testing.history.records import LinkDown
from actors.testing.scenarios import SCENARIOS
from actors.testing.scenarios.intruders import HINTS
from actors.testing.scenarios.liars import FATAL
from actors.testing.scenarios.liveness import quiet_for
from actors.testing.scenarios.rings import Edges, try_topology
from actors.testing.seeds.search import run

REACH = {
    # PROTOCOL section 14: 11
    "idle-close": (
        "both ask to close",
        "accepted against a promise",
        "a message of the asker",
        "a message of the asked",
        "closed: idle",
    ),
    "idle-close-broken": (
        "IdleOk",
        "link down: the connection was cut",
        "lost connection_lost",
        "closed: no heartbeat",
    ),
    # 12
    "permanence": (
        "held while nothing",
        "held while asking",
        "held while ready",
        "released while dialing",
        "released while backoff",
        "closed: permanence was set",
    ),
    # 13
    "addresses": (
        "several addresses dialed",
        "DialFailed wrong_node",
        "backoff: no address answered in time",
        "expired",
        "closed: nothing left to send",
    ),
    # 14
    "stops": (
        "stops while ready",
        "stops while dialing",
        "stops while backoff",
        "stops while handshaking",
        "lost node_stopped",
        "refused stopped",
        "stops while a close is asked for",
    ),
    # 15
    "one-way": ("link down: no heartbeat", "Deaf", "OneWay", "Cut", "written again"),
    "large-and-slow": ("long on its way", "room asked for"),
    "quiet": ("Pong", "Stall"),
    "long-sleep": ("Stall",),
    # 16
    "silent-sockets": (
        "HostileConnection no handshake in time",
        "HostileConnection a frame of 0 bytes; from 1 to 4096 are allowed",
    ),
    "hints": ("OverCapacity", "DialFailed bad_signature", "handshake refused: over_capacity", "DialFailed denied"),
    # 17
    "man-in-the-middle": ("DialFailed bad_signature", "HostileConnection bad_proof", "ended in the middle of a frame"),
    "wrong-keys": ("DialFailed wrong_node", "DialFailed bad_signature", "HostileConnection bad_proof", "Incompatible"),
    # 18
    "rumours": ("AdvertRejected equivocation", "AdvertStale", "AdvertInvalid", "AdvertAccepted"),
    "own-words-lost": ("AdvertStale", "DuplicateIdentity", "handshake refused: stale_incarnation"),
    "knocks": (
        "DialFailed cannot connect to tls://127.0.0.1:1: nobody is there",
        "DialFailed cannot connect to tls://192.0.2.1:1: nobody is there",
        "backoff: no address of it can be dialed from here",
    ),
    "moves": ("several addresses dialed", "lost peer_restarted perhaps sent"),
    "dead-first-address": ("several addresses dialed", "IgnoreDials"),
    "upgrade": ("several addresses dialed", "IgnoreDials", "Refuse", "Cut", "bye: superseded"),
    # 19
    "poison": ("lost poison perhaps sent", "skip", "late acknowledgements"),
    "later-frames": ("unknown frame", "bye: protocol error: unknown critical frame 0xfe"),
    # RELIABILITY: 1
    "many-breaks": ("ended in the middle of a frame", "Crash", "HangUp", "lost peer_restarted perhaps sent"),
    # 3
    "slow-reader": ("SlowReader", "expired", "room asked for"),
    # asks (PROTOCOL Q)
    "asked-through-breaks": ("OneWay", "HangUp", "refused late", "bye: another session"),
    "watched": ("Cut", "Crash", "Deaf", "Partition", "lost peer_restarted perhaps sent"),
    "hired-engines": ("Cut", "Crash", "Deaf", "Partition", "lost peer_restarted perhaps sent"),
    "hired-over-a-steady-link": ("Cut", "written again", "refused late"),
    "given-up": ("refused late", "Cut", "expired", "written again"),
    # 5
    "meet-at-once": ("proven while another is", "bye: superseded", "written again"),
    # 6
    "hub-restarts": ("link down: connection reset by the peer", "dialing: retry"),
    # 8
    "clock-jumps": ("WallJump", "Crash"),
    # 9
    "partitions": ("Partition", "Deaf", "Flap", "link down: no heartbeat", "bye: superseded"),
    # 16
    "policies": ("handshake refused: over_capacity", "handshake refused: denied", "Cut"),
    "over-capacity": ("handshake refused: over_capacity", "forgot", "closed: idle"),
    # 17
    "lying-peer": ("duplicates dropped", "bye: protocol error: a run that is longer than its frame", "unknown frame"),
    # 21
    "raising": ("EngineCrashed", "EngineRestarted", "EngineFailed", "refused no_engine"),
    # 28
    "rings": tuple(f"a ring of {length}" for length in range(1, 6)),
    "ring-of-nodes": ("refused late", "Cut"),
}
SLOW = ("hub-restarts", "over-capacity", "partitions", "policies")


@pytest.mark.parametrize("name", REACH)
def test_a_scenario_goes_through_and_comes_upon_what_it_is_about(name: str) -> None:
    with looking_wider():
        missing = reached(name, REACH[name], least=1 if name in SLOW else 2, most=60, kind=WiderReach)
    assert not missing, f"{name} is about {missing}, and comes upon none of it in 60 seeds"


@pytest.mark.parametrize("name", REACH)
def test_a_scenario_goes_through_without_its_faults(name: str) -> None:
    result = run(SCENARIOS[name].body, 1, without=range(100))
    assert not result.failed, result.words


# -- what a few seeds do not show -------------------------------------------------------------------------------


def test_every_topology_of_up_to_three_engines_ends_in_answers_and_refusals() -> None:
    async def scenario(sim: Simulation) -> None:
        (node,) = await sim.start("a")
        for number, edges in enumerate(_topologies(2) + _topologies(3)[::7]):
            topology = await try_topology(node, f"knot{number}", edges, [0])
            await topology.stop()

    result = run(scenario, 1)
    assert not result.failed, result.words


def _topologies(count: int) -> list[Edges]:
    """Every directed graph of so many engines, one that asks itself included."""
    subsets = [tuple(each for each in range(count) if bits >> each & 1) for bits in range(1 << count)]
    return list(product(subsets, repeat=count))


def test_a_link_that_is_idle_for_most_of_a_day_is_never_taken_for_dead() -> None:
    async def scenario(sim: Simulation) -> None:
        await quiet_for(sim, LivenessCfg(ping_after=120.0, dead_after=360.0), hours=23)

    result = run(scenario, 1)
    assert not result.failed, result.words
    assert result.virtual_seconds > 23 * 3600
    assert len([record for record in result.history if isinstance(record, LinkDown)]) <= 3


def test_every_hint_and_every_lie_has_its_words() -> None:
    assert len(HINTS) >= 12
    assert len({*FATAL}) == len(FATAL)
