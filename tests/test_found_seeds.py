"""Seeds that once failed, by what was wrong: in the product, or in what a scenario took for granted."""

from __future__ import annotations

import pytest

from actors.testing.scenarios import SCENARIOS
from actors.testing.seeds.search import run

FOUND = {
    "a frame of many messages was larger than the peer took": ("cuts", 25),
    "many messages written again were larger together than the peer took": ("cuts", 2),
    "what a friend told of a node was forgotten": ("chaos", 29),
    "a clock set back: a node's own newer word was lost with the link": ("own-words-lost", 2),
    "a node that was being stopped was begun again": ("stops", 2),
    "words of an earlier run took down the link of the next": ("late-proof", 104),
    "a connection that was never used took down the link": ("winner-never-proven", 100001),
    "two sleeps close together silenced both ends for too long": ("quiet", 100045),
    "a stop that takes as long as the way of its last word": ("stops", 100004),
    "an honest peer's question waits behind its own traffic": ("lying-peer", 200024),
    "cancelled when a connection was accepted, and nobody had taken it": ("cancelled", 237),
    "cancelled before the engine of an accepted connection had begun": ("cancelled", 198),
    "a changed Ack was believed: two nodes were at odds over a number for ever": ("chaos", 300023),
    "a changed correlation answered a question that had not been written": ("chaos", 742),
    "peers that have dialed for long drift apart slowly": ("hub-restarts", 200121),
}


@pytest.mark.parametrize(("name", "seed"), FOUND.values(), ids=FOUND)
def test_a_seed_that_once_failed_passes(name: str, seed: int) -> None:
    assert run(SCENARIOS[name].body, seed).words == ""
