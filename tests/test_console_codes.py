"""`actors explain`: each code that the sources have is explained, and no other."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.console.codes import pages, parse_pages
from actors.console.main import main

ROOT = Path(__file__).parents[1]
Capture = pytest.CaptureFixture[str]

_BY_FIRST_ARGUMENT = {"ControlError", "NodeConfigError", "Refused", "Lost", "TurnedAway", "Finding"}
FROM_ELSEWHERE = {"address", "address_in_use", "bad_message", "connection_lost", "denied", "late", "over_capacity",
                  "peer_restarted", "unreachable_types"}  # fmt: skip
"""Made where no call names them: chosen by an expression, kept as a constant, or said by the peer."""


def codes_in(source: str) -> Iterator[str]:
    """Those of classes of errors, and those that are given where an error is made."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef):
            yield from (text for statement in node.body if (text := _class_code(statement)))
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            given = node.args[:1] if name in _BY_FIRST_ARGUMENT else []
            given += [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            yield from (arg.value for arg in given if isinstance(arg, ast.Constant) and isinstance(arg.value, str))


def _class_code(statement: ast.stmt) -> str:
    match statement:
        case (
            ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant(value=str(text)))
            | ast.AnnAssign(target=ast.Name(id="code"), value=ast.Constant(value=str(text)))
        ):
            return text
    return ""


def sources() -> list[Path]:
    return [*ROOT.glob("actors/**/*.py"), *ROOT.glob("transports/**/*.py")]


def test_every_code_of_the_sources_has_a_page() -> None:
    found = {code: path.name for path in sources() for code in codes_in(path.read_text())}
    assert len(found) > 60
    assert {code: where for code, where in found.items() if code not in pages()} == {}


def test_no_page_is_of_a_code_that_there_is_not() -> None:
    found = {code for path in sources() for code in codes_in(path.read_text())}
    text = "".join(path.read_text() for path in sources())
    assert sorted(pages().keys() - found - FROM_ELSEWHERE) == []
    assert [code for code in FROM_ELSEWHERE if f'"{code}' not in text] == []


def test_a_code_that_is_planted_is_found() -> None:
    planted = (
        'class E(ActorError):\n    code = "one"\nControlError("two", "x")\nFailed(code="three")\nRefused(reason)\n'
    )
    assert sorted(codes_in(planted)) == ["one", "three", "two"]


@pytest.mark.parametrize("code", pages())
def test_a_page_has_a_meaning_causes_and_something_to_do(code: str) -> None:
    page = pages()[code]
    assert page.meaning.endswith(".")
    assert page.causes
    assert page.actions


def test_pages_are_in_order_and_each_is_there_once() -> None:
    assert list(pages()) == sorted(pages())
    text = (ROOT / "actors" / "console" / "codes.md").read_text()
    assert text.count("\n## ") == len(pages())
    assert parse_pages("# Codes\n\n## a\nIt is.\n- cause: x\n- do: y\n- do: z\n")["a"].actions == ("y", "z")


def test_explain_prints_a_page_or_all_or_a_guess(capsys: Capture) -> None:
    assert main(["explain", "no_engine"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("no_engine\n  There is no engine of this name on the node.\n")
    assert "actors ls engines" in printed
    assert main(["explain", "no_engine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["page"]["code"] == "no_engine"
    assert main(["explain", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["data"]["pages"]) == len(pages())
    assert main(["explain"]) == 0
    assert "unbalanced" in capsys.readouterr().out
    assert main(["explain", "no_engin"]) == 2
    assert "actors explain no_engine" in capsys.readouterr().err
