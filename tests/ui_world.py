"""A made-up cluster for the tests of the console: what its nodes say, and the picture of it."""

from __future__ import annotations

from typing import Any

from console_fakes import engine_snapshot, node_snapshot, proxy_snapshot
from msgspec.structs import replace

from actors.console.ui.actions import Able
from actors.console.ui.desk import Desk, Effect
from actors.console.ui.picture import Picture, look, sight
from actors.console.ui.problems import Problem, Problems
from actors.console.ui.views.frame import frame
from actors.console.ui.watch import Watch
from actors.snapshots import AddressSnapshot, LedgerSnapshot, LinkSnapshot, NodeSnapshot, ProxySnapshot, StepSnapshot


def told(name: str, *, pid: int = 7, dead_letters: int = 0, received: int = 0, **ledger: int) -> NodeSnapshot:
    """A node with these counters."""
    node = node_snapshot(name)
    counted = replace(
        node.statistics, ledger=LedgerSnapshot(**ledger), dead_letters=dead_letters, received=received, connected=2
    )
    return replace(node, pid=pid, statistics=counted, memory_bytes=45 << 20, loop_lag_ms=0.3)


def proxy(node: str, peer: str, **changes: Any) -> ProxySnapshot:
    """A link; ready, if nothing else is said."""
    ledger = changes.pop("ledger", LedgerSnapshot())
    return proxy_snapshot(node, peer, **{"ledger": ledger, "retained": 0, **changes})


def down(node: str, peer: str, **changes: Any) -> ProxySnapshot:
    """A link that cannot be opened."""
    why = "tcp://127.0.0.1:9: cannot connect to tcp://127.0.0.1:9: connection refused, nothing listens there"
    settled: dict[str, Any] = {"state": "backoff", "transport": None, "rtt_ms": None, "failures": 3}
    return proxy(node, peer, **{**settled, "retry_in": 12.0, "why": why, **changes})


def closely(peer: str) -> LinkSnapshot:
    """A link that was looked at."""
    path = (StepSnapshot(ago=9, state="dialing", why="dial now"), StepSnapshot(ago=3, state="ready", why="dialed"))
    address = AddressSnapshot(
        url="tcp://127.0.0.1:9",
        weight=1,
        after=0,
        why="weight 1",
        in_use=True,
        rtt_ms=0.5,
        failures=0,
        error="",
        proven=2,
    )
    return LinkSnapshot(
        peer_id=peer * 52, path=path, addresses=(address,), holders=("console",), jitter_ms=0.1, heard_ago=0.5,
        dead_in=4, expires_in=None, outbox_bytes=0, outbox_capacity=8 << 20, received=3, dropped={}, incarnation="1",
    )  # fmt: skip


class World:
    """A watch with a clock, and a person in front of it."""

    def __init__(self, *names: str, able: Able | None = None) -> None:
        self.watch = Watch("local")
        self.problems = Problems()
        self.desk = Desk(able=able or Able())
        self.now = 100.0
        self.names = names
        for name in names:
            self.hear(name)

    def hear(self, name: str, node: NodeSnapshot | None = None, proxies: list[ProxySnapshot] | None = None) -> None:
        """A node says these, or that all is well."""
        well = [proxy(name, other) for other in self.names if other != name]
        self.watch.heard(self.now, name, node or told(name), well if proxies is None else proxies)
        self.watch.listed(name, (engine_snapshot(name),))

    def found(self) -> tuple[Problem, ...]:
        return self.problems.look(self.watch, self.now)

    def codes(self) -> list[str]:
        return [problem.finding.code for problem in self.found()]

    def picture(self) -> Picture:
        return look(self.watch, self.found(), self.desk, self.now)

    def press(self, *keys: str) -> Effect:
        """The effect of the last key."""
        effect: Effect = None
        for key in keys:
            effect = self.desk.press(key, sight(self.picture()))
        return effect

    def lines(self, width: int = 80, height: int = 24) -> list[str]:
        return [line.plain for line in frame(self.picture(), width, height, "12:00:00")]

    def text(self, width: int = 80, height: int = 24) -> str:
        return "\n".join(line.rstrip() for line in self.lines(width, height))
