"""The results as a picture, in plain SVG: a bar for each row, on a logarithmic scale, and curves. Pure.

A bar says how the project stands beside its floor or peer; it is longer where it does better, whichever way the row
counts. The tick in it is the target, the hollow one the moonshot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from math import log10

from benchmark.results import Result, shown

LEFT, BARS, RIGHT = 690, 420, 90
WIDTH = LEFT + BARS + RIGHT
STEP = 26
CURVE_HEIGHT = 220
INK, PALE, GOOD, BAD, GREY = "#222222", "#dddddd", "#2a7f62", "#b5482f", "#8a8f98"
COLOURS = ("#2a7f62", "#b5482f", "#3b5b92")
LEGEND = "dotted: as the other, or as the target; black: the target; grey: the moonshot"
FONT = "font-family='system-ui, sans-serif' font-size='13'"


def picture(results: Sequence[Result]) -> str:
    """The whole of it."""
    measured = [result for result in results if result.ratio]
    curves = [result for result in measured if len(result.curve) > 1]
    top = 60 + STEP * len(measured)
    height = top + 40 + (CURVE_HEIGHT + 60 if curves else 0)
    lines = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}' {FONT} fill='{INK}'>",
        f"<rect width='{WIDTH}' height='{height}' fill='white'/>",
        _text(16, 26, "trio-actors beside its floors and peers", "font-size='17' font-weight='600'"),
        _text(LEFT, 26, LEGEND, f"fill='{GREY}' font-size='11'"),
        *_bars(measured),
        *(_curves(curves, top + 50) if curves else ()),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


# -- bars -------------------------------------------------------------------------------------------------


def _worth(result: Result, figure: float) -> float:
    """How well the figure is, the more the better. 1: as the floor, or, where there is none, as the target."""
    unit = 1.0 if result.unit == "x" or result.goal is None else result.goal.target
    return unit / figure if result.goal and result.goal.at_most else figure / unit


def _bars(measured: Sequence[Result]) -> Iterator[str]:
    worths = [_worth(each, figure) for each in measured for figure in _figures(each)]
    low, high = min([0.3, *worths]), max([3.0, *worths])

    def x(worth: float) -> float:
        return LEFT + BARS * (log10(worth) - log10(low)) / (log10(high) - log10(low))

    bottom = 48 + STEP * len(measured)
    yield f"<line x1='{x(1):.1f}' x2='{x(1):.1f}' y1='40' y2='{bottom}' stroke='{GREY}' stroke-dasharray='3 3'/>"
    for place, result in enumerate(measured):
        y = 48 + STEP * place
        ratio = result.ratio or 1.0
        colour = GREY if result.goal is None else GOOD if result.goal.reached(ratio) else BAD
        start, end = sorted((x(1), x(max(_worth(result, ratio), low))))
        yield _text(16, y + 14, f"{result.row}  {result.what}"[:56])
        yield _text(LEFT - 12, y + 14, result.against[:44], f"text-anchor='end' fill='{GREY}' font-size='11'")
        yield f"<rect x='{start:.1f}' y='{y + 3}' width='{max(end - start, 1):.1f}' height='14' fill='{colour}'/>"
        if result.goal is not None:
            yield _tick(x(_worth(result, result.goal.target)), y, INK)
            yield _tick(x(_worth(result, result.goal.moonshot)), y, GREY)
        yield _text(LEFT + BARS + 12, y + 14, shown(ratio, result.unit))


def _figures(result: Result) -> tuple[float, ...]:
    goal = (result.goal.target, result.goal.moonshot) if result.goal else ()
    return ((result.ratio or 1.0), *goal)


def _tick(x: float, y: int, colour: str) -> str:
    return f"<rect x='{x - 1:.1f}' y='{y}' width='2' height='20' fill='{colour}'/>"


# -- curves -----------------------------------------------------------------------------------------------


def _curves(curves: Sequence[Result], top: int) -> Iterator[str]:
    most = max(point.cost for result in curves for point in result.curve)
    loads = [point.load for result in curves for point in result.curve]
    last = log10(max(10, *loads))

    def at(load: int, cost: float) -> tuple[float, float]:
        return 60 + (WIDTH - 120) * log10(max(load, 1)) / last, top + CURVE_HEIGHT * (1 - cost / (most * 1.1))

    yield _text(16, top - 10, "cost of a message against load, 1 at the least load", "font-weight='600'")
    for cost in (1.0, most):
        _, y = at(1, cost)
        yield f"<line x1='60' x2='{WIDTH - 60}' y1='{y:.1f}' y2='{y:.1f}' stroke='{PALE}'/>"
        yield _text(52, y + 4, f"{cost:.2g}x", "text-anchor='end'")
    for load in sorted(set(loads)):
        yield _text(at(load, 0)[0], top + CURVE_HEIGHT + 18, f"{load:,}", "text-anchor='middle' font-size='11'")
    for number, result in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        places = [at(point.load, point.cost) for point in result.curve]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        yield f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2'/>"
        yield from (f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3' fill='{colour}'/>" for x, y in places)
        yield _text(76, top + 16 + 18 * number, f"{result.row}  {result.what}", f"fill='{colour}'")


def _text(x: float, y: float, words: str, more: str = "") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' {more}>{escape(words)}</text>"
