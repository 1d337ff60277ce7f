"""Link: one Node Proxy closely. Where it stands, how it came there, why this way, what waits, what to do. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rich.text import Text

from actors.console.ui.columns import Cell, Column, rule, table
from actors.console.ui.figures import cause, count, millis, share, size, span, sparkline
from actors.console.ui.looks import look, shown
from actors.console.ui.picture import Picture, page_actions
from actors.console.ui.views.parts import figures, numbered
from actors.console.ui.watch import Watch
from actors.snapshots import AddressSnapshot, LinkSnapshot, ProxySnapshot, StepSnapshot

_ADDRESSES = (
    Column("address"),
    Column("weight", right=True, rank=3),
    Column("dialed at", right=True, rank=2),
    Column("rtt", right=True),
    Column("failed", right=True, rank=1),
    Column("last result", grow=True),
)


def view(picture: Picture, width: int, height: int) -> list[Text]:
    """The page."""
    watch, place = picture.watch, picture.desk.place
    proxy, link = watch.proxy(place.node, place.peer), watch.links.get((place.node, place.peer))
    peer = watch.names.get(place.peer, place.peer[:8])
    head = rule(f"LINK {place.node} → {peer}", width, more=place.peer[:8] if peer != place.peer[:8] else "")
    if proxy is None:
        return [head, Text(f"  {place.node} has no proxy for this node at the moment")]
    lines = [
        head,
        _state(proxy, watch.counts),
        _cause(proxy),
        *_path(link, width),
        *figures(_told(watch, proxy, link), width),
    ]
    if rtts := watch.rtts.get((place.node, place.peer)):
        lines.append(_chart(rtts, width))
    if link is not None and (pauses := _pauses(link.path)):
        lines.append(_backoff_chart(pauses))
    actions = page_actions(watch, picture.desk)
    doing = [
        rule("WHAT TO DO", width, more="a number runs it, after a question"),
        *numbered(actions, width, picture.chosen),
    ]
    if not actions:
        doing = []
    lines = lines[: max(0, height - len(doing))]  # what a number runs is always seen
    left = max(0, height - len(lines) - len(doing))
    addresses = [] if watch.recorded else _addresses(link, width)
    return [*lines, *addresses[:left], *doing]


def _state(proxy: ProxySnapshot, counts: bool) -> Text:
    permanence = f", {proxy.permanence}" if counts else ""
    line = Text.assemble("  ", shown(proxy.state), f" for {span(proxy.since)}{permanence}")
    if proxy.transport:
        line.append(f", {proxy.address}")
    elif proxy.retry_in is not None:
        line.append(f"; dials again in {span(proxy.retry_in)}")
    return line


def _cause(proxy: ProxySnapshot) -> Text:
    """What brought it here: in plain words, where it is no good place."""
    return Text(f"  {cause(proxy.why)}", "bright_black" if proxy.state == "ready" else "yellow")


def _path(link: LinkSnapshot | None, width: int) -> list[Text]:
    """The last states with the seconds since, as many as fit on two lines, the newest last."""
    if link is None:
        return [Text("  …", "bright_black")]
    lines: list[Text] = []
    line = Text()
    for step in reversed(link.path):
        part = _step(step)
        if line.cell_len + part.cell_len + 7 > width:
            lines.insert(0, line)
            line = Text()
            if len(lines) == 2:
                break
        line = part if not line.cell_len else Text.assemble(part, (" → ", "bright_black"), line)
    if len(lines) < 2 and line.cell_len:
        lines.insert(0, line)
    return [Text.assemble("  ", one) for one in lines]


def _step(step: StepSnapshot) -> Text:
    seen = look(step.state)
    return Text.assemble((f"{seen.glyph} {seen.word}", seen.style), (f" {span(step.ago)} ago", "bright_black"))


def _told(watch: Watch, proxy: ProxySnapshot, link: LinkSnapshot | None) -> Sequence[tuple[str, Cell]]:
    """What is known of it: of a recording, what its log tells."""
    known = _figures(proxy, link)
    if not watch.recorded:
        return known
    counted = ("accepted", "delivered", "lost", "expired", "refused") if watch.counts else ()
    return [pair for pair in known if pair[0] in ("connections", "failures", *counted)]


def _figures(proxy: ProxySnapshot, link: LinkSnapshot | None) -> Sequence[tuple[str, Cell]]:
    ledger = proxy.ledger
    pairs: list[tuple[str, Cell]] = [
        ("accepted", count(ledger.accepted)),
        ("delivered", count(ledger.delivered)),
        ("lost", Text(count(ledger.lost), "bold red" if ledger.lost else "bold green")),
        ("expired", count(ledger.expired)),
        ("refused", count(ledger.refused)),
        ("queued", count(proxy.queued)),
        ("unacked", count(proxy.retained)),
        ("outbox", share(proxy.fill)),
        ("p50", millis(proxy.p50_ms)),
        ("p99", millis(proxy.p99_ms)),
        ("connections", count(proxy.connections)),
        ("resumed", count(proxy.reconnects)),
        ("resent", count(proxy.resent)),
        ("duplicates", count(proxy.duplicates_dropped)),
        ("dropped", Text(count(proxy.dropped), "yellow" if proxy.dropped else "")),
        ("failures", count(proxy.failures)),
        ("next try in", span(proxy.retry_in)),
    ]
    if link is not None:
        pairs += [
            ("received", count(link.received)),
            ("room", size(link.outbox_capacity)),
            ("expiry in", span(link.expires_in)),
            ("heard", "-" if link.heard_ago is None else f"{span(link.heard_ago)} ago"),
            ("checked in", span(link.dead_in)),
            ("held by", ", ".join(link.holders) or "nobody"),
        ]
    return pairs


def _chart(rtts: Sequence[float], width: int) -> Text:
    values = list(rtts)[-max(10, width - 40) :]
    line = Text.assemble(
        ("  rtt ", "bright_black"),
        f"{millis(values[-1])} ",
        (sparkline([value - min(values) for value in values]), "cyan"),
    )
    line.append(f" {millis(min(values))} to {millis(max(values))}", "bright_black")
    return line


def _pauses(path: Sequence[StepSnapshot]) -> list[float]:
    """How long the last pauses between two attempts were, those that are over."""
    return [step.ago - after.ago for step, after in pairwise(path) if step.state == "backoff"]


def _backoff_chart(pauses: Sequence[float]) -> Text:
    line = Text.assemble(("  backoff ", "bright_black"), (sparkline(pauses), "yellow"))
    line.append(f" {span(pauses[0])} to {span(pauses[-1])}", "bright_black")
    return line


def _addresses(link: LinkSnapshot | None, width: int) -> list[Text]:
    head = rule("ADDRESSES", width, more="in the order in which they are dialed")
    if link is None:
        return [head]
    if not link.addresses:
        return [head, Text("  none is known: its advert has not been seen", "yellow")]
    return [head, *table(_ADDRESSES, [_address(one) for one in link.addresses], width)]


def _address(address: AddressSnapshot) -> Sequence[Cell]:
    left_out = address.after is None
    words = address.why if left_out or not address.error else f"{cause(address.error)} ({address.why})"
    if address.proven and not address.error and not left_out:
        words = f"proven {address.proven}x ({address.why})"
    return (
        address.url,
        f"{address.weight:g}",
        "never" if address.after is None else f"+{address.after:.2f} s",
        millis(address.rtt_ms),
        Text(f"{address.failures}x", "yellow") if address.failures else "-",
        Text(words, "bright_black") if left_out else words,
    )
