"""Why a link that stands moves to another connection: a better address works by now, or a message demands it.

Which addresses are worth it is for `selection` to say, how often one is tried for `connecting.upgrade`. A try is a
migration like any other (PROTOCOL C7): the link that stands carries on until the new one is proven.
"""

from __future__ import annotations

from msgspec import Struct, field

from actors.net.connecting.selection import better, rank
from actors.net.connecting.upgrade import Upgrade
from actors.net.dialing import Dialing
from actors.net.offers import offers_of, prefs_of
from actors.net.session.demands import Carriers
from actors.net.session.link import Link

_LEAST = 1.0
"""Seconds between two looks."""
_PATIENCE = 5.0
"""Seconds between two moves for what messages demand, at most; at first it is as long as between two looks."""


class Upgrading(Struct):
    """The tries of one proxy. Only who dialed a link moves it: two nodes that see it differently would never rest."""

    dialing: Dialing
    pauses: Upgrade = field(default_factory=Upgrade)

    def measure(self, link: Link) -> None:
        """Remember how far away the peer is over the address that was dialed for this link."""
        if link.dialed and link.liveness.rtt is not None:
            self.dialing.entry.record.history.measured(link.dialed, link.liveness.rtt)

    def look(self) -> float | None:
        """Set out for a better address if there is one and it is time; when to look again.

        None if this node has no say in it: it did not dial the link, or the peer has no other address.
        """
        link, outlook = self.dialing.session.current, self.dialing.entry.outlook
        outlook.better, outlook.better_due = (), None
        if link is None or not link.dialed or link.going_away:
            return None
        self.measure(link)
        network, record = self.dialing.network, self.dialing.entry.record
        prefs, offers, now = prefs_of(network, record), offers_of(network, record), network.clock.now()
        found = better(link.dialed, offers, prefs, record.history)
        if not found:
            self.pauses.best(now)
            return now + self.pauses.cfg.cap if len(offers) > 1 else None
        history = record.history
        outlook.better = tuple(str(attempt.address) for attempt in rank(found, prefs, history, now=now))
        due = self._due(outlook.better)
        if due <= now and not self.dialing.state.moves:
            self.pauses.tried()
            cool = [offer for offer in found if not history.record(str(offer.address)).cools_for(now)]
            self.dialing.set_out(rank(cool, prefs, history, now=now))
            due = self._due(outlook.better)
        outlook.better_due = max(due, now + _LEAST)
        return outlook.better_due

    def _due(self, urls: tuple[str, ...]) -> float:
        """When one of these may be tried: after a pause, and not while all of them cool down from a failure."""
        network, history = self.dialing.network, self.dialing.entry.record.history
        cool = min(history.record(url).cool_at for url in urls)
        return max(self.pauses.wanted(network.clock.now(), network.random.random()), cool)


class Demands(Struct):
    """Moves to a connection that may carry what waits for one.

    There is one current connection (PROTOCOL C4): where messages demand what no one connection gives, it changes to and
    fro, at most once in some seconds, and each waits for its turn or its expiry.
    """

    dialing: Dialing
    pause: float = _LEAST
    next_at: float = 0.0
    """When the session may move again."""
    sought: Carriers | None = None
    """What the last move was for."""

    def look(self) -> float | None:
        """Set out if something waits and it is time; when to look again. None: nothing waits, or nothing stands."""
        dialing, outbox = self.dialing, self.dialing.entry.outbox
        only, now = outbox.transmit.demanded(), dialing.network.clock.now()
        if only is None or dialing.session.current is None:
            self.pause = _LEAST
            return None
        if now < self.next_at:
            return self.next_at
        schedule = dialing.schedule(only)
        if not schedule:
            self._refuse(only)
            return None
        if not (dialing.state.moves and self.sought == only):
            self.sought = only
            dialing.set_out(schedule)
        self.next_at, self.pause = now + self.pause, min(2 * self.pause, _PATIENCE)
        return self.next_at

    def _refuse(self, only: Carriers) -> None:
        outbox, peer = self.dialing.entry.outbox, self.dialing.entry.peer
        words = f"node {peer.short} has no {' or '.join(sorted(only))} address that may be dialed from here"
        outbox.transmit.give_up_barred(only, words)
        outbox.settled()
        outbox.pump()
