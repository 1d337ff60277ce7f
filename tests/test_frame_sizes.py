"""No frame is larger than the least that a peer may ask for, unless it carries one large message."""

from __future__ import annotations

import pytest

from actors.errors import SendError
from actors.net.messages import MAX_FRAME_LEAST, Ack, Kind, Limit, Refusal
from actors.net.session.receive import MAX_REFUSALS
from actors.net.session.runs import Lane, Run
from actors.net.session.transmit import Transmit
from actors.net.wire import encode

SIZES = (3, 40, 900, 30_000, 65_000)


def full(size: int, lanes: int, *, ttl: float = 100.0) -> Transmit:
    """A transmit half with 2 MB of messages of this size, from so many senders."""
    transmit = Transmit(1, _nobody)
    target = transmit.target("t" * 60)
    transmit.acknowledge(0, (), [Limit(target.name, 1 << 30, 1 << 40)])
    count = 2_000_000 // size
    for number in range(lanes):
        run = Run(Lane(number + 1, f"{number:060}", target), Kind.TELL, ttl, [bytes(size)] * (count // lanes or 1))
        transmit.admit(run)
        transmit.queue(run)
    return transmit


def _nobody(run: Run, outcome: SendError) -> None: ...


def written(transmit: Transmit, now: float) -> list[int]:
    """The lengths of all frames that there are to write."""
    lengths = []
    while parts := transmit.write(now, 0):
        lengths.append(sum(map(len, parts)))
    return lengths


@pytest.mark.parametrize("lanes", [1, 30, 400])
@pytest.mark.parametrize("size", SIZES)
def test_a_frame_of_messages_fits_in_the_least_that_a_peer_may_ask_for(size: int, lanes: int) -> None:
    transmit = full(size, lanes)
    first = written(transmit, 0.0)
    transmit.rewind()
    again = written(transmit, 0.0)
    assert max(first + again) <= MAX_FRAME_LEAST, "written first, or again"
    assert sum(again) > 1_000_000


@pytest.mark.parametrize("lanes", [1, 30, 400])
@pytest.mark.parametrize("size", SIZES)
def test_a_frame_that_skips_what_has_expired_does_too(size: int, lanes: int) -> None:
    transmit = full(size, lanes, ttl=1.0)
    written(transmit, 0.0)
    transmit.rewind()
    assert max(written(transmit, 2.0)) <= MAX_FRAME_LEAST


def test_an_ack_with_all_its_refusals_does_too() -> None:
    reason = max(("no_engine", "bad_message", "stopped", "full", "late"), key=len)
    refusals = [Refusal((1 << 40) + number, reason) for number in range(MAX_REFUSALS)]
    assert len(encode(Ack(1 << 41, refusals, []))) <= MAX_FRAME_LEAST
