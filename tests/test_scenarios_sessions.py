"""Scenarios of sessions, credit, the choice of a connection and restarts: each goes through, and is about something.

What a scenario must come upon within some seeds stands beside its name (`reach`).
"""

from __future__ import annotations

import pytest
import trio
from reach import reached

from actors.net.messages import Ack, Messages
from actors.net.session.liveness import LivenessCfg
from actors.testing.cluster.simulation import Simulation
from actors.testing.faults import Crash, Cut, Deaf, Fault
from actors.testing.history.records import Entered, LinkDown, Settled
from actors.testing.history.records import Fault as FaultRecord
from actors.testing.scenarios import SCENARIOS
from actors.testing.scenarios.breaks import HangUp
from actors.testing.scenarios.cast import Item, cast
from actors.testing.scenarios.moments import FrameTap, Moments, Stroke, sets_out
from actors.testing.seeds.search import Result, run

REACH = {
    # PROTOCOL section 14: 1
    "ack-lost": ("resume of a known session", "limits in a Resume", "written again"),
    "record-forgotten": ("forgot", "bye: session lost", "lost session_lost perhaps sent"),
    "ephemeral-lives": ("lost connection_lost perhaps sent", "lost connection_lost"),
    # 2
    "refusal-lost": ("refusals in a Resume", "a refusal said again on another connection", "written again"),
    # 3
    "expiry-in-the-queue": ("expired", "link down: the connection was cut"),
    "expiry-in-flight": ("expired perhaps sent", "skip", "late acknowledgements"),
    # 4
    "stuck-engine": ("limits in an Ack", "lost node_stopped", "written again"),
    "crowded-mailbox": ("limits in a Resume", "duplicates dropped"),
    # 5
    "room-made-during-a-break": ("limits in a Resume", "link down: the connection was cut"),
    "mailbox-full-of-the-past": ("less room than a newcomer has", "lost connection_lost"),
    "room-asked-for": ("room asked for", "link down: the connection was cut"),
    # 6
    "both-dial": ("proven while another is", "bye: superseded", "written again"),
    "winner-dies": ("proven while another is", "bye: superseded", "link down: the connection was cut"),
    "winner-never-proven": ("proven while another is",),
    "own-dial-never-answered": ("faults",),
    # 7
    "half-open": ("link down: no heartbeat", "bye: superseded", "resume of a known session"),
    "half-open-at-rest": ("link down: no heartbeat", "bye: superseded"),
    # 8
    "old-connection-delivers": ("duplicates dropped", "proven while another is", "bye: superseded"),
    "connections-of-unequal-pace": ("link down: bye: superseded", "written again"),
    # 9
    "late-proof": ("handshake refused: stale_incarnation", "proven while another is"),
    "two-nodes-one-key": ("handshake refused: stale_incarnation", "bye: the peer restarted", "refused no_engine"),
    "clock-set-back": ("handshake refused: stale_incarnation", "lost peer_restarted perhaps sent"),
    # 10
    "peer-restarts": ("lost peer_restarted perhaps sent", "link down: no heartbeat"),
    "answer-to-an-earlier-run": ("lost peer_restarted perhaps sent", "written again"),
}


@pytest.mark.parametrize("name", REACH)
def test_a_scenario_goes_through_and_comes_upon_what_it_is_about(name: str) -> None:
    missing = reached(name, REACH[name], least=3, most=20)
    assert not missing, f"{name} is about {missing}, and comes upon none of it in 20 seeds"


@pytest.mark.parametrize("name", REACH)
def test_a_scenario_goes_through_without_its_faults(name: str) -> None:
    result = run(SCENARIOS[name].body, 1, without=range(100))
    assert not result.failed, result.words


@pytest.mark.parametrize("after", [0.5, 5.5, 8.0, 11.0, 14.9])
def test_a_dead_connection_is_given_up_in_time_whenever_it_breaks(after: float) -> None:
    async def scenario(sim: Simulation) -> None:
        await sim.start("a", "b", setup=cast(sim))
        await sim.link("a", "b")
        await trio.sleep(after)
        await sim.inflict(Cut("a", "b", "b"))
        await trio.sleep(30)

    result = run(scenario, 1)
    assert not result.failed, result.words
    (cut,) = (record.at for record in result.history if isinstance(record, FaultRecord))
    down = next(record.at for record in result.history if isinstance(record, LinkDown) and record.node == "a")
    assert 10.0 <= down - cut <= LivenessCfg().dead_after  # its last word may have come 5 s before (T1)


# -- moments ----------------------------------------------------------------------------------------------------


def _struck(fault: Fault, later: float, *, nth: int = 1, without: tuple[int, ...] = ()) -> Result:
    """A fault when an acknowledgement sets out, on a link whose bytes travel for 10 ms."""

    async def scenario(sim: Simulation) -> None:
        sim.network.lay(latency=0.01)
        with Moments(sim) as moments:
            await sim.start("a", "b", setup=cast(sim))
            await sim.link("a", "b")
            moments.strike(Stroke(fault, sets_out("b", "a", Ack), nth, later))
            assert moments.pending
            await sim["a"].tell(sim.to("b", "sink"), Item(0))
            await trio.sleep(1)
            await sim["a"].tell(sim.to("b", "sink"), Item(1))
            await trio.sleep(1)
            assert not moments.pending
            assert moments.struck == (not without)
        await sim.settle()

    result = run(scenario, 1, without=without)
    assert not result.failed, result.words
    return result


def _places(result: Result) -> tuple[int, int, int]:
    """Where in the history the first message entered a mailbox, the fault was, the first message was settled."""
    kinds = (Entered, FaultRecord, Settled)
    entered, fault, settled = (
        next(index for index, record in enumerate(result.history) if isinstance(record, kind)) for kind in kinds
    )
    return entered, fault, settled


def test_a_fault_strikes_before_the_frame_has_left() -> None:
    result = _struck(Cut("a", "b"), 0.0)
    entered, fault, settled = _places(result)
    assert entered < fault < settled
    assert result.history[settled].at > result.history[fault].at + 0.05, "by the Resume of the next connection"


def test_a_fault_strikes_while_the_frame_is_on_its_way_or_when_it_has_been_handled() -> None:
    _, fault, settled = _places(_struck(Cut("a", "b"), 0.009))
    assert fault < settled
    _, fault, settled = _places(_struck(Cut("a", "b"), 0.011))
    assert settled < fault


def test_a_fault_waits_for_its_turn() -> None:
    _, fault, settled = _places(_struck(Cut("a", "b"), 0.0, nth=2))
    assert settled < fault


@pytest.mark.parametrize("fault", [Deaf("b", "a", 1.0), HangUp("a", "b"), Crash("b", 0.5)])
def test_any_fault_can_strike_at_a_frame(fault: Fault) -> None:
    assert _struck(fault, 0.0).faults == [str(fault)]


def test_a_stroke_can_be_left_out() -> None:
    result = _struck(Cut("a", "b"), 0.0, without=(0,))
    assert len(result.faults) == 1
    assert not any(isinstance(record, FaultRecord) for record in result.history)


def test_nothing_strikes_after_the_end_of_the_block() -> None:
    async def scenario(sim: Simulation) -> None:
        with Moments(sim) as moments:
            await sim.start("a", "b", setup=cast(sim))
            await sim.link("a", "b")
            moments.strike(Stroke(Cut("a", "b"), sets_out("a", "b", Messages), later=0.5))
            moments.strike(Stroke(Cut("a", "b"), sets_out("a", "b", Messages), nth=2))
            await sim["a"].send(sim.to("b", "sink"), Item(0))
        await sim["a"].send(sim.to("b", "sink"), Item(1))
        await trio.sleep(1)
        assert sim.faults == []

    result = run(scenario, 1)
    assert not result.failed, result.words


def test_frames_are_seen_whole_however_they_are_written() -> None:
    seen: list[int] = []

    async def scenario(sim: Simulation) -> None:
        FrameTap(sim).on_frame.append(
            lambda crossing: seen.append(crossing.frame.first) if isinstance(crossing.frame, Messages) else None
        )
        sim.network.short_writes(longest=3)
        await sim.start("a", "b", setup=cast(sim))
        await sim.link("a", "b")
        for n in range(5):
            await sim["a"].send(sim.to("b", "sink"), Item(n, bytes(300)))

    result = run(scenario, 1)
    assert not result.failed, result.words
    assert seen == [1, 2, 3, 4, 5]
