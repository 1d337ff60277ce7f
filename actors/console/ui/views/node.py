"""One node: what it says of itself, its links both ways, what to do. Pure."""

from __future__ import annotations

from rich.text import Text

from actors.console.ui.columns import Cell, rule
from actors.console.ui.figures import count, millis, rate, size, span
from actors.console.ui.looks import shown
from actors.console.ui.picture import Picture, page_actions
from actors.console.ui.views.parts import figures, link_rows, numbered
from actors.console.ui.watch import NodeWatch


def view(picture: Picture, width: int, height: int) -> list[Text]:
    """The page."""
    watch, place = picture.watch, picture.desk.place
    node = watch.nodes.get(place.node)
    if node is None:
        return [Text(f"  nothing is known of {place.node}")]
    head = Text.assemble("  ", shown(node.state))
    if not node.there:
        head.append(f" for {span(picture.now - node.since)}")
    if node.why:
        head.append(f": {node.why}")
    lines = [rule(f"NODE {node.name}", width), head, *figures(_figures(node, picture.now), width)]
    actions = page_actions(watch, picture.desk)
    if actions:
        lines += [rule("WHAT TO DO", width, more="a number runs it, after a question"), *numbered(actions, width)]
    elif not picture.desk.able.readonly and not node.there:
        words = "start it again as it was started; links to it open by themselves"
        lines += [rule("WHAT TO DO", width), Text(f"  {words}")]
    lines.append(rule("LINKS", width, more="Enter opens one"))
    return [*lines, *link_rows(picture, width, height - len(lines))]


def _figures(node: NodeWatch, now: float) -> list[tuple[str, Cell]]:
    known = node.node
    if known is None:
        return []
    if not node.there:
        heard = "-" if node.heard_at is None else f"{span(now - node.heard_at)} ago"
        pairs: list[tuple[str, Cell]] = [("id", known.id[:8]), ("last heard", heard)]
        return pairs + [("was at", address) for address in known.addresses]
    counted, (sent, received) = known.statistics, node.rates()
    if node.recorded:
        return [
            ("id", known.id[:8]),
            ("seen for", span(counted.uptime)),
            ("engines", str(counted.engines)),
            ("peers", f"{counted.connected}/{counted.proxies}"),
            ("sent/s", rate(sent)),
            ("received/s", rate(received)),
            ("dead letters", count(counted.dead_letters)),
        ]
    pairs = [
        ("id", known.id[:8]),
        ("process", str(known.pid)),
        ("up", span(counted.uptime)),
        ("engines", str(counted.engines)),
        ("peers", f"{counted.connected}/{counted.proxies}"),
        ("sent/s", rate(sent)),
        ("received/s", rate(received)),
        ("p99", millis(node.p99_ms)),
        ("received", count(counted.received)),
        ("dead letters", count(counted.dead_letters)),
        ("memory", size(known.memory_bytes)),
        ("loop", millis(known.loop_lag_ms)),
    ]
    return pairs + [("at", address) for address in known.addresses]
