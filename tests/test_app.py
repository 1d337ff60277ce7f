"""A user's code in a node process: found, imported, called, and every mistake told with its place."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import pytest

from actors.app import AppError, call_setup, load_engine, load_setup

_numbers = itertools.count()

ENGINE = """
from actors.engine import Engine
class Counter(Engine):
    total: int = 0
class Shelf(Engine):
    room: int
class PortScanner(Engine): ...
def setup(node): node.append("ready")
async def begin(node): node.append("begun")
limit = 3
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Writes a module into the working directory; gives its name, which no other test has used."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])

    def writer(source: str) -> str:
        name = f"app{next(_numbers)}"
        (tmp_path / f"{name}.py").write_text(source)
        return name

    return writer


def told(error: pytest.ExceptionInfo[AppError]) -> tuple[str, str]:
    assert error.value.code == "app"
    return str(error.value), error.value.hint


@pytest.mark.parametrize(("name", "said"), [("setup", "ready"), ("begin", "begun")])
async def test_setup_may_be_def_or_async_def(write: Any, name: str, said: str) -> None:
    reference = f"{write(ENGINE)}:{name}"
    node: Any = []
    await call_setup(reference, load_setup(reference), node)
    assert node == [said]


def test_an_engine_is_spawned_under_the_name_of_its_class(write: Any) -> None:
    module = write(ENGINE)
    name, engine = load_engine(f"{module}:Counter")
    assert (name, type(engine).__name__) == ("counter", "Counter")
    assert load_engine(f"{module}:PortScanner")[0] == "port-scanner"


@pytest.mark.parametrize("reference", ["myapp", "myapp:", ":setup"])
def test_a_reference_has_a_module_and_a_name(reference: str) -> None:
    with pytest.raises(AppError) as error:
        load_setup(reference)
    assert told(error) == (f"{reference!r} names nothing to import", "write module:name, such as myapp:setup")


@pytest.mark.usefixtures("write")
def test_a_module_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AppError) as error:
        load_setup("no_such_app.inner:setup")
    hint = f"start it where no_such_app lies; this is {tmp_path}"
    assert told(error) == ("'no_such_app.inner:setup': there is no module no_such_app", hint)


def test_a_name_that_is_not_in_the_module_is_guessed(write: Any, tmp_path: Path) -> None:
    module = write(ENGINE)
    with pytest.raises(AppError) as error:
        load_setup(f"{module}:setpu")
    what = f"'{module}:setpu': {tmp_path / module}.py has no setpu"
    assert told(error) == (what, f"did you mean {module}:setup?")
    with pytest.raises(AppError) as error:
        load_setup(f"{module}:zzz")
    assert error.value.hint == "define zzz there"


def test_what_is_no_function_is_no_setup(write: Any) -> None:
    module = write(ENGINE)
    with pytest.raises(AppError, match="it is of type int, not a function"):
        load_setup(f"{module}:limit")


def test_what_is_no_engine_class_is_not_spawned(write: Any) -> None:
    module = write(ENGINE)
    with pytest.raises(AppError, match="it is of type function, no Engine class"):
        load_engine(f"{module}:setup")
    with pytest.raises(AppError, match=r"cannot be made without arguments: TypeError: .*'room'"):
        load_engine(f"{module}:Shelf")


@pytest.mark.parametrize(
    ("source", "what", "line"),
    [
        ("x = 1\n1 / 0", "ZeroDivisionError: division by zero", 2),
        ("def setup(node)\n  pass", "SyntaxError: ", 1),
        ("import json\n\njson.loads('{')", "JSONDecodeError: ", 3),
        ("\nimport nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of_this_name'", 2),
        ("raise SystemExit(3)", "SystemExit: 3", 1),
        ("from actors.messages import Message\nclass Bad(Message):\n    x: list[int]", "DefinitionError: Bad.x", 2),
    ],
)
def test_an_app_that_cannot_be_imported_names_its_file_and_line(
    write: Any, tmp_path: Path, source: str, what: str, line: int
) -> None:
    module = write(source)
    with pytest.raises(AppError) as error:
        load_setup(f"{module}:setup")
    said, _ = told(error)
    assert said.startswith(f"'{module}:setup' cannot be imported: {what}")
    assert said.endswith(f" ({tmp_path / module}.py, line {line})")


@pytest.mark.parametrize("kind", ["def", "async def"])
async def test_a_setup_that_raises_names_its_file_and_line(write: Any, tmp_path: Path, kind: str) -> None:
    module = write(f"{kind} setup(node):\n    node.spwan()")
    reference = f"{module}:setup"
    node: Any = []
    with pytest.raises(AppError) as error:
        await call_setup(reference, load_setup(reference), node)
    what = f"app '{reference}': setup raised AttributeError: 'list' object has no attribute 'spwan'"
    assert told(error) == (f"{what} ({tmp_path / module}.py, line 2)", "mend it there")
