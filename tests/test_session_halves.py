"""The two halves of a session against every order of writes, acknowledgements, cuts, expiries and restarts."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from session_model import SENDERS, TARGETS, Bench

_tell = st.tuples(
    st.just("tell"),
    st.sampled_from(SENDERS),
    st.sampled_from(TARGETS),
    st.integers(1, 30),
    st.sampled_from([1, 100, 20_000]),
    st.sampled_from([0.5, 1e6]),
)
_steps = st.sampled_from(["connect", "cut", "write", "hear_b", "ack", "hear_a"]).map(lambda name: (name,))
_engines = st.one_of(
    st.tuples(st.just("consume"), st.sampled_from(TARGETS)),
    st.tuples(st.just("stop_engine"), st.sampled_from(TARGETS)),
    st.tuples(st.just("start_engine"), st.sampled_from(TARGETS), st.sampled_from([3, 40])),
)
_time = st.tuples(st.just("pass_time"), st.sampled_from([0.1, 0.6]))
_nodes = st.sampled_from(["restart_receiver", "forget_record"]).map(lambda name: (name,))
_flow = st.just(("flow",))
"""Everything moves one step, so that long histories are common."""


def _play(bench: Bench, ops: list[tuple[Any, ...]]) -> None:
    for name, *arguments in ops:
        if name == "flow":
            for step in (bench.connect, bench.write, bench.hear_b, bench.ack, bench.hear_a):
                step()
        else:
            getattr(bench, name)(*arguments)
        bench.check()
    bench.settle()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(_tell, _flow, _flow, _steps, _steps, _engines, _time), min_size=30, max_size=90))
def test_every_message_ends_once_and_in_order_while_nobody_restarts(ops: list[tuple[Any, ...]]) -> None:
    _play(Bench(), ops)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(_tell, _flow, _flow, _steps, _engines, _time, _nodes), min_size=30, max_size=90))
def test_every_message_ends_once_also_when_the_receiver_forgets_or_restarts(ops: list[tuple[Any, ...]]) -> None:
    _play(Bench(), ops)


def _something(bench: Bench, rng: random.Random, restarts: bool) -> None:
    """One likely thing."""
    flow: list[Callable[[], None]] = [bench.connect, bench.write, bench.hear_b, bench.ack, bench.hear_a]
    match rng.choices(["tell", "flow", "cut", "consume", "time", "engine", "node"], [20, 55, 5, 10, 2, 2, restarts])[0]:
        case "tell":
            ttl = rng.choice([0.5, 1e6, 1e6])
            size = rng.choice([1, 100, 20_000])
            bench.tell(rng.choice(SENDERS), rng.choice(TARGETS), rng.randint(1, 30), size, ttl)
        case "flow":
            for step in rng.sample(flow, rng.randint(1, 5)):
                step()
        case "cut":
            bench.cut()
        case "consume":
            bench.consume(rng.choice(TARGETS))
        case "time":
            bench.pass_time(rng.choice([0.1, 0.6]))
        case "engine":
            target = rng.choice(TARGETS)
            bench.start_engine(target, rng.choice([3, 40])) if rng.random() < 0.5 else bench.stop_engine(target)
        case "node":
            bench.restart_receiver() if rng.random() < 0.5 else bench.forget_record()


@pytest.mark.parametrize("restarts", [False, True], ids=["calm", "restarts"])
def test_long_histories_keep_every_promise(restarts: bool) -> None:
    for seed in range(120):
        bench, rng = Bench(), random.Random(seed)
        for _ in range(150):
            _something(bench, rng, restarts)
            bench.check()
        bench.settle()
