"""The specification's table, the comments that cite it, and what `scripts/spec.py` takes out."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

spec = importlib.import_module("scripts.spec")
ROOT = Path(__file__).parents[1]
ROWS = spec.rows_of((ROOT / "ARCHITECTURE.md").read_text())


# -- the table --------------------------------------------------------------------------------------------


def test_each_row_names_tests_that_exist() -> None:
    assert [row.sentence for row in ROWS] == [f"S{number}" for number in range(1, 15)]
    for row in ROWS:
        assert row.tests, row.sentence
        for named in row.tests:
            file, _, test = named.partition("::")
            assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE), named


def test_each_sentence_is_cited_in_the_modules_of_its_row_and_in_no_others() -> None:
    assert spec.differences(ROWS, spec.cuts_in(ROOT)) == []


def test_each_comment_that_cites_the_specification_says_which_sentence_or_that_there_is_none() -> None:
    for path in ROOT.glob("actors/**/*.py"):
        assert not re.search(r"# spec\b(?! S\d+: | gap: )", path.read_text()), path


def test_where_table_and_comments_differ_is_told() -> None:
    rows = [spec.Row("S1", ("actors/a.py",), ("tests/test_a.py::test_a",)), spec.Row("S2", ("actors/b.py",), ())]
    cuts = [spec.Cut("S1", "actors/b.py", 3, "", ""), spec.Cut("S3", "actors/a.py", 7, "", "")]
    assert spec.differences(rows, cuts) == [
        "S1 is cited in actors/b.py, which its row does not name",
        "S1 names actors/a.py, which has no comment for it",
        "S2 names actors/b.py, which has no comment for it",
        "S2 names no test",
        "actors/a.py:7 cites S3, which has no row",
    ]


# -- taking out -------------------------------------------------------------------------------------------

CUTS = {
    "a statement": ("x = 1\n«f()»  # spec S1: a\n", "pass"),
    "a statement of many lines": ("«f(  # spec S1: a\n    1,\n)»\ng()\n", "pass"),
    "what follows": ("if x:\n    # spec S1: a\n    # and more\n    «f()»\n", "pass"),
    "a condition": ("if «x»:  # spec S1: a\n    f()\nelse:\n    g()\n", "False"),
    "another condition": ("if x:\n    f()\nelif «y»:  # spec S1: a\n    g()\n", "False"),
    "a method": ("class A:\n    # spec S1: a\n    «@on(M)\n    def f(self): ...»\n", "pass"),
    "an entry of a dict": ("d = {\n    «a: (b, c)»,  # spec S1: a\n}\n", "**{}"),
    "an entry of a tuple": ("t = (\n    «f(a, (b,))»,  # spec S1: a\n    c,\n)\n", "*()"),
    "an argument": ("f(\n    «a»,  # spec S1: a\n)\n", "*()"),
    "a named argument": ("f(\n    «a=g(b)»,  # spec S1: a\n)\n", "**{}"),
    "a rule": ("d = {Event.A: (\n    «x»,  # spec S1: a\n    y,\n)}\n", "*()"),
    "the last rule": ("d = {Event.A: (\n    x,\n    «y»,  # spec S1: a\n)}\n", "Rule(Condition.ALWAYS)"),
    "what stands behind other letters": ('x = "ä"\n«f("äö", x)»  # spec S1: ä\n', "pass"),
}
"""What goes stands between « and »; what stands there instead."""


@pytest.mark.parametrize(("marked", "instead"), list(CUTS.values()), ids=list(CUTS))
def test_a_comment_stands_for(marked: str, instead: str) -> None:
    before, gone, after = re.split("[«»]", marked)
    (cut,) = spec.cuts_of("actors/a.py", before + gone + after)
    assert cut.source == before + instead + after
    compile(cut.source, "actors/a.py", "exec")


def test_each_comment_of_a_module_is_one_cut() -> None:
    source = "f()  # spec S1: a\ng()  # spec gap: none\n# spec S12: b\nh()\n"
    assert [(cut.sentence, cut.line, cut.words) for cut in spec.cuts_of("actors/a.py", source)] == [
        ("S1", 1, "f()"),
        ("S12", 4, "h()"),
    ]


def test_a_comment_that_stands_for_nothing_is_a_mistake() -> None:
    for source in ("f(\n)  # spec S1: a\n", "f()\n# spec S1: a\n"):
        with pytest.raises(SystemExit, match="line 2"):
            spec.cuts_of("actors/a.py", source)


# -- running ----------------------------------------------------------------------------------------------

TABLE = """
| # | says | module | test |
|---|---|---|---|
| S1 | counts | `actors/a.py` | `test_a.py::test_it_counts`, `test_a.py::test_nothing` |
| S2 | is | `actors/a.py` | `test_a.py::test_it_counts` |
"""
MODULE = """
counted = []
counted.append(1)  # spec S1: "counts"
counted.count(1)  # spec S1: "counts"
counted.copy()  # spec S2: "is"
there = 1  # spec S2: "is"
"""
TEST = """
from actors.a import counted, there

def test_it_counts():
    assert counted == [1]

def test_nothing():
    pass
"""


@pytest.fixture
def small_tree(tmp_path: Path) -> Path:
    files = {"ARCHITECTURE.md": TABLE, "actors/__init__.py": "", "actors/a.py": MODULE, "tests/test_a.py": TEST}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.slow
def test_what_no_test_notices_is_told(small_tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert spec.main([], small_tree) == 1
    told = capsys.readouterr()
    assert [line.rpartition("  ")[2] for line in told.out.splitlines()[:-1]] == [
        "1 of 2 tests failed",
        "UNNOTICED",
        "UNNOTICED",
        "CANNOT BE IMPORTED",
    ]
    assert told.err.splitlines() == [
        "spec: S1: actors/a.py:4: UNNOTICED",
        "spec: S1: tests/test_a.py::test_nothing misses none of its branches",
        "spec: S2: actors/a.py:5: UNNOTICED",
        "spec: S2: actors/a.py:6: CANNOT BE IMPORTED",
    ]


@pytest.mark.slow
def test_a_test_that_fails_anyway_proves_nothing(small_tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (small_tree / "tests" / "test_a.py").write_text(TEST.replace("[1]", "[2]"))
    assert spec.main(["--only", "S1"], small_tree) == 1
    assert "spec: tests/test_a.py::test_it_counts fails without any cut" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "value"), [("--only", "S99"), ("--jobs", "0")])
def test_a_sentence_that_is_not_in_the_table_is_an_error(
    option: str, value: str, small_tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        spec.main([option, value], small_tree)
    assert ended.value.code == 2
    assert value in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("sentence", ["S9", "S12"])
def test_without_its_branch_a_sentence_is_missed(sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert spec.main(["--only", sentence]) == 0, capsys.readouterr().err
    assert f"{sentence}  " in capsys.readouterr().out
