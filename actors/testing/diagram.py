"""The history of a run as a Mermaid sequence diagram. Pure: records in, text out.

Nodes are the participants. What happens often is one line: messages of one lane between two events that matter (a
fault, a link, a crash) are counted, what repeats is a loop, and of a long run only the part before the first violation
is shown. Whatever was left out is said.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from msgspec import Struct

from actors.testing.history import (
    Accepted,
    AnyRecord,
    Began,
    Bytes,
    CoreCrashed,
    Ended,
    Entered,
    Fault,
    Finished,
    Forgot,
    Healed,
    Left,
    LinkDown,
    LinkUp,
    Permanence,
    Phase,
    RetryAfter,
    Settled,
    Stopping,
    Told,
    Violation,
    Withdrawn,
)

LINES = 100
"""Events that a diagram shows, unless told otherwise."""
FAULTS = 20
"""Faults that it shows besides, of the part that is left out."""
_WIDTH = 140
_RANGES = 5
_PERIOD = 4
"""The longest sequence of events that is recognized when it repeats."""
_AT_ONCE = 1.0
"""Seconds within which two ends see the same link come or go."""

Lane: TypeAlias = tuple[str, str, str, str, str, str]
"""Sender's node and engine, receiver's node and engine, kind, content: what a message is known by at both ends."""


class _Event(Struct, eq=False):
    """One line of the diagram, or several records that make one."""

    key: tuple[object, ...]
    at: float
    words: str
    of: str = ""
    """What stands behind the words: `tell`, with its count, and the messages' numbers; or `#`, the numbers alone."""
    tail: str = ""
    where: tuple[str, ...] = ()
    """The nodes that a note stands over, none for all; or the two ends of an arrow."""
    arrow: str = ""
    matters: bool = False
    """It ends a stretch in which messages are counted."""
    kept: bool = False
    """It is shown whatever else is left out."""
    numbers: list[int] = []
    count: int = 1
    until: float = 0.0


def diagram(history: Iterable[AnyRecord], violations: Sequence[Violation] = (), *, lines: int = LINES) -> str:
    """A Mermaid `sequenceDiagram` of about so many events at most; it ends with a line break."""
    records = _to_the_end(list(history))
    events = _condensed(_with_violations(_Reader().read(records), violations))
    nodes = list(dict.fromkeys(record.node for record in records if isinstance(record, Began))) or ["nobody"]
    names = {node: f"n{index}" for index, node in enumerate(nodes, 1)}
    drawn = ["sequenceDiagram", *(f"    participant {names[node]} as {escaped(node)}" for node in nodes)]
    for part in _bounded(_loops(events), lines):
        drawn += part.drawn(names)
    return "\n".join(drawn) + "\n"


def _to_the_end(records: list[AnyRecord]) -> list[AnyRecord]:
    """Without the ends of nodes that came of nothing but the end of a run that failed."""
    if not any(isinstance(record, Finished) for record in records[-1:]):
        while records and isinstance(records[-1], Ended | Left):
            records.pop()
    return records


def escaped(text: str) -> str:
    """Text that means nothing to Mermaid: no end of a statement, no entity, no tag, no formula."""
    return "".join(_ESCAPES.get(c, c if c.isprintable() else " ") for c in text)


_ESCAPES = {c: f"#{ord(c)};" for c in "#;%<&$@{}\\"}


# -- records to events ------------------------------------------------------------------------------------


class _Reader:
    """Knows messages by their numbers, also where only their content crossed."""

    def __init__(self) -> None:
        self._peers: dict[int, str] = {}
        self._coming: defaultdict[Lane, deque[int]] = defaultdict(deque)
        self._came: dict[Lane, int] = {}

    def read(self, history: Iterable[AnyRecord]) -> Iterator[_Event]:
        for record in history:
            event = self._message(record) or _life(record) or _link(record)
            if event is not None:
                event.until = event.at
                yield event

    def _message(self, record: AnyRecord) -> _Event | None:
        match record:
            case Accepted():
                return self._accepted(record)
            case Entered():
                return self._entered(record)
            case Settled():
                return self._settled(record)
            case Told(outcome="delivered" | "answered"):
                return None  # as Settled says
            case Told(at=at, node=node, message=number, outcome=outcome, reason=reason):
                tail = f"learns: {outcome}{_because(reason)}"
                key = ("told", node, tail)
                return _Event(key, at, "the caller of", "#", tail, where=(node,), numbers=[number])
            case Withdrawn(at=at, node=node, message=number):
                return _Event(
                    ("withdrawn", node), at, "nobody waits any more for", "#", where=(node,), numbers=[number]
                )
        return None

    def _accepted(self, record: Accepted) -> _Event:
        node, peer, number = record.node, record.peer, record.message
        self._peers[number] = peer
        self._coming[node, record.sender, peer, record.target, record.kind, record.content].append(number)
        tail = f"for {peer}/{record.target}"
        key = ("accepted", node, record.kind, tail)
        return _Event(key, record.at, "accepts", record.kind, tail, where=(node,), numbers=[number])

    def _entered(self, record: Entered) -> _Event:
        lane = (record.peer, record.sender, record.node, record.target, record.kind, record.content)
        number, tail = 0, f"into {record.target}"
        if self._coming[lane]:
            number = self._came[lane] = self._coming[lane].popleft()
        elif lane in self._came:
            number, tail = self._came[lane], f"{tail} AGAIN"
        else:
            tail += ", which nobody sent"
        event = _Event(("entered", record.peer, record.node, record.kind, tail), record.at, "", record.kind, tail)
        event.where, event.arrow = (record.peer, record.node), "->>"
        event.numbers = [number] if number else []
        event.kept = "AGAIN" in tail or not number
        return event

    def _settled(self, record: Settled) -> _Event:
        node, peer = record.node, self._peers.get(record.message, "")
        tail = record.outcome + _because(record.reason) + (", perhaps sent" if record.maybe_sent else "")
        event = _Event(("settled", node, peer, tail), record.at, "", "#", tail, numbers=[record.message])
        if record.outcome in ("delivered", "sent") and peer:
            event.where, event.arrow = (peer, node), "-->>"
        else:
            event.where = (node,)
        return event


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _life(record: AnyRecord) -> _Event | None:
    """What becomes of nodes, and what the simulation does to them."""
    at, node = record.at, record.node
    match record:
        case Began(run=run, lost_state=lost):
            words = f"run {run} begins" + (", its state is lost" if lost else "")
            return _Event(("began", node, run > 1, lost), at, words, where=(node,), matters=run > 1)
        case Stopping():
            return _Event(("stopping", node), at, "is told to stop", where=(node,), matters=True)
        case Ended(how=how, error=error):
            words = {"stopped": "has stopped", "killed": "is killed", "failed": f"FAILED: {error}"}[how]
            return _Event(("ended", node, how), at, words, where=(node,), matters=True)
        case Left(what=what):
            return _Event(("left", node, what), at, f"left behind: {what}", where=(node,))
        case CoreCrashed(engine=engine, error=error):
            return _Event(
                ("core", node, engine), at, f"its engine {engine} CRASHED: {error}", where=(node,), matters=True
            )
        case Fault(what=what):
            return _Event(("fault", at, what), at, f"FAULT {what}", matters=True, kept=True)
        case Healed():
            return _Event(("healed",), at, "all faults are over", matters=True, kept=True)
        case Finished():
            return _Event(("finished",), at, "the end", matters=True)
    return None


def _link(record: AnyRecord) -> _Event | None:
    at, node = record.at, record.node
    match record:
        case LinkUp(peer=peer):
            return _Event(("up", *sorted((node, peer))), at, "the link is up", where=(node, peer), matters=True)
        case LinkDown(peer=peer, why=why):
            words = "the link is down" + (f": {why}" if why else "")
            return _Event(("down", *sorted((node, peer))), at, words, where=(node, peer), matters=True)
        case Permanence(peer=peer, permanent=permanent):
            words = f"holds its link to {peer} for {'permanent' if permanent else 'ephemeral'}"
            return _Event(("permanence", node, words), at, words, where=(node,))
        case Phase(peer=peer, new="closed", why=why):
            words = f"its proxy for {peer} has ended" + (f": {why}" if why else "")
            return _Event(("closed", node, words), at, words, where=(node,), matters=True)
        case Forgot(peer=peer):
            return _Event(("forgot", node, peer), at, f"forgets {peer}", where=(node,), matters=True)
        case RetryAfter(peer=peer, seconds=seconds):
            words = f"is asked by {peer} to wait {seconds:g} s"
            return _Event(("retry", node, words), at, words, where=(node,))
        case Bytes(peer=peer, direction=way, proven=False):
            words = f"bytes {way} before {peer or 'somebody'} is proven"
            return _Event(("bytes", node, words), at, words, where=(node,), matters=True)
    return None


def _with_violations(events: Iterable[_Event], violations: Sequence[Violation]) -> Iterator[_Event]:
    """Each violation after all that happened up to its time."""
    waiting = deque(sorted(violations, key=lambda found: found.at))
    for event in events:
        while waiting and waiting[0].at < event.at:
            yield _violation(waiting.popleft())
        yield event
    yield from map(_violation, waiting)


def _violation(found: Violation) -> _Event:
    words = f"VIOLATION of {found.promise}, {found.rule}: {found.words}"
    return _Event(("violation", found), found.at, words, matters=True, kept=True, until=found.at)


# -- fewer of them ----------------------------------------------------------------------------------------


def _condensed(events: Iterable[_Event]) -> list[_Event]:
    """Messages of one kind between two events that matter are one event, and a link that both ends see."""
    made: list[_Event] = []
    stretch: dict[tuple[object, ...], _Event] = {}
    for event in events:
        same = _same(event, made, stretch)
        if same is not None:
            _add(same, event)
            continue
        if event.matters:
            stretch.clear()
        else:
            stretch[event.key] = event
        made.append(event)
    return made


def _same(event: _Event, made: list[_Event], stretch: dict[tuple[object, ...], _Event]) -> _Event | None:
    if not event.matters:
        return stretch.get(event.key)
    for before in reversed(made[-2:]):
        if before.key == event.key and event.at - before.until <= _AT_ONCE and event.key[0] in ("up", "down"):
            return before
    return None


def _add(event: _Event, more: _Event) -> None:
    event.numbers.extend(more.numbers)
    event.count += more.count
    event.until = more.until


class _Part(Struct):
    """Events that are drawn once, and how often they came in a row."""

    events: list[_Event]
    times: int = 1
    until: float = 0.0

    @property
    def violates(self) -> bool:
        """Whether a promise is broken here."""
        return any(event.key[0] == "violation" for event in self.events)

    @property
    def kept(self) -> bool:
        """Whether it is shown whatever else is left out."""
        return any(event.kept for event in self.events)

    def drawn(self, names: dict[str, str]) -> list[str]:
        lines = [f"    {_drawn(event, names)}" for event in self.events]
        if self.times == 1:
            return lines
        head = f"    loop {self.times} times in a row, until {self.until:.3f}"
        return [head, *(f"    {line}" for line in lines), "    end"]


def _loops(events: Sequence[_Event]) -> list[_Part]:
    """What comes three times in a row or more is drawn once."""
    parts: list[_Part] = []
    index = 0
    while index < len(events):
        period, times = _repetition(events, index)
        end = index + period * times
        parts.append(_Part(list(events[index : index + period]), times, events[end - 1].until))
        index = end
    return parts


def _repetition(events: Sequence[_Event], start: int) -> tuple[int, int]:
    """How many events from here come again and again, and how often; (1, 1) if they do not."""
    for period in range(1, _PERIOD + 1):
        first = [event.key for event in events[start : start + period]]
        times = 1
        while [event.key for event in events[start + times * period : start + (times + 1) * period]] == first:
            times += 1
        if times >= 3:
            return period, times
    return 1, 1


def _bounded(parts: list[_Part], most: int) -> list[_Part]:
    """Those before the first violation and a few after it, else the last ones; and all faults."""
    focus = next((index for index, part in enumerate(parts) if part.violates), len(parts) - 1)
    kept = {index for index, part in enumerate(parts[:focus]) if part.kept}
    kept = set(sorted(kept)[-FAULTS:])
    kept |= set(_fitting(parts, range(focus + 1, len(parts)), most // 5))
    kept |= set(_fitting(parts, range(focus, -1, -1), most - len(kept)))
    return list(_with_gaps(parts, kept))


def _fitting(parts: list[_Part], indices: Iterable[int], most: int) -> Iterator[int]:
    """Of these, in their order, as many as have so many lines."""
    for index in indices:
        most -= len(parts[index].events)
        if most < 0:
            return
        yield index


def _with_gaps(parts: list[_Part], kept: set[int]) -> Iterator[_Part]:
    left_out = 0
    for index, part in enumerate(parts):
        if index not in kept:
            left_out += part.times * len(part.events)
            continue
        if left_out:
            yield _gap(left_out, part.events[0].at)
            left_out = 0
        yield part
    if left_out:
        yield _gap(left_out, parts[-1].until)


def _gap(count: int, at: float) -> _Part:
    words = f"{count} more {'event' if count == 1 else 'events'} until here, left out"
    return _Part([_Event(("gap", at), at, words, until=at)])


# -- events to text ---------------------------------------------------------------------------------------


def _drawn(event: _Event, names: dict[str, str]) -> str:
    known = [names[node] for node in event.where if node in names]
    in_order = [name for name in names.values() if name in known]
    text = escaped(_shortened(f"{event.at:.3f} {_words(event)}"))
    if event.arrow and len(known) == 2:
        return f"{known[0]}{event.arrow}{known[1]}: {text}"
    if not in_order:
        in_order = list(names.values())[:: max(1, len(names) - 1)]  # the first and the last
    return f"Note over {','.join(in_order)}: {text}"


def _words(event: _Event) -> str:
    words = [event.words]
    if event.of in _MANY:
        words.append(f"1 {event.of}" if event.count == 1 else f"{event.count} {_MANY[event.of]}")
    words += [numbered(event.numbers), event.tail]
    if event.until - event.at >= 0.001:
        words.append(f"(until {event.until:.3f})")
    return " ".join(filter(None, words))


_MANY = {"tell": "tells", "ask": "asks", "reply": "replies", "cancel": "cancels"}


def numbered(numbers: Iterable[int]) -> str:
    """`[1-50, 52]`: messages by their numbers; nothing for none."""
    ranges: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1] = ranges[-1][0], number
        else:
            ranges.append((number, number))
    words = [f"{first}" if first == last else f"{first}-{last}" for first, last in ranges[:_RANGES]]
    more = ["…"] if len(ranges) > _RANGES else []
    return f"[{', '.join([*words, *more])}]" if words else ""


def _shortened(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
