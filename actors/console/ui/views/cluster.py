"""Cluster: the nodes, what is wrong, which links are up, what happened, and where all messages are. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from rich.text import Text

from actors.console.ui.columns import Cell, Column, fit, rule, table, window
from actors.console.ui.figures import coarse, count, mebi, rate, share, span, sparkline
from actors.console.ui.looks import NONE, look, shown
from actors.console.ui.picture import NODE_SORTS, Picture, fullest
from actors.console.ui.problems import Problem
from actors.console.ui.views.events import event_line
from actors.console.ui.watch import EventLine, NodeWatch, Watch
from actors.snapshots import LedgerSnapshot

_SPARK = 8
_WIDEST_SPARK = 60
_MATRIX = 14
"""Nodes that fit into a matrix of links; more are on the screen of links."""
_NAME = 6
_CELL = 3

NODES = (
    Column("node"),
    Column("state"),
    Column("peers", right=True),
    Column("sent/s", right=True),
    Column("recv/s", right=True),
    Column("p99", right=True, rank=2),
    Column("outbox", right=True, rank=3),
    Column("mem", right=True, rank=5),
    Column("loop", right=True, rank=4),
    Column("last 60 s", rank=1),
)

_LIVE = frozenset({"p99", "outbox", "mem", "loop"})
"""What only a process tells, no log."""


def view(picture: Picture, width: int, height: int) -> list[Text]:
    """The page."""
    ledger = ledger_lines(picture.watch, width)
    nodes, problems, below = shares(
        height - len(ledger), len(picture.watch.nodes), len(picture.problems), _matrix_height(picture.watch)
    )
    lines = [*_nodes(picture, width, nodes), *_problems(picture, width, problems)]
    lines += _below(picture, width, below)
    return [*lines, *ledger]


def shares(height: int, nodes: int, problems: int, matrix: int) -> tuple[int, int, int]:
    """Lines for nodes, problems, and what is below. Each has its head; who needs less leaves more to the others."""
    least_below = min(matrix + 1, max(4, height // 3))
    top = height - least_below
    wanted_problems = 1 + max(1, problems)
    wanted_nodes = 1 + max(1, nodes)
    given_problems = min(wanted_problems, max(3, top - wanted_nodes, top // 3))
    given_nodes = min(wanted_nodes, top - given_problems)
    return given_nodes, given_problems, height - given_nodes - given_problems


# -- nodes ------------------------------------------------------------------------------------------------


def _nodes(picture: Picture, width: int, height: int) -> list[Text]:
    here = picture.desk.pane == "nodes"
    items = picture.items if here else ()
    nodes = [item.value for item in items] if here else _in_order(picture)
    seen = window(len(nodes), height - 1, picture.chosen if here else 0)
    spark = max(_SPARK, min(_WIDEST_SPARK, width - 76))
    cells = [node_cells(nodes[index], picture.now, spark) for index in seen]
    columns: Sequence[Column] = NODES
    if picture.watch.recorded:
        places = [place for place, column in enumerate(NODES) if column.title not in _LIVE]
        columns, cells = tuple(NODES[place] for place in places), [[row[place] for place in places] for row in cells]
    return table(columns, cells, width, chosen=picture.chosen - seen.start if here and nodes else None)


def _in_order(picture: Picture) -> list[NodeWatch]:
    _, key = NODE_SORTS[picture.desk.sort % len(NODE_SORTS)]
    return sorted(picture.watch.nodes.values(), key=key)


def node_cells(node: NodeWatch, now: float, spark: int) -> Sequence[Cell]:
    """A node in a table of nodes."""
    state = shown(node.state)
    if not node.there or node.node is None:
        if node.heard_at is not None:
            state.append(f" {span(now - node.since)}")
        return (node.name, state, *("-",) * 7, "")
    counted, (sent, received) = node.node.statistics, node.rates()
    full, memory, lag = fullest(node), node.node.memory_bytes, node.node.loop_lag_ms
    return (
        node.name,
        state,
        Text(f"{counted.connected}/{counted.proxies}", "" if counted.connected == counted.proxies else "yellow"),
        rate(sent),
        rate(received),
        coarse(node.p99_ms),
        "-" if node.recorded else Text(share(full), "bold red" if full >= 0.8 else ""),
        mebi(memory),
        coarse(lag),
        Text(sparkline(node.minute(now, spark)), "cyan"),
    )


# -- problems ---------------------------------------------------------------------------------------------


def _problems(picture: Picture, width: int, height: int) -> list[Text]:
    here = picture.desk.pane == "problems"
    problems = [item.value for item in picture.items] if here else list(picture.problems)
    nodes = picture.watch.nodes.values()
    if not problems and (not nodes or any(node.state == "asked" for node in nodes)):
        words = "nothing has happened yet" if picture.watch.recorded else "asking …"
        return [rule("PROBLEMS", width), Text(f"  {words}", "bright_black")]
    if not problems:
        return [
            rule("PROBLEMS", width, more="none", style="green"),
            Text("  every link that should be up is up", "green"),
        ]
    seen = window(len(problems), height - 1, picture.chosen if here else 0)
    more = f"{len(problems)}" + (f", {len(problems) - len(seen)} more below" if len(seen) < len(problems) else "")
    lines = [rule("PROBLEMS", width, more=more, style="red")]
    for index in seen:
        line = problem_line(problems[index], picture.now, width)
        if here and index == picture.chosen:
            line = Text.assemble("▸ ", line[2:])
            line.stylize("reverse")
        lines.append(line)
    return lines


def problem_line(problem: Problem, now: float, width: int) -> Text:
    """Glyph, code, where, cause; how long on the right."""
    found = problem.finding
    seen = look(found.level)
    line = Text.assemble("  ", (f"{seen.glyph} {found.code:<13}", seen.style), " ", (f"{found.where}  ", "bold"))
    line.append(" ".join(found.cause.split()))
    since = f" {span(now - problem.since)}"
    return Text.assemble(fit(line, width - len(since)), since)


# -- links and events -------------------------------------------------------------------------------------


def _matrix_height(watch: Watch) -> int:
    return 1 + min(len(watch.nodes), _MATRIX)


def _below(picture: Picture, width: int, height: int) -> list[Text]:
    """The matrix on the left, as wide as it must be, and on the right what happened last."""
    if height < 2:
        return [Text()] * max(0, height)
    matrix = matrix_lines(picture.watch)
    left = min(max((line.cell_len for line in matrix), default=0) + 2, width // 2)
    right = width - left
    events = _latest(picture.watch, height - 1)
    lines = [Text.assemble(rule("LINKS", left - 1), " ", rule("EVENTS", right, more="" if events else "none yet"))]
    for number in range(height - 1):
        one = matrix[number] if number < len(matrix) else Text()
        other = event_line(events[number], picture.now) if number < len(events) else Text()
        lines.append(Text.assemble(fit(one, left), fit(other, right)))
    return lines


def _latest(watch: Watch, most: int) -> list[EventLine]:
    """Without what is told anyway: engines of single connections, and what each attempt to dial consists of."""
    telling = (line for line in reversed(watch.events) if not _is_small(line))
    return list(islice(telling, most))[::-1]


def _is_small(line: EventLine) -> bool:
    if line.event in ("engine-started", "engine-stopped"):
        return "/transport." in line.words
    return line.event == "dial-failed" or (line.event == "proxy-changed" and line.words.endswith("dialing: retry"))


def matrix_lines(watch: Watch) -> list[Text]:
    """Who is linked to whom, from the row's node to the column's: the glyphs of the links' states."""
    names = list(watch.nodes)
    if len(names) > _MATRIX:
        return [*_summary(watch), Text("  Enter 2 for the list", "bright_black")]
    head = Text(" " * (_NAME + 2) + "".join(f"{name[: _CELL - 1]:<{_CELL}}" for name in names), "bright_black")
    return [head, *(_matrix_row(watch, watch.nodes[name], names) for name in names)]


def _matrix_row(watch: Watch, node: NodeWatch, names: Sequence[str]) -> Text:
    line = Text(f"  {node.name[:_NAME]:<{_NAME}}")
    states = {watch.name_of(proxy): proxy.state for proxy in node.proxies}
    for name in names:
        if not node.there and name != node.name:
            line.append(f"{'?':<{_CELL}}", "bright_black")
            continue
        seen = look(states[name]) if name in states and name != node.name else NONE
        line.append(f"{seen.glyph:<{_CELL}}", seen.style)
    return line


def _summary(watch: Watch) -> list[Text]:
    counts: dict[str, int] = {}
    for node in watch.nodes.values():
        for proxy in node.proxies:
            counts[proxy.state] = counts.get(proxy.state, 0) + 1
    return [Text.assemble("  ", shown(state), f" {count(number)}") for state, number in sorted(counts.items())]


# -- the ledger -------------------------------------------------------------------------------------------


def ledger_lines(watch: Watch, width: int) -> list[Text]:
    """accepted = delivered + sent + expired + lost + refused + in flight; on two lines where one is too short."""
    if not watch.counts:
        return [Text.assemble(("LEDGER ", "bold"), ("the log does not tell which messages arrived", "bright_black"))]
    ledger = watch.ledger()
    line = ledger_line(ledger)
    if line.cell_len <= width:
        return [line]
    half = line.plain.index(" + expired")
    return [line[:half], Text.assemble(" " * line.plain.index("="), line[half + 1 :])]


def ledger_line(ledger: LedgerSnapshot) -> Text:
    """Every accepted message is somewhere (PROTOCOL O1)."""
    line = Text.assemble(("LEDGER ", "bold"), f"accepted {count(ledger.accepted)} = ")
    for place, name in enumerate(("delivered", "sent", "expired", "lost", "refused", "in_flight")):
        number = getattr(ledger, name)
        wrong = number and name in ("expired", "lost", "refused")
        line.append(" + " if place else "")
        line.append(f"{name.replace('_', ' ')} {count(number)}", "bold yellow" if wrong else "")
    line.append("  ✔" if ledger.balanced else "  ✖ does not add up", "green" if ledger.balanced else "bold red")
    return line
