"""The network of a simulation: hosts by name, and all that can go wrong between them.

Nothing happens here but by virtual time and by the `Random` that is given: the same calls, the same run. Each pair of
hosts has chance of its own, so that what two hosts say to each other changes nothing for others.

| what | how |
|---|---|
| the healthy network | `lay` |
| hosts do not reach each other | `partition`, `isolate`, `deafen`, `mute`, `flap` |
| connections break | `cut`, `blackhole`, `vanish` |
| bytes suffer | `slow`, `slow_over`, `corrupt`, `shrink`, `short_writes`, `short_reads`, `slow_reader` |
| dials fail, hang, meet | `refuse_dials`, `ignore_dials`, `hold_dials`, `release_dials` |
| all is well again | `heal`, `is_healed`, `troubles` |
| looking on | `on_bytes`, `on_dial`, `on_connect`, `digest`, `connections`, `between`, `waiting_dials`, `wire` |
| nothing is left behind | `ends_of`, `listeners_of`, `left_by` |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import combinations, product
from math import inf

import trio
from msgspec.structs import replace

from actors.testing.network.fabric import Fabric
from actors.testing.network.pipes import SimulatedPipe
from actors.testing.network.troubles import WHOLE, Apart, Between, Over, Trouble, Where, Wire
from transports.memory.connection import Connection, MemoryStream


class SimulatedNetwork(Fabric):
    """A MemoryNetwork in which everything can go wrong, on connections that exist and on later ones, until healed.

    What goes wrong for a time is a `Trouble`: it ends with its `heal`, with its `with` block, or with `network.heal`.
    Hosts need not exist yet. Where a method takes `one` and `other`, it is about what both say to each other, with
    `one_way` about what the first says to the second; None is every other host.

    latency, jitter: seconds that bytes travel one way, and up to so many more. capacity: bytes that one direction
    of a connection holds.
    """

    def lay(
        self,
        one: str | None = None,
        other: str | None = None,
        *,
        one_way: bool = False,
        latency: float | None = None,
        jitter: float | None = None,
        bandwidth: float | None = None,
        capacity: int | None = None,
    ) -> None:
        """How it is between hosts when nothing is wrong: `heal` leaves it alone. As `slow` and `shrink`."""
        change = _speed(latency, jitter, bandwidth)
        if capacity is not None:
            _check(capacity >= 1, "a capacity is at least 1 byte")
        laid = Trouble(
            "laid",
            Between(one, other, one_way),
            lambda wire: replace(change(wire), capacity=capacity or wire.capacity),
            heal=self._laid.remove,
        )
        self._laid.append(laid)
        self._settle()

    # -- hosts do not reach each other ------------------------------------------------------------------

    def partition(self, *groups: str | Iterable[str], reset: bool = False) -> Trouble:
        """Nothing arrives between hosts of different groups; hosts in none of them reach everybody. A str is one host.

        What is sent meanwhile arrives after all when it heals, as with TCP, unless its connection was given up at that
        end. Dials across hang. reset: connections that exist break now instead, and both ends notice.
        """
        sets = [(group,) if isinstance(group, str) else tuple(group) for group in groups]
        hosts = [host for group in sets for host in group]
        _check(len(sets) > 1, "a partition has at least two groups; one host alone is isolated")
        _check(len(set(hosts)) == len(hosts), "a host is in one group of a partition")
        pairs = frozenset(pair for these, those in combinations(sets, 2) for pair in product(these, those))
        return self._part("partition " + " | ".join(" ".join(group) for group in sets), Apart(pairs), reset)

    def isolate(self, host: str, *, reset: bool = False) -> Trouble:
        """As a partition of one host from all others."""
        return self._part(f"isolate {host}", Between(host), reset)

    def deafen(self, host: str, *, to: str | None = None) -> Trouble:
        """Nothing arrives at the host of what the other says, or anybody: a partition one way. Dials hang both ways."""
        return self._part(f"deafen {host} to {_named(to)}", Between(to, host, True))

    def mute(self, host: str, *, to: str | None = None) -> Trouble:
        """Nothing that the host says arrives at the other, or at anybody. See `deafen`."""
        return self._part(f"mute {host} to {_named(to)}", Between(host, to, True))

    def _part(self, what: str, where: Where, reset: bool = False) -> Trouble:
        if reset:
            for connection in self.connections:
                if where.covers(connection.dialer.host, connection.acceptor.host):
                    connection.cut()
        return self._begin(what, where, partial(replace, held=True))

    async def flap(self, one: str, other: str, *, up: float, down: float, reset: bool = False) -> None:
        """Partition two hosts again and again: `up` seconds of rest, then `down` seconds of it.

        Runs until it is healed, then returns; cancelled, it heals. It counts as a trouble from the first moment.
        """
        _check(up > 0 and down > 0, "up and down are more than 0 seconds")
        with (
            trio.CancelScope() as scope,
            self._begin(f"flap {one} {other}", Between(one, other), _as_it_is, on_end=scope.cancel),
        ):
            while True:
                await trio.sleep(up)
                with self.partition(one, other, reset=reset):
                    await trio.sleep(down)

    # -- connections break ------------------------------------------------------------------------------

    def cut(self, one: str, other: str | None = None, *, noticed_by: str | None = None) -> int:
        """Break all connections of two hosts for good, or of one with everybody; how many. Dials come through.

        Both ends notice now. noticed_by: only the end at that host does, the other never: half-open.
        """
        _check(noticed_by in (None, one, other), "a cut is noticed by one of the two hosts")
        connections = self.between(one, other)
        for connection in connections:
            connection.cut(None if noticed_by is None else _end_at(connection, noticed_by))
        return len(connections)

    def blackhole(self, *connections: Connection, sender: str | None = None) -> Trouble:
        """Nothing arrives on these connections, or nothing of what one host sends on them; others are well."""
        what = f"blackhole {' '.join(str(each.number) for each in connections)}"
        return self._begin(what, Over(connections, sender), partial(replace, held=True))

    def vanish(self, host: str, *, silently: bool = False) -> None:
        """The host's process is killed: its ends are reset, its listeners gone; whatever its tasks still do never was.

        silently: its power fails. Nobody is told anything, and dials to it hang until the next `transport` of this host
        or until `heal`. Whoever calls this cancels the host's tasks in the same step.
        """
        self._lives[host] = self._lives.get(host, 0) + 1
        for listener in self.listeners_of(host):
            self.unlist(listener)
        for connection in self.between(host):
            for stream, pipe in connection.ways:
                if silently:
                    pipe.sever()
                if stream.host == host and isinstance(pipe, SimulatedPipe):
                    if stream.lost is None:
                        pipe.end(reset=True)
                    pipe.forsake()
        if silently and host not in self._dark:
            self._dark[host] = self._begin(f"{host} is off", Between(host), partial(replace, held=True))

    # -- bytes suffer -----------------------------------------------------------------------------------

    def slow(
        self,
        one: str | None = None,
        other: str | None = None,
        *,
        one_way: bool = False,
        latency: float | None = None,
        jitter: float | None = None,
        bandwidth: float | None = None,
    ) -> Trouble:
        """Other seconds of latency and jitter, or bytes a second; None: as they are.

        Many bytes take their time and hold up what comes behind, on all connections from one host to the other. When it
        heals, what is on its way arrives as if it had set out then, if that is sooner.
        """
        what = f"slow {_named(one)} {_named(other)}"
        return self._begin(what, Between(one, other, one_way), _speed(latency, jitter, bandwidth))

    def slow_over(self, *connections: Connection, latency: float | None = None, jitter: float | None = None) -> Trouble:
        """As `slow`, on these connections."""
        what = f"slow {' '.join(str(each.number) for each in connections)}"
        return self._begin(what, Over(connections), _speed(latency, jitter, None))

    def corrupt(
        self, one: str | None = None, other: str | None = None, *, rate: float, one_way: bool = False
    ) -> Trouble:
        """One bit of a parcel is flipped, with this probability. A parcel is what was written at once."""
        _check(0 < rate <= 1, "a rate is a probability, more than 0 and at most 1")
        what = f"corrupt {_named(one)} {_named(other)}"
        return self._begin(what, Between(one, other, one_way), partial(replace, corruption=rate))

    def scatter(
        self,
        one: str | None = None,
        other: str | None = None,
        *,
        loss: float = 0.0,
        copies: float = 0.0,
        spread: float = 0.0,
        one_way: bool = False,
    ) -> Trouble:
        """Datagrams are lost or come twice, with these probabilities, each up to `spread` seconds later than sent."""
        _check(0 <= loss <= 1 and 0 <= copies <= 1, "loss and copies are probabilities, from 0 to 1")
        _check(0 <= spread < inf, "a spread is at least 0 seconds")
        what = f"scatter {_named(one)} {_named(other)}"
        change = partial(replace, loss=loss, copies=copies, scatter=spread)
        return self._begin(what, Between(one, other, one_way), change)

    def shrink(
        self, one: str | None = None, other: str | None = None, *, capacity: int, one_way: bool = False
    ) -> Trouble:
        """A direction of a connection holds no more than so many bytes that were not read yet."""
        _check(capacity >= 1, "a capacity is at least 1 byte")
        what = f"shrink {_named(one)} {_named(other)}"
        return self._begin(what, Between(one, other, one_way), partial(replace, capacity=capacity))

    def short_writes(
        self, one: str | None = None, other: str | None = None, *, longest: int = WHOLE, one_way: bool = False
    ) -> Trouble:
        """A write takes a part only, of a length that is drawn; at most so many bytes."""
        _check(longest >= 1, "a part has at least 1 byte")
        what = f"short writes {_named(one)} {_named(other)}"
        return self._begin(what, Between(one, other, one_way), partial(replace, longest_write=longest))

    def short_reads(
        self, one: str | None = None, other: str | None = None, *, longest: int = WHOLE, one_way: bool = False
    ) -> Trouble:
        """A read gives a part only, of a length that is drawn; at most so many bytes. one_way: what the other reads."""
        _check(longest >= 1, "a part has at least 1 byte")
        what = f"short reads {_named(one)} {_named(other)}"
        return self._begin(what, Between(one, other, one_way), partial(replace, longest_read=longest))

    def slow_reader(self, host: str, rate: float) -> Trouble:
        """The host can read so many bytes a second from each of its connections; what waits to be read fills them."""
        _check(rate > 0, "a rate is more than 0 bytes a second")
        return self._begin(f"slow reader {host}", Between(None, host, True), partial(replace, read_rate=rate))

    # -- dials ------------------------------------------------------------------------------------------

    def refuse_dials(self, host: str) -> Trouble:
        """Dials to the host fail, after one round trip."""
        return self._begin(f"refuse dials to {host}", Between(None, host, True), partial(replace, dials="refuse"))

    def ignore_dials(self, host: str) -> Trouble:
        """Dials to the host hang. Connections that exist are well."""
        return self._begin(f"ignore dials to {host}", Between(None, host, True), partial(replace, dials="ignore"))

    def hold_dials(self, host: str | None = None) -> Trouble:
        """Dials, or those to this host, wait for each other. When it heals all arrive at once, in a drawn order."""
        return self._begin(f"hold dials to {_named(host)}", Between(None, host, True), partial(replace, dials="hold"))

    def release_dials(self) -> None:
        """Heal every `hold_dials`."""
        healthy = self.healthy
        self._heal(*(each for each in self._troubles if each.change(healthy).dials == "hold"))


def _check(fine: bool, what: str) -> None:
    if not fine:
        raise ValueError(what)


def _named(host: str | None) -> str:
    return host or "all"


def _as_it_is(wire: Wire) -> Wire:
    return wire


def _end_at(connection: Connection, host: str) -> MemoryStream:
    return connection.dialer if connection.dialer.host == host else connection.acceptor


def _speed(latency: float | None, jitter: float | None, bandwidth: float | None) -> Callable[[Wire], Wire]:
    _check(latency is None or 0 <= latency < inf, "a latency is at least 0 seconds")
    _check(jitter is None or 0 <= jitter < inf, "jitter is at least 0 seconds")
    _check(bandwidth is None or bandwidth > 0, "a bandwidth is more than 0 bytes a second")

    def change(wire: Wire) -> Wire:
        return replace(
            wire,
            latency=wire.latency if latency is None else latency,
            jitter=wire.jitter if jitter is None else jitter,
            bandwidth=wire.bandwidth if bandwidth is None else bandwidth,
        )

    return change
