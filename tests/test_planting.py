"""The switch for planted bugs, and that each planted bug still fits the source."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from planted_bugs import BUGS
from planting import Bug, NotPlanted, planted

from actors.net.life.table import Event, Facts, Life, Phase, step

GARDEN = """
from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

FIRST = 8
TABLE = {"first": FIRST, "second": 2}
BOTH = tuple(TABLE.values())
RULES: dict[str, Callable[[int], int]] = {
    "more": lambda n: n + 1,
    "less": lambda n: n - 1,
}


def twice(n: int) -> int:
    return 2 * n


def with_defaults(n: int = FIRST, *, m: int = 3) -> int:
    return n + m


def counter() -> Callable[[], int]:
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return count

    return step


class Plain:
    def __init__(self) -> None:
        self.value = 1

    def method(self) -> int:
        return self.value

    @staticmethod
    def static() -> str:
        return "static"

    @classmethod
    def of_class(cls) -> str:
        return "of the class"

    @property
    def held(self) -> int:
        return self.value + 10

    def inherited(self) -> str:
        return "base"


class Derived(Plain):
    def inherited(self) -> str:
        return super().inherited() + ", derived"


class Record(Struct, frozen=True):
    n: int = FIRST

    def next(self) -> int:
        return self.n + 1


async def waits() -> str:
    return "waited"
"""
NEIGHBOUR = GARDEN + "\n"
"""The same functions on the same lines, in another module."""
GUEST = """
from garden import BOTH, FIRST, TABLE, twice

SUM = sum(BOTH)


def first() -> int:
    return FIRST


def taken(n: int = FIRST) -> int:
    return n
"""


@pytest.fixture
def garden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module to plant in, one that is like it, and one that has taken its names."""
    monkeypatch.syspath_prepend(tmp_path)
    sources = {"garden": GARDEN, "neighbour": NEIGHBOUR, "guest": GUEST}
    for name, source in sources.items():
        (tmp_path / f"{name}.py").write_text(source)
    yield import_module("garden")
    for name in sources:
        sys.modules.pop(name, None)


def bug(right: str, wrong: str, *, module: str = "garden") -> Bug:
    return Bug(
        name="a-bug",
        module=module,
        right=right,
        wrong=wrong,
        undoes="a rule",
        breaks=("P1",),
        needs="nothing",
        found_by="nobody",
    )


# -- what can be changed ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "wrong", "use", "good", "bad"),
    [
        ("return 2 * n", "return 3 * n", lambda m: m.twice(5), 10, 15),
        ("        return self.value\n", "        return -self.value\n", lambda m: m.Plain().method(), 1, -1),
        ("self.value = 1", "self.value = 4", lambda m: m.Plain().method(), 1, 4),
        ('return "static"', 'return "moved"', lambda m: m.Plain.static(), "static", "moved"),
        ('return "of the class"', 'return "lost"', lambda m: m.Derived.of_class(), "of the class", "lost"),
        ("return self.value + 10", "return self.value", lambda m: m.Plain().held, 11, 1),
        ('return "base"', 'return "other"', lambda m: m.Derived().inherited(), "base, derived", "other, derived"),
        ('+ ", derived"', '+ "!"', lambda m: m.Derived().inherited(), "base, derived", "base!"),
        ("return self.n + 1", "return self.n", lambda m: m.Record(3).next(), 4, 3),
        ("count += 1", "count += 2", lambda m: m.counter()(), 1, 2),
        ('"more": lambda n: n + 1', '"more": lambda n: n + 2', lambda m: m.RULES["more"](1), 2, 3),
        ("*, m: int = 3", "*, m: int = 5", lambda m: m.with_defaults(1), 4, 6),
    ],
    ids=[
        "function",
        "method",
        "constructor",
        "static",
        "classmethod",
        "property",
        "inherited",
        "with a closure cell",
        "struct",
        "nested function",
        "lambda of a table",
        "default argument",
    ],
)
def test_a_line_behaves_as_if_it_were_written_otherwise_and_then_as_it_is(
    garden: ModuleType, right: str, wrong: str, use: Callable[[Any], object], good: object, bad: object
) -> None:
    neighbour = import_module("neighbour")
    with planted(bug(right, wrong)):
        assert use(garden) == bad
        assert use(neighbour) == good  # whose functions are the same, on the same lines
    assert use(garden) == good


def test_a_constant_reaches_whatever_was_made_of_it_and_whoever_has_taken_it(garden: ModuleType) -> None:
    guest = import_module("guest")
    before = dict(vars(garden)), dict(vars(guest))

    def seen() -> list[object]:
        return [garden.FIRST, garden.TABLE, garden.BOTH, guest.SUM, guest.first(), guest.taken()]

    assert seen() == [8, {"first": 8, "second": 2}, (8, 2), 10, 8, 8]
    with planted(bug('"second": 2', '"second": 3')):
        assert seen() == [8, {"first": 8, "second": 3}, (8, 3), 11, 8, 8]
        assert guest.TABLE is garden.TABLE
    for module, was in zip((garden, guest), before, strict=True):
        assert vars(module).keys() == was.keys()
        assert all(vars(module)[name] is value for name, value in was.items())


def test_a_constant_that_a_class_has_taken_cannot_be_changed(garden: ModuleType) -> None:
    with pytest.raises(NotPlanted, match="class Record of garden has taken the value"), planted(bug("= 8", "= 9")):
        pass
    assert (garden.FIRST, garden.TABLE["first"]) == (8, 8)


def test_what_is_held_elsewhere_changes_too(garden: ModuleType) -> None:
    held = {"function": garden.twice, "method": garden.Plain().method, "closure": garden.counter()}
    assert held["closure"]() == 1
    with planted(bug("return 2 * n", "return 0")), planted(bug("return self.value\n", "return 0\n")):
        assert (held["function"](5), held["method"]()) == (0, 0)
        with planted(bug("count += 1", "count += 10")):
            assert held["closure"]() == 11
            made_meanwhile = garden.counter()
        assert made_meanwhile() == 1
        assert held["closure"]() == 12
    assert (held["function"](5), held["method"]()) == (10, 1)


# -- how it ends ------------------------------------------------------------------------------------------


def _codes(module: ModuleType) -> dict[str, object]:
    """Each function of a module, with its code, by name."""
    found: dict[str, object] = {}
    for name, value in vars(module).items():
        inside = vars(value).items() if isinstance(value, type) and value.__module__ == module.__name__ else ()
        for path, function in ((name, value), *((f"{name}.{each}", one) for each, one in inside)):
            function = getattr(function, "fget", None) or getattr(function, "__func__", function)
            if hasattr(function, "__code__"):
                found[path] = function.__code__
    return found


def _fail(*seen: object) -> None:
    raise KeyError(seen)


def test_the_very_code_that_was_there_is_there_again_also_when_the_block_raises(garden: ModuleType) -> None:
    before = _codes(garden)
    raises = pytest.raises(KeyError, match=re.escape("(1, 3)"))
    with raises, planted(bug("return 2 * n", "return 1")), planted(bug("n - 1", "n - 2")):
        _fail(garden.twice(5), garden.RULES["less"](5))
    after = _codes(garden)
    assert after.keys() == before.keys()
    assert all(after[name] is code for name, code in before.items())
    assert garden.RULES["less"](5) == 4


def test_two_bugs_in_one_function_both_hold(garden: ModuleType) -> None:
    with planted(bug("return 2 * n", "return 20 * n")):
        with planted(bug("return 20 * n", "return 20 + n")):
            assert garden.twice(1) == 21
        assert garden.twice(1) == 20
    assert garden.twice(1) == 2


@pytest.mark.parametrize(
    ("right", "wrong", "why"),
    [
        ("return 4 * n", "return 3 * n", "a-bug: garden holds this 0 times"),
        ("return self.", "return -self.", "a-bug: garden holds this 3 times"),
        ("return 2 * n", "return 2 * n", "a-bug is not one line"),
        ("return 2 * n", "n += 1\n    return 2 * n", "a-bug is not one line"),
        ("        nonlocal count\n        count += 1", "        pass\n        count = 1", "a-bug is not one line"),
        ("return 2 * n", "return 2 *", "a-bug cannot be planted in garden: invalid syntax"),
        ("    n: int = FIRST\n", "    n: int = 7\n", "is neither in a function nor a value of the module"),
        ("class Derived(Plain):", "class Derived(object):", "nothing that lives runs this line"),
        ("FIRST = 8", "pass", "is neither in a function nor a value of the module"),
        ("FIRST = 8", "FIRST = EIGHT", "name 'EIGHT' is not defined"),
        ("return 2 * n", "return 2 * n  # no more", "nothing that lives runs this line"),
    ],
)
def test_a_bug_that_does_not_fit_is_told_by_name_and_changes_nothing(
    garden: ModuleType, right: str, wrong: str, why: str
) -> None:
    before, values = _codes(garden), dict(vars(garden))
    with pytest.raises(NotPlanted, match=re.escape(why)) as error, planted(bug(right, wrong)):
        pass
    assert str(error.value).startswith("a-bug")
    assert _codes(garden) == before
    assert vars(garden) == values


def test_a_closure_that_lives_cannot_be_given_other_variables(garden: ModuleType) -> None:
    living = garden.counter()
    with (
        pytest.raises(NotPlanted, match="free vars"),
        planted(bug("        return count\n", "        return 0 * step.n\n")),
    ):
        pass
    assert living() == 1


# -- the bugs ---------------------------------------------------------------------------------------------

_BY_NAME = {each.name: each for each in BUGS}


@pytest.mark.parametrize("name", _BY_NAME)
def test_each_planted_bug_fits_the_source_of_today_and_leaves_nothing_behind(name: str) -> None:
    module = import_module(_BY_NAME[name].module)
    codes, values = _codes(module), dict(vars(module))
    with planted(_BY_NAME[name]):
        same_codes = all(_codes(module)[function] is code for function, code in codes.items())
        same_values = all(vars(module)[value] is before for value, before in values.items())
        assert not (same_codes and same_values)
    assert all(_codes(module)[function] is code for function, code in codes.items())
    assert vars(module).keys() == values.keys()
    assert all(vars(module)[value] is before for value, before in values.items())


def test_a_bug_in_a_table_changes_what_the_table_decides() -> None:
    ready, lost = Life(phase=Phase.READY), Event.END_LOST
    with planted(_BY_NAME["duplicate-ends-the-proxy"]):
        assert step(ready, lost, Facts(proven=1))[0].phase is Phase.CLOSED
        assert step(Life(phase=Phase.READY, permanent=True), lost, Facts(proven=0))[0].phase is Phase.BACKOFF
    assert step(ready, lost, Facts(proven=1))[0].phase is Phase.READY


def test_planted_bugs_are_enough_of_them_mended_once_and_each_says_what_it_breaks() -> None:
    assert len(_BY_NAME) == len(BUGS) >= 25
    assert sum(each.fix for each in BUGS) >= 10
    for each in BUGS:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)+", each.name)
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", each.found_by), each.name
        assert each.breaks, each.name
        assert {*each.breaks} <= {f"P{n}" for n in range(1, 10)}, each.name
        assert each.undoes, each.name
        assert each.needs, each.name
