"""The numbers of a node, as a seed sets them: the usual ones, or as small and large as they may be."""

from __future__ import annotations

from random import Random

from msgspec import Struct

from actors.config import Limits
from actors.net.connecting.backoff import BackoffCfg
from actors.net.network import NetworkCfg
from actors.net.session.liveness import LivenessCfg


class Knobs(Struct, frozen=True):
    """What `open_node` takes as `cfg` and `limits`."""

    cfg: NetworkCfg
    limits: Limits


def draw_knobs(rng: Random) -> Knobs:
    """Each number by itself is the usual one two times in three."""

    def turn(usual: float, *extremes: float) -> float:
        return usual if rng.random() < 0.67 else rng.choice(extremes)

    cfg = NetworkCfg(
        backoff=BackoffCfg(cap=turn(30.0, 5.0)),
        liveness=rng.choice((LivenessCfg(), LivenessCfg(ping_after=1.0, dead_after=3.0))),
        handshake_timeout=turn(5.0, 3.0, 20.0),
        attempt_timeout=turn(30.0, 5.0),
        idle_after=turn(300.0, 0.5, 5.0),
        drain_timeout=turn(10.0, 0.2, 60.0),
        outbox=int(turn(8 << 20, 8 << 10, 100 << 10)),
        max_frame=int(turn(1 << 20, 128 << 10)),
    )
    limits = Limits(mailbox_messages=int(turn(4096, 16, 64)), mailbox_bytes=int(turn(16 << 20, 256 << 10)))
    return Knobs(cfg, limits)
