"""The history of a run as a Mermaid sequence diagram. Pure: records in, text out.

Nodes are the participants. What happens often is one line: messages of one lane between two events that matter (a
fault, a link, a crash) are counted, what repeats is a loop, and of a long run only the part before the first violation
is shown. Whatever was left out is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from actors.testing.history.episodes import Episode, episodes
from actors.testing.history.records import AnyRecord, Began, Ended, Finished, Left, Violation

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


def diagram(history: Iterable[AnyRecord], violations: Sequence[Violation] = (), *, lines: int = LINES) -> str:
    """A Mermaid `sequenceDiagram` of about so many events at most; it ends with a line break."""
    records = _to_the_end(list(history))
    events = _condensed(episodes(records, violations))
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


# -- fewer of them ----------------------------------------------------------------------------------------


def _condensed(events: Iterable[Episode]) -> list[Episode]:
    """Messages of one kind between two events that matter are one event, and a link that both ends see."""
    made: list[Episode] = []
    stretch: dict[tuple[object, ...], Episode] = {}
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


def _same(event: Episode, made: list[Episode], stretch: dict[tuple[object, ...], Episode]) -> Episode | None:
    if not event.matters:
        return stretch.get(event.key)
    for before in reversed(made[-2:]):
        if before.key == event.key and event.at - before.until <= _AT_ONCE and event.key[0] in ("up", "down"):
            return before
    return None


def _add(event: Episode, more: Episode) -> None:
    event.numbers.extend(more.numbers)
    event.count += more.count
    event.until = more.until


class _Part(Struct):
    """Events that are drawn once, and how often they came in a row."""

    events: list[Episode]
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


def _loops(events: Sequence[Episode]) -> list[_Part]:
    """What comes three times in a row or more is drawn once."""
    parts: list[_Part] = []
    index = 0
    while index < len(events):
        period, times = _repetition(events, index)
        end = index + period * times
        parts.append(_Part(list(events[index : index + period]), times, events[end - 1].until))
        index = end
    return parts


def _repetition(events: Sequence[Episode], start: int) -> tuple[int, int]:
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
    return _Part([Episode(("gap", at), at, words, until=at)])


# -- events to text ---------------------------------------------------------------------------------------


def _drawn(event: Episode, names: dict[str, str]) -> str:
    known = [names[node] for node in event.where if node in names]
    in_order = [name for name in names.values() if name in known]
    text = escaped(_shortened(f"{event.at:.3f} {_words(event)}"))
    if event.arrow and len(known) == 2:
        return f"{known[0]}{event.arrow}{known[1]}: {text}"
    if not in_order:
        in_order = list(names.values())[:: max(1, len(names) - 1)]  # the first and the last
    return f"Note over {','.join(in_order)}: {text}"


def _words(event: Episode) -> str:
    words = [event.words]
    if event.of in _MANY:
        words.append(f"1 {event.of}" if event.count == 1 else f"{event.count} {_MANY[event.of]}")
    words += [numbered(event.numbers), event.tail]
    if event.until - event.at >= 0.001:
        words.append(f"(until {event.until:.3f})")
    return " ".join(filter(None, words))


_MANY = {"tell": "tells", "ask": "asks", "reply": "replies", "cancel": "cancels", "datagram": "datagrams"}


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
