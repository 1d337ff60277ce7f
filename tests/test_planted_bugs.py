"""Bugs planted into the code, one line each, are found by the simulator: here from the seeds on record.

`scripts/hunt.py` looks for them from fresh seeds.
"""

from __future__ import annotations

import logging

import pytest
from planted_bugs import BUGS
from planting import Bug, planted

from actors.testing.scenarios import SCENARIOS
from actors.testing.seeds.search import run


@pytest.fixture(autouse=True)
def _quiet() -> None:
    logging.getLogger("actors.runtime").setLevel(logging.CRITICAL + 1)


def test_there_are_enough_of_them_and_ten_were_once_in_the_code() -> None:
    assert len(BUGS) >= 25
    assert sum(bug.fix for bug in BUGS) >= 10


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found_from_each_of_its_three_seeds(bug: Bug) -> None:
    assert len(set(bug.seeds)) == 3
    scenario = SCENARIOS[bug.found_by].body
    with planted(bug):
        found = [seed for seed in bug.seeds if run(scenario, seed).failed]
    assert found == list(bug.seeds)


@pytest.mark.parametrize("name", sorted({bug.found_by for bug in BUGS}))
def test_without_the_bug_the_same_seeds_pass(name: str) -> None:
    seeds = sorted({seed for bug in BUGS if bug.found_by == name for seed in bug.seeds})
    assert [run(SCENARIOS[name].body, seed).words for seed in seeds] == [""] * len(seeds)
