"""Good histories for the judge: whatever is peculiar and still keeps every promise."""

from __future__ import annotations

from history_words import (
    DELIVERED,
    ENDED,
    RESTARTED,
    asked,
    began,
    down,
    ended,
    fault,
    got,
    handled,
    healed,
    ledger,
    permanent,
    phase,
    sent,
    settled,
    stopping,
    story,
    told,
    up,
)

from actors.testing.history.records import Bytes, Forgot, Held, History, RetryAfter, Withdrawn

GOOD: dict[str, History] = {
    "nothing happens": story(),
    "messages arrive, each in its order": story(
        *(sent(number) for number in (1, 2, 3)),
        *(got(number, 1.1) for number in (1, 2)),
        *(handled(number, 1.1) for number in (1, 2)),
        *(settled(number, 1.2) for number in (1, 2)),
        got(3, 1.2),
        settled(3, 1.3),
        told(3, 1.3, "delivered"),
        ledger(50, 3, 3, 0, 0, 0, 0, 0),
    ),
    "lanes do not wait for each other": story(
        sent(1),
        sent(2, sender="z"),
        sent(3, target="z"),
        got(3, 1.1, target="z"),
        got(2, 1.1, sender="z"),
        got(1, 1.1),
        *(settled(number, 1.2) for number in (1, 2, 3)),
    ),
    "equal messages of which one is lost on the way": story(
        *(sent(number, content=content) for number, content in enumerate("ccdc", 1)),
        got("c", 1.1),
        got("d", 1.1),
        got("c", 1.1),
        *(settled(number, 1.2) for number in (1, 3, 4)),
        ENDED,
        settled(2, 5, "lost?connection_lost"),
    ),
    "what is perhaps sent is in a mailbox, or comes later, or never": story(
        *(sent(number) for number in (1, 2, 3)),
        got(1, 1.1),
        *(settled(number, 31.05, "expired?") for number in (1, 2, 3)),
        got(2, 31.1),
    ),
    "a killed node owes nothing, and what it wrote may arrive": story(
        sent(1), sent(2), sent(3), got(1, 1.1), ended("a", 1.1, how="killed"), got(2, 1.2), handled(1, 1.2)
    ),
    "a node that runs has time until its messages expire": story(sent(1), until=31.5, settled=False),
    "what is perhaps sent enters the peer's next run": story(
        sent(1), *RESTARTED, settled(1, 31.05, "expired?"), got(1, 31.1, run=2)
    ),
    "a peer that is no part of the history": story(sent(1, peer="stranger"), settled(1, 1.2)),
    "a message goes to a peer whose proxy has ended": story(ENDED, sent(1, 6), got(1, 6.1), settled(1, 6.2)),
    "queues are full": story(Held(1, "a", 1, "outbox", 10, 100, 10, 100), Held(2, "a", 1, "outbox", 0, 0, 10, 100)),
    "bytes for those who are proven": story(Bytes(1, "a", 1, "b", "out", True), Bytes(1, "b", 1, "a", "in", True)),
    "it is known whom messages come from": story(sent(1), got(1, 1.1, came_from="a"), settled(1, 1.2)),
    "a ledger of one proxy counts what that one had": story(*DELIVERED, ledger(5, 0, 0, 0, 0, 0, 0, 0, peer="b")),
    "a ledger is taken in the middle": story(
        *(sent(number) for number in (1, 2)),
        *(got(number, 1.1) for number in (1, 2)),
        settled(2, 1.2),
        ledger(1.2, 3, 1, 0, 0, 0, 0, 2),
        settled(1, 1.3),
    ),
    "a killed node's last ledger": story(*DELIVERED, ledger(5, 2, 1, 0, 0, 0, 0, 1), ended("a", 5, how="killed")),
    "a ledger of a node in the middle of its work": story(*DELIVERED, ledger(5, 2, 1, 0, 0, 0, 0, 1), settled=False),
    "a sender does not wait": story(*DELIVERED, told(1, 1.2, "cancelled")),
    "a sender is told that nothing was accepted": story(told(7, 1, "expired:"), told(8, 1, "refused:full")),
    "equal messages are handled, and their outcomes come in any order": story(
        *(sent(number, content="c") for number in (1, 2)),
        *(got("c", 1.1), settled(2, 1.2), got("c", 1.3), settled(1, 1.4)),
        *(handled("c", 1.5), handled("c", 1.6)),
    ),
    "equal messages of two runs": story(
        sent(1, content="c"),
        sent(2, content="d"),
        ended("a", 1, how="killed"),
        began("a", 1, 2),
        sent(3, 1, content="c", run=2),
        *(got(content, 1.1) for content in "cdc"),
        settled(3, 1.2, run=2),
    ),
    "equal messages for two runs": story(
        *(sent(number, content="c") for number in (1, 2)),
        got("c", 1.1),
        *RESTARTED,
        settled(1, 4, "lost?peer_restarted"),
        got("c", 4.1, run=2),
        settled(2, 4.2),
    ),
    # asks
    "an answer comes before the acknowledgement": story(
        asked(1),
        got(1, 1.1),
        told(1, 1.2, "answered"),
        settled(1, 1.2),
        asked(2, 2),
        got(2, 2.1),
        settled(2, 2.2),
        told(2, 3, "answered"),
    ),
    "an answer came, and then the connection was lost before the acknowledgement": story(
        asked(1), got(1, 1.1), told(1, 1.2, "answered"), ENDED, settled(1, 5, "lost?connection_lost")
    ),
    "a question is lost and answered at the same moment": story(
        asked(1), got(1, 1.1), ENDED, settled(1, 5, "lost?connection_lost"), told(1, 5, "answered")
    ),
    "a question is delivered, and its answer lost with the link": story(
        asked(1), got(1, 1.1), settled(1, 1.2), ENDED, told(1, 5, "lost?connection_lost")
    ),
    "a question is delivered and refused by its engine": story(
        asked(1), got(1, 1.1), settled(1, 1.2), told(1, 1.3, "refused:unhandled")
    ),
    "a question is delivered and its handler crashes": story(
        asked(1), got(1, 1.1), handled(1, 1.1), settled(1, 1.2), told(1, 1.3, "crashed")
    ),
    "a question waits too long, delivered or not": story(
        asked(1),
        asked(2, target="z"),
        got(1, 1.1),
        settled(1, 1.2),
        told(1, 31, "expired?"),
        Withdrawn(31, "a", 1, 2),
        settled(2, 31, "expired:"),
        told(2, 31, "expired:"),
    ),
    "an asker gives up": story(
        asked(1),
        asked(2),
        got(1, 1.1),
        settled(1, 1.2),
        Withdrawn(4, "a", 1, 1),
        sent(3, 4, kind="cancel"),
        told(1, 4, "cancelled"),
        settled(2, 5, "expired:"),
        Withdrawn(5, "a", 1, 2),
        told(2, 5, "cancelled"),
        settled(3, 6),
        handled(1, 6),
    ),
    "an answer to an asker whose time is over": story(
        sent(1, 40, kind="reply", expires=31),
        settled(1, 40.1, "expired:"),
        sent(2, 41, kind="reply"),
        settled(2, 41.2, "refused:late"),
    ),
    "a sender's time is over just before its message is delivered": story(
        sent(1), got(1, 30.99), told(1, 31, "expired?"), settled(1, 31.03)
    ),
    "a sender's time is over just before its message expires": story(
        sent(1),
        sent(2),
        told(1, 31, "expired:"),
        told(2, 31, "expired:"),
        settled(1, 31.06, "expired:"),
        settled(2, 31.06, "refused:too_large"),
    ),
    "a sender's time is over just before its message is refused, or the node stops": story(
        *(asked(1), sent(2), stopping(30), told(1, 31, "expired?"), told(2, 31, "expired:")),
        *(settled(1, 31.02, "refused:no_engine"), settled(2, 31.04, "lost:node_stopped"), ended("a", 31.05)),
    ),
    "a node that stalls lets a message expire late": story(sent(1), fault(29, stalls=9), settled(1, 38.1, "expired:")),
    # restarts, ends
    "a peer restarts": story(
        permanent(),
        *(sent(number) for number in (1, 2, 3, 4)),
        *(got(number, 1.1) for number in (1, 2)),
        settled(1, 1.2),
        *RESTARTED,
        sent(5, 3),  # on a connection that is dead and not known to be
        settled(2, 4, "lost?peer_restarted"),
        settled(5, 4, "lost?peer_restarted"),
        up(4, node="b", run=2, peer="a"),
        *(got(number, 4.1, run=2) for number in (3, 4)),
        *(settled(number, 4.2) for number in (3, 4)),
    ),
    "a peer restarts twice": story(
        *RESTARTED,
        up(3.1, node="b", run=2, peer="a"),
        sent(1, 4),
        ended("b", 5, 2, how="killed"),
        began("b", 6, 3),
        settled(1, 7, "lost?peer_restarted"),
    ),
    "a peer forgets": story(
        Forgot(0.5, "b", 1, "a"),
        sent(1),
        got(1, 1.1),
        settled(1, 2, "lost?session_lost"),
        sent(2, 2),
        got(2, 2.2),
        settled(2, 2.3),
    ),
    "a peer forgets by beginning anew": story(*RESTARTED, sent(1, 4), settled(1, 5, "lost?session_lost")),
    "a node stops": story(
        up(0.5),
        sent(1, expires=3600),
        sent(2),
        got(2, 1.1),
        stopping(5),
        settled(2, 5.1),
        phase(15, "draining", "closed"),
        settled(1, 15, "lost?node_stopped"),
        ledger(15, 2, 1, 0, 0, 1, 0, 0),
        ended("a", 15),
        told(1, 15, "lost?node_stopped"),
    ),
    "a node stops before what was handed on has found a proxy": story(
        sent(1), ENDED, stopping(5), settled(1, 6, "lost:node_stopped"), ended("a", 6)
    ),
    "a node is cancelled": story(sent(1), settled(1, 5, "lost?node_stopped"), ended("a", 5, how="killed")),
    "two hosts have one key": story(
        began("a2", 2.0, key="key of a"),
        *(sent(number, 2) for number in (1, 2)),
        *(sent(number, 2, node="a2") for number in (3, 4)),
        got(3, 2.1, peer="a2"),
        got(1, 2.2),
        got(4, 2.3),
        got(2, 2.4, peer="a2"),
        *(settled(number, 2.5, node="a2") for number in (3, 4)),
        settled(1, 2.5),
        settled(2, 3, "lost?session_lost"),
    ),
    "two hosts have the key that a message is for": story(
        permanent(),
        began("b2", 2.0, key="key of b"),
        up(3, node="b2", peer="a"),
        sent(1, 4),
        got(1, 4.1, node="b2"),
        settled(1, 5, "lost?peer_restarted"),
        healed(10),
    ),
    # links
    "an ephemeral link is lost, and the next message makes another": story(
        phase(1, "idle", "dialing", "first message"),
        sent(1, 1),
        sent(2, 1),
        up(1.1),
        phase(1.1, "handshaking", "ready"),
        got(1, 1.2),
        down(5),
        ENDED,
        settled(1, 5, "lost?connection_lost"),
        settled(2, 5, "lost:connection_lost"),
        phase(6, "idle", "dialing", "first message"),
        sent(3, 6.05),
        up(6.1),
        got(3, 6.2),
        settled(3, 6.3),
    ),
    "nobody could be reached": story(
        sent(1),
        phase(1, "idle", "dialing"),
        phase(2, "dialing", "backoff"),
        phase(20, "backoff", "closed"),
        settled(1, 20, "lost:unreachable: nobody listens"),
    ),
    "an idle close hands on what came meanwhile": story(
        up(0.5),
        sent(1),
        down(5),
        ENDED,
        phase(5.1, "idle", "dialing", "first message"),
        up(5.2),
        got(1, 5.3),
        settled(1, 5.4),
    ),
    "an idle close hands on what expires": story(sent(1), ENDED, settled(1, 31, "expired:")),
    "somebody asked for a connection": story(ENDED, phase(6, "idle", "dialing", "dial now"), up(6.1)),
    "a link is no longer permanent": story(
        permanent(),
        up(0.5),
        sent(1),
        sent(2),
        down(2),
        phase(2, "ready", "backoff"),
        permanent(3, yes=False),
        settled(1, 3, "lost?connection_lost"),
        phase(4, "backoff", "closed"),
        settled(2, 4, "lost:connection_lost"),
    ),
    "a link is made permanent when it is just being lost": story(
        up(0.5),
        permanent(5),
        sent(1, 5),
        down(5),
        phase(5, "ready", "closed"),
        settled(1, 5, "lost?connection_lost"),
        phase(5, "idle", "dialing", "permanent"),
    ),
    "a link that was permanent is lost just when it is not any more": story(
        *(permanent(), up(0.5), permanent(5, yes=False), down(5)),
        *(phase(5, "ready", "backoff"), phase(5, "backoff", "closed")),
    ),
    "a link is lost just when it is not permanent any more, as it was unnoticed": story(
        *(up(0.5), down(5), phase(5, "ready", "backoff"), phase(5, "backoff", "closed", "permanence was set")),
    ),
    "a link that is not permanent any more is made for what waits": story(
        *(permanent(), up(0.5), sent(1), permanent(5, yes=False), down(5), phase(5, "ready", "backoff")),
        *(phase(6, "backoff", "dialing", "retry"), up(6.1), got(1, 6.2), settled(1, 6.3)),
    ),
    "a node is killed before what it dials for is in the history": story(
        *(phase(1, "idle", "dialing", "first message"), ended("a", 1.1, how="killed")),
    ),
    "an ephemeral link's own dial goes on when the peer's has ended": story(
        up(0.5), down(5), phase(5, "ready", "handshaking"), up(5.1)
    ),
    "the peer makes the link": story(phase(1, "idle", "ready", "accepted"), up(1)),
    "a sender's time is over when its message is delivered": story(
        sent(1), got(1, 30.99), settled(1, 31), told(1, 31, "expired?")
    ),
    "a permanent link breaks long after the heal and is up in time": story(
        permanent(), up(1), healed(10), down(90), up(129), until=300
    ),
    "a link is not permanent when all is healed": story(permanent(), permanent(5, yes=False), healed(10), until=300),
    "a link is not permanent for long enough to be up": story(
        permanent(), healed(10), permanent(20, yes=False), until=300
    ),
    "a peer is gone before the link must be up": story(
        permanent(), healed(10), ended("b", 20, how="killed"), until=300
    ),
    "a node stops before its link must be up": story(permanent(), healed(10), stopping(20), ended("a", 21), until=300),
    "a peer wants peace, and then less of it": story(
        permanent(), healed(10), RetryAfter(11, "a", 1, "b", 30.0), RetryAfter(12, "a", 1, "b", 1.0), up(80)
    ),
    "a peer wants peace to the end": story(permanent(), healed(10), RetryAfter(35, "a", 1, "b", 30.0)),
    "permanent links are up in time, or need not be": story(
        began("c"),
        permanent(),
        permanent(node="a", peer="c"),
        permanent(node="b", peer="a"),
        permanent(node="b", peer="c"),
        up(0.5),
        up(0.5, node="b", peer="a"),
        up(0.5, node="b", peer="c"),
        RetryAfter(1, "a", 1, "b", 30.0),
        ended("c", 2, how="killed"),
        down(5),
        healed(10),
        down(40, node="b", peer="a"),
        up(70),  # by 71
        up(79, node="b", peer="a"),  # by 80
    ),
    "a fault follows before the link must be up": story(permanent(), healed(10), fault(20), until=200),
    "the history ends before the link must be up": story(permanent(), healed(10), until=49),
    # bytes that are changed
    "bytes are changed to the end": story(
        fault(0.5, corrupts=True),
        sent(1),
        settled(1, 1),
        sent(2),
        settled(2, 2, "lost?session_lost"),
        got("changed", 3),
    ),
    "a killed node had taken a message": story(ended("b", 1, how="killed"), sent(1), got(1, 1.1), settled(1, 1.2)),
    "bytes are changed": story(
        fault(0.5, corrupts=True),
        sent(1),
        sent(2),
        sent(3),
        sent(4),
        sent(5),
        got("changed", 1.1),
        settled(1, 1.2),
        got(3, 1.2),
        got(2, 1.2),
        got(3, 1.3),
        settled(2, 1.3),
        settled(3, 1.3),
        settled(4, 2, "lost?poison"),
        settled(5, 2, "refused:bad_message"),
        got(5, 2),
        healed(3),
        got("changed too", 3.1),
        sent(6, 4),
        got(6, 4.1),
        settled(6, 4.2),
    ),
}
"""What is peculiar, and the history."""
