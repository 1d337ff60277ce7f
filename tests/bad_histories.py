"""Bad histories for the judge, each with the one promise and rule that it breaks."""

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
    finished,
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
    thrown,
    told,
    up,
)

from actors.testing.history.records import Began, Bytes, CoreCrashed, Forgot, Held, History, Left, RetryAfter, Withdrawn

BAD: dict[str, tuple[str, History]] = {
    # P1: one outcome
    "a message ends twice": ("P1 settled-twice", story(*DELIVERED, settled(1, 1.3))),
    "a message ends in two ways": ("P1 settled-twice", story(*DELIVERED, settled(1, 31, "expired?"))),
    "a reliable message is only sent": ("P1 outcome-of-another-class", story(sent(1), settled(1, 1.2, "sent"))),
    "an unreliable message is delivered": (
        "P1 outcome-of-another-class",
        story(thrown(1), got(1, 1.1, kind="datagram"), settled(1, 1.2)),
    ),
    "an unreliable message is perhaps sent": (
        "P1 unreliable-and-perhaps-sent",
        story(thrown(1), settled(1, 31, "expired?")),
    ),
    "an unreliable message enters a mailbox twice": (
        "P2 twice-in-a-mailbox",
        story(thrown(1), settled(1, 1.1, "sent"), got(1, 1.2, kind="datagram"), got(1, 1.3, kind="datagram")),
    ),
    "an unreliable message enters a mailbox as a reliable one": (
        "P2 never-sent-but-in-a-mailbox",
        story(thrown(1), settled(1, 1.1, "sent"), got(1, 1.2)),
    ),
    "what nobody accepted ends": ("P1 settled-but-never-accepted", story(settled(7, 1, "expired:"))),
    "a message is forgotten": ("P1 no-outcome", story(sent(1, expires=3600))),
    "a node stops and settles nothing": (
        "P1 no-outcome",
        story(sent(1, expires=3600), stopping(5), ended("a", 6), settled=False),
    ),
    "a message stays though its time is over": ("P1 no-outcome", story(sent(1), settled=False)),
    "a killed node had forgotten a message": (
        "P1 no-outcome",
        story(sent(1), ended("a", 50, how="killed"), settled=False),
    ),
    # P1: in time
    "a message expires too early": ("P1 expired-early", story(sent(1), settled(1, 30.5, "expired:"))),
    "a message expires before it is withdrawn": (
        "P1 expired-early",
        story(asked(1), settled(1, 5, "expired:"), Withdrawn(6, "a", 1, 1)),
    ),
    "a message expires too late": ("P1 outcome-late", story(sent(1), settled(1, 33, "expired:"))),
    "a message is lost when it should have expired": (
        "P1 outcome-late",
        story(sent(1), stopping(40), settled(1, 41, "lost:node_stopped"), ended("a", 42)),
    ),
    "a message expires late in a node that did not stall": (
        "P1 outcome-late",
        story(sent(1), fault(30, stalls=8, node="b"), settled(1, 38, "expired:")),
    ),
    "a message expires late, and its node stalls only then": (
        "P1 outcome-late",
        story(sent(1), fault(33, stalls=8), settled(1, 41, "expired:")),
    ),
    # P1: as told
    "a sender is told twice": ("P1 told-twice", story(*DELIVERED, told(1, 1.2, "delivered"), told(1, 31, "expired?"))),
    "a sender is told of what nobody accepted": ("P1 told-but-never-accepted", story(told(7, 1, "delivered"))),
    "a sender is told of a message which nobody accepted that it was sent": (
        "P1 told-but-never-accepted",
        story(told(7, 1, "lost?node_stopped")),
    ),
    "a sender is told that what was perhaps sent was not": (
        "P1 told-otherwise",
        story(sent(1), ENDED, settled(1, 5, "lost?connection_lost"), told(1, 5, "lost:connection_lost")),
    ),
    "a sender is told that what expired was delivered": (
        "P1 told-otherwise",
        story(sent(1), settled(1, 31.02, "expired?"), told(1, 31.02, "delivered")),
    ),
    "a sender is told that what was delivered was surely not sent": (
        "P1 told-otherwise",
        story(*DELIVERED, told(1, 1.2, "lost:connection_lost")),
    ),
    "a sender is told another reason": (
        "P1 told-otherwise",
        story(sent(1), settled(1, 5, "lost?connection_lost"), told(1, 5, "lost?poison")),
    ),
    "a sender is told of a refusal that did not come": (
        "P1 told-otherwise",
        story(*DELIVERED, told(1, 1.2, "refused:full")),
    ),
    "a sender is told that its time is over when the message was lost long ago": (
        "P1 told-otherwise",
        story(sent(1), settled(1, 5, "lost?connection_lost"), told(1, 31, "expired?")),
    ),
    "an asker is told that its question was delivered": (
        "P1 told-otherwise",
        story(asked(1), got(1, 1.1), settled(1, 1.2), told(1, 1.2, "delivered")),
    ),
    "an asker gets an answer to a question that was refused": (
        "P1 told-otherwise",
        story(asked(1), settled(1, 1.2, "refused:no_engine"), told(1, 1.2, "answered")),
    ),
    "an asker gets an answer after its question was lost": (
        "P1 told-otherwise",
        story(asked(1), got(1, 1.1), settled(1, 5, "lost?connection_lost"), told(1, 6, "answered")),
    ),
    "an asker is told another refusal": (
        "P1 told-otherwise",
        story(asked(1), settled(1, 1.2, "refused:no_engine"), told(1, 1.2, "refused:unhandled")),
    ),
    "an asker is told that a question which was delivered was surely not": (
        "P1 told-otherwise",
        story(asked(1), got(1, 1.1), settled(1, 1.2), told(1, 31, "expired:")),
    ),
    "an asker gives up before its time": (
        "P1 told-expired-early",
        story(asked(1), got(1, 1.1), settled(1, 1.2), told(1, 20, "expired?")),
    ),
    # P1: the ledger
    "a ledger does not add up": ("P1 ledger-does-not-close", story(ledger(5, 5, 1, 0, 1, 1, 1, 0, peer="b"))),
    "a ledger counts below zero": ("P1 ledger-below-zero", story(ledger(5, 1, 2, 0, 0, 0, 0, -1, peer="b"))),
    "a ledger closes and is not true": ("P1 ledger-untrue", story(*DELIVERED, ledger(5, 1, 0, 0, 0, 1, 0, 0))),
    "a stopped node has lost count": (
        "P1 ledger-untrue",
        story(*DELIVERED, stopping(5), ledger(6, 2, 1, 0, 0, 1, 0, 0), ended("a", 6), settled=False),
    ),
    # P1: in no mailbox
    "a message is refused and in a mailbox": (
        "P1 refused-but-in-a-mailbox",
        story(sent(1), got(1, 1.1), settled(1, 1.2, "refused:full")),
    ),
    "a message is refused and enters a mailbox later": (
        "P1 refused-but-in-a-mailbox",
        story(sent(1), settled(1, 1.2, "refused:full"), got(1, 1.3)),
    ),
    "a message is refused and in a mailbox, after bytes were changed": (
        "P1 refused-but-in-a-mailbox",
        story(fault(10, corrupts=True), healed(20), sent(1, 21), got(1, 21.1), settled(1, 21.2, "refused:full")),
    ),
    "a message expires unwritten and is in a mailbox": (
        "P1 surely-not-sent-but-in-a-mailbox",
        story(sent(1), got(1, 31), settled(1, 31, "expired:")),
    ),
    "a message is lost unwritten and enters a mailbox later": (
        "P1 surely-not-sent-but-in-a-mailbox",
        story(sent(1), ENDED, settled(1, 5, "lost:connection_lost"), got(1, 6)),
    ),
    "of two equal messages one was surely not sent, and both are in a mailbox": (
        "P1 surely-not-sent-but-in-a-mailbox",
        story(
            sent(1, content="c"),
            sent(2, content="c"),
            got("c", 1.1),
            settled(1, 1.2),
            got("c", 1.3),
            settled(2, 31, "expired:"),
        ),
    ),
    "a sender is told that its message was surely not sent, and it is in a mailbox": (
        "P1 surely-not-sent-but-in-a-mailbox",
        story(sent(1), told(1, 31, "expired:"), got(1, 31.02), ended("a", 31.03, how="killed")),
    ),
    # P1: in a mailbox
    "a message is delivered and in no mailbox": (
        "P1 delivered-but-in-no-mailbox",
        story(fault(0.5), sent(1), settled(1, 1.2)),
    ),
    "a message is delivered before it is in a mailbox": (
        "P1 delivered-but-in-no-mailbox",
        story(sent(1), settled(1, 1.2), got(1, 1.2)),
    ),
    "two equal messages are delivered and one is in a mailbox": (
        "P1 delivered-but-in-no-mailbox",
        story(sent(1, content="c"), sent(2, content="c"), got("c", 1.1), settled(1, 1.2), settled(2, 1.3)),
    ),
    "a question is answered that nobody got": (
        "P1 answered-but-in-no-mailbox",
        story(asked(1), told(1, 2, "answered"), ended("a", 3, how="killed")),
    ),
    "a handler crashed over a question that came later": (
        "P1 answered-but-in-no-mailbox",
        story(asked(1), told(1, 2, "crashed"), got(1, 2.1), settled(1, 2.2)),
    ),
    "a message is delivered and in no mailbox, before bytes are changed": (
        "P1 delivered-but-in-no-mailbox",
        story(sent(1), settled(1, 1.2), fault(10, corrupts=True), healed(20)),
    ),
    "a message is delivered and in no mailbox, after bytes were changed": (
        "P1 delivered-but-in-no-mailbox",
        story(fault(10, corrupts=True), healed(20), sent(1, 21), settled(1, 21.2)),
    ),
    # P2: once
    "a message enters a mailbox twice": ("P2 twice-in-a-mailbox", story(*DELIVERED, got(1, 1.3))),
    "a message enters the mailboxes of two runs": (
        "P2 twice-in-a-mailbox",
        story(*DELIVERED, *RESTARTED, got(1, 4, run=2)),
    ),
    "two equal messages enter a mailbox three times": (
        "P2 twice-in-a-mailbox",
        story(
            sent(1, content="c"),
            sent(2, content="c"),
            got("c", 1.1),
            settled(1, 1.2),
            got("c", 1.2),
            settled(2, 1.3),
            got("c", 1.4),
        ),
    ),
    "nobody has sent what enters a mailbox": ("P2 never-sent-but-in-a-mailbox", story(got(9, 1))),
    "a message enters a mailbox before it is sent": (
        "P2 never-sent-but-in-a-mailbox",
        story(got(1, 1), sent(1, 1), settled(1, 31.1, "expired?")),
    ),
    "what another node sends later is in a mailbox": (
        "P2 never-sent-but-in-a-mailbox",
        story(began("c"), got(1, 1.1), sent(1, 2, node="c"), settled(1, 33, "expired?", node="c")),
    ),
    "what another node has sent comes from that one, and then from one that did not send it": (
        "P2 never-sent-but-in-a-mailbox",
        story(began("c"), sent(1, node="c"), got(1, 1.1, peer="c"), settled(1, 1.2, node="c"), got(1, 1.3)),
    ),
    "what was sent from and to other nodes is in a mailbox": (
        "P2 never-sent-but-in-a-mailbox",
        story(began("c"), sent(1, node="c", peer="a"), got(1, 1.1), settled(1, 31.1, "expired?", node="c")),
    ),
    "what was sent to another engine is in a mailbox": (
        "P2 never-sent-but-in-a-mailbox",
        story(sent(1, target="z"), got(1, 1.1), settled(1, 31.1, "expired?")),
    ),
    "a message enters a mailbox again after bytes were changed": (
        "P2 twice-in-a-mailbox",
        story(fault(10, corrupts=True), healed(20), sent(1, 21), got(1, 21.1), settled(1, 21.2), got(1, 21.3)),
    ),
    "an answer enters a mailbox": (
        "P2 never-sent-but-in-a-mailbox",
        story(sent(1, kind="reply"), got(1, 1.1), settled(1, 1.2)),
    ),
    "a message that was written for one run of the peer enters the next": (
        "P2 written-for-one-run-and-in-another",
        story(sent(1), *RESTARTED, settled(1, 3.1, "lost?peer_restarted"), got(1, 3.2, run=2)),
    ),
    "of two equal messages the next run gets the one that was written for the last": (
        "P2 written-for-one-run-and-in-another",
        story(
            sent(1, content="c"),
            *RESTARTED,
            sent(2, 3, content="c"),
            settled(1, 3.1, "lost?peer_restarted"),
            got("c", 3.2, run=2),
            settled(2, 3.3),
            got("c", 3.4, run=2),
        ),
    ),
    # P2: in order
    "two messages change places": (
        "P2 out-of-order",
        story(sent(1), sent(2), got(2, 1.1), got(1, 1.1), settled(1, 1.2), settled(2, 1.2)),
    ),
    "a question overtakes": (
        "P2 out-of-order",
        story(sent(1), asked(2), got(2, 1.1), settled(2, 1.2), got(1, 1.3), settled(1, 1.4)),
    ),
    "one message overtakes two": (
        "P2 out-of-order",
        story(
            *(sent(number) for number in (1, 2, 3)),
            *(got(number, 1.1) for number in (3, 1, 2)),
            *(settled(number, 1.2) for number in (1, 2, 3)),
        ),
    ),
    "equal messages change places with another": (
        "P2 out-of-order",
        story(
            *(sent(number, content=content) for number, content in enumerate("cdc", 1)),
            *(got(content, 1.1) for content in "ccd"),
            *(settled(number, 1.2) for number in (1, 2, 3)),
        ),
    ),
    "a message is written again for the next run, behind one for that run": (
        "P2 out-of-order",
        story(sent(1), sent(2), *RESTARTED, got(2, 3.1, run=2), got(1, 3.2, run=2), settled(1, 3.3), settled(2, 3.3)),
    ),
    "equal messages do not change places with one that is sent later": (
        "P2 out-of-order",
        story(
            sent(1, content="c"),
            sent(2, content="d"),
            got("d", 1.1),
            got("c", 1.2),
            sent(3, 2, content="c"),
            got("c", 2.1),
            *(settled(number, 2.2) for number in (1, 2, 3)),
        ),
    ),
    "of two equal messages the next run gets the second, and then what was sent before it": (
        "P2 out-of-order",
        story(
            *(sent(number, content=content) for number, content in enumerate("cdc", 1)),
            *RESTARTED,
            settled(1, 4, "lost?peer_restarted"),
            got("c", 4.1, run=2),
            got("d", 4.1, run=2),
            *(settled(number, 4.2) for number in (2, 3)),
        ),
    ),
    "a message is written again after bytes were changed": (
        "P2 out-of-order",
        story(
            fault(10, corrupts=True),
            healed(20),
            *(sent(number, 21) for number in (1, 2)),
            *(got(number, 21.1) for number in (2, 1)),
            *(settled(number, 21.2) for number in (1, 2)),
        ),
    ),
    # P2: handled
    "a message is handled twice": ("P2 handled-twice", story(*DELIVERED, handled(1, 2), handled(1, 3))),
    "a message is handled that never came": ("P2 handled-but-never-in-a-mailbox", story(*DELIVERED, handled(2, 2))),
    "a message is handled before it comes": (
        "P2 handled-but-never-in-a-mailbox",
        story(sent(1), handled(1, 1.1), got(1, 1.1), settled(1, 1.2)),
    ),
    "a message is handled by the next run": (
        "P2 handled-but-never-in-a-mailbox",
        story(*DELIVERED, *RESTARTED, handled(1, 4, run=2)),
    ),
    "messages are handled in another order": (
        "P2 handled-out-of-order",
        story(
            *(sent(number) for number in (1, 2)),
            *(got(number, 1.1) for number in (1, 2)),
            *(settled(number, 1.2) for number in (1, 2)),
            *(handled(number, 1.3) for number in (2, 1)),
        ),
    ),
    "equal messages are handled before the second one comes": (
        "P2 handled-twice",
        story(
            *(sent(number, content="c") for number in (1, 2)),
            *(got("c", 1.1), handled("c", 1.2), handled("c", 1.3), got("c", 1.4)),
            *(settled(number, 1.5) for number in (1, 2)),
        ),
    ),
    # P3
    "a message is lost over a permanent link": (
        "P3 lost-over-a-permanent-link",
        story(permanent(), up(0.5), sent(1), settled(1, 5, "lost?connection_lost")),
    ),
    "a message is lost over a link that was made permanent before it, and was ephemeral once": (
        "P3 lost-over-a-permanent-link",
        story(
            permanent(),
            permanent(0.5, yes=False),
            permanent(0.7),
            sent(1),
            settled(1, 5, "unreachable: no address answered in time".join(("lost:", ""))),
        ),
    ),
    "a message is lost over a link that a second one makes permanent": (
        "P3 lost-over-a-permanent-link",
        story(permanent(), permanent(1), sent(1), settled(1, 5, "lost?connection_lost")),
    ),
    "an asker is told that the connection of a permanent link was lost": (
        "P3 lost-over-a-permanent-link",
        story(permanent(), asked(1), got(1, 1.1), settled(1, 1.2), told(1, 5, "lost?connection_lost")),
    ),
    "a restart that was none": (
        "P3 peer-not-restarted",
        story(permanent(), sent(1), got(1, 1.1), settled(1, 5, "lost?peer_restarted")),
    ),
    "a restart that is known already": (
        "P3 peer-not-restarted",
        story(*RESTARTED, up(3.1, node="b", run=2, peer="a"), sent(1, 4), settled(1, 5, "lost?peer_restarted")),
    ),
    "a message that was not written is lost to a restart": (
        "P3 unwritten-but-lost",
        story(sent(1), *RESTARTED, settled(1, 4, "lost:peer_restarted")),
    ),
    "a session is lost that nobody forgot": (
        "P3 session-not-forgotten",
        story(Forgot(0.5, "b", 1, "c"), sent(1), settled(1, 5, "lost?session_lost")),
    ),
    "a node did not stop": (
        "P3 node-not-stopped",
        story(sent(1), stopping(2, "b"), settled(1, 5, "lost:node_stopped")),
    ),
    "a node stops a little later": (
        "P3 node-not-stopped",
        story(sent(1), settled(1, 5, "lost:node_stopped"), stopping(5.5), ended("a", 5.8)),
    ),
    "a node was killed long after": (
        "P3 node-not-stopped",
        story(sent(1), settled(1, 5, "lost:node_stopped"), ended("a", 9, how="killed")),
    ),
    "a message is poison on a clean wire": (
        "P3 poison-without-corruption",
        story(sent(1), settled(1, 5, "lost?poison")),
    ),
    "a message is poison where other faults are": (
        "P3 poison-without-corruption",
        story(fault(0.5), sent(1), settled(1, 5, "lost?poison")),
    ),
    "a message is poison before bytes are changed": (
        "P3 poison-without-corruption",
        story(sent(1), settled(1, 5, "lost?poison"), fault(6, corrupts=True)),
    ),
    "a loss for a reason that nobody knows": ("P3 unknown-cause", story(sent(1), settled(1, 5, "lost?bad_luck"))),
    # P4
    "a message outlives its proxy": (
        "P4 outlived-its-proxy",
        story(sent(1), ENDED, settled(1, 9, "lost?connection_lost")),
    ),
    "a message is delivered by a proxy that has ended": (
        "P4 outlived-its-proxy",
        story(sent(1), ENDED, got(1, 6), settled(1, 6)),
    ),
    "a message is lost with the link up": (
        "P4 lost-with-the-link-up",
        story(up(0.5), sent(1), down(2), up(3), ENDED, settled(1, 5, "lost?connection_lost"), down(5)),
    ),
    "a message is lost with the link up, which has just become permanent": (
        "P4 lost-with-the-link-up",
        story(up(0.5), permanent(1), sent(1), settled(1, 5, "lost?connection_lost")),
    ),
    "an ephemeral link waits to be dialed again": (
        "P4 lost-and-not-ended",
        story(up(0.5), down(5), phase(5, "ready", "backoff", "no heartbeat")),
    ),
    "an ephemeral link is dialed again with nothing to send": (
        "P4 dialed-for-nothing",
        story(
            up(0.5),
            *DELIVERED,
            down(5),
            ENDED,
            phase(5.1, "idle", "dialing", "first message"),
            up(5.2),
            sent(2, 9),
            got(2, 9.1),
            settled(2, 9.2),
        ),
    ),
    # P5
    "a queue holds too many messages": ("P5 more-than-it-may-hold", story(Held(1, "a", 1, "outbox", 11, 5, 10, 100))),
    "a queue holds too many bytes": ("P5 more-than-it-may-hold", story(Held(1, "a", 1, "outbox", 5, 101, 10, 100))),
    "a queue holds less than nothing": ("P5 less-than-nothing", story(Held(1, "a", 1, "outbox", -1, 0, 10, 100))),
    "a queue holds less than no bytes": ("P5 less-than-nothing", story(Held(1, "a", 1, "outbox", 0, -1, 10, 100))),
    # P6
    "a permanent link does not come up": ("P6 up-too-late", story(permanent(), fault(5), down(5), healed(10))),
    "a permanent link comes up too late": ("P6 up-too-late", story(permanent(), down(5), healed(10), up(51))),
    "a permanent link breaks after the heal and stays down": (
        "P6 up-too-late",
        story(permanent(), up(1), healed(10), down(20)),
    ),
    "a permanent link breaks long after the heal and stays down": (
        "P6 up-too-late",
        story(permanent(), up(1), healed(10), down(60), until=200),
    ),
    "a permanent link is not up in time after the peer wanted peace": (
        "P6 up-too-late",
        story(permanent(), down(5), RetryAfter(6, "a", 1, "b", 30.0), healed(10), up(77)),
    ),
    "a peer wants peace when the link should have been up": (
        "P6 up-too-late",
        story(permanent(), healed(10), RetryAfter(60, "a", 1, "b", 30.0), up(61)),
    ),
    "a permanent link is given up too late": (
        "P6 up-too-late",
        story(permanent(), healed(10), permanent(60, yes=False)),
    ),
    "a permanent link was not up when the node stopped": (
        "P6 up-too-late",
        story(permanent(), healed(10), stopping(60), ended("a", 61)),
    ),
    "a permanent link of a node whose key the history does not tell": (
        "P6 up-too-late",
        [Began(0, "a", 1, "", 1), Began(0, "b", 1, "", 1), permanent(), healed(10), finished(100)],
    ),
    # P7
    "an engine of the node's own crashes": ("P7 core-crashed", story(CoreCrashed(1, "a", 1, "router", "KeyError()"))),
    "a node fails": ("P7 node-failed", story(ended("a", 5, how="failed"))),
    # P8
    "bytes for one who is not proven": ("P8 unproven", story(Bytes(1, "a", 1, "b", "out", False))),
    "bytes of a stranger": ("P8 unproven", story(Bytes(1, "a", 1, "", "in", False))),
    "a message comes in another's name": (
        "P8 in-anothers-name",
        story(began("c"), sent(1, node="c"), got(1, 1.1), settled(1, 1.2, node="c")),
    ),
    "a message comes from another than its session is with": (
        "P8 in-anothers-name",
        story(
            began("c"),
            sent(1),
            sent(2, node="c"),
            got(1, 1.1),
            got(2, 1.1, came_from="c"),
            settled(1, 1.2),
            settled(2, 1.2),
        ),
    ),
    "a message comes to another than it is for": (
        "P8 in-anothers-mailbox",
        story(began("c"), sent(1), got(1, 1.1, node="c"), settled(1, 1.2)),
    ),
    # P9
    "something is left": ("P9 left-behind", story(ended("a", 5), Left(5, "a", 1, "a listener"))),
    "a stopped node still takes messages": (
        "P9 alive-after-its-end",
        story(sent(1), ended("b", 1.1), got(1, 1.2), settled(1, 1.3)),
    ),
    "a stopped node still has links": ("P9 alive-after-its-end", story(ended("b", 1.1), up(1.2, node="b", peer="a"))),
}
"""What is wrong, the one promise and rule to report, and the history."""
