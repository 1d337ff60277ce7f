"""The entry point: help, usage errors, and what becomes of every other error."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from signal import SIGINT, SIGTERM

import pytest
import trio

from actors.console import main as entry
from actors.console.envelope import Problem, bad, good
from actors.console.exits import Exit, Interrupted, UsageError, exit_for
from actors.console.failures import principal, problem_of
from actors.console.main import front_page, main, make_app
from actors.console.words import Column, clean, on_terminal, plain, show
from actors.errors import ConfigError, Crashed, Expired, IdentityError, Lost, Refused

Capture = pytest.CaptureFixture[str]
NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


# -- help and usage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_every_command(capsys: Capture, arguments: list[str]) -> None:
    assert main(arguments) == 0
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")}
    helping = "explain completion debug"
    commands = f"up down ui ls events proxy fault pipe ask send tell {helping} run keygen advert replay doctor sim"
    assert listed == set(commands.split())


@pytest.mark.parametrize("command", sorted({line.split()[0] for line in front_page().splitlines() if line[:2] == "  "}))
def test_every_command_has_help(capsys: Capture, command: str) -> None:
    assert main([command, "--help"]) == 0
    assert f"Usage: actors {command}" in capsys.readouterr().out


def test_the_front_page_needs_neither_trio_nor_rich_nor_the_parser() -> None:
    code = """if True:
        import sys
        from actors.console.main import main
        main(["--help"])
        print(*{"trio", "rich", "cryptography", "msgspec", "cyclopts"} & sys.modules.keys(), file=sys.stderr)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["uo"],
        ["--jsno"],
        ["ls", "nodez"],
        ["ask"],
        ["ask", "b/echo", "echo.ping", "--form", "a"],
        ["tell", "b/sink", "sink.drop", "{}", "more"],
        ["pipe", "--cuts", "many"],
    ],
)
def test_bad_usage_ends_with_2_and_words(capsys: Capture, arguments: list[str]) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("actors: ")
    assert "  hint  actors" in printed.err


def test_a_misspelt_command_gets_a_guess(capsys: Capture) -> None:
    assert main(["pip"]) == 2
    assert "  hint  actors pipe" in capsys.readouterr().err


def test_bad_usage_with_json_is_an_envelope(capsys: Capture) -> None:
    assert main(["ls", "nodez", "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert found["error"]["code"] == "usage"
    assert found["error"]["hint"] == "actors ls --help"


def test_the_version_is_told(capsys: Capture) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip()


# -- errors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("what?"), Exit.USAGE),
        (ConfigError("no"), Exit.CONFIGURATION),
        (IdentityError("no"), Exit.CONFIGURATION),
        (Expired(), Exit.TIMEOUT),
        (Lost("cut"), Exit.UNREACHABLE),
        (Refused("unhandled"), Exit.REFUSED),
        (Refused("no_route"), Exit.UNREACHABLE),
        (Crashed(), Exit.FAILED),
        (OSError(28, "No space left on device"), Exit.FAILED),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
        (Interrupted(SIGINT), Exit.INTERRUPTED),
        (Interrupted(SIGTERM), Exit.TERMINATED),
        (KeyError("x"), Exit.BUG),
    ],
)
def test_each_error_has_its_exit_code(error: BaseException, code: Exit) -> None:
    assert exit_for(error) is code


def test_of_a_group_a_signal_decides_then_a_bug_then_the_first() -> None:
    expired, bug, signal = Expired(), KeyError("x"), Interrupted(SIGTERM)
    assert principal(ExceptionGroup("", [expired, Lost("cut")])) is expired
    assert principal(ExceptionGroup("", [expired, ExceptionGroup("", [bug])])) is bug
    assert principal(BaseExceptionGroup("", [bug, expired, signal])) is signal


def test_a_problem_says_what_when_and_what_to_do() -> None:
    problem = problem_of(Expired(), NOON)
    assert problem == Problem(
        code="expired", what="expired before it was sent", when="2026-01-02T12:00:00Z", hint="actors ls proxies"
    )


def failing(error: BaseException) -> object:
    async def command() -> None:
        await trio.lowlevel.checkpoint()
        async with trio.open_nursery():
            raise error

    def app(*_: object, **__: object) -> object:
        return trio.run(command)

    return lambda: app


def test_a_bug_is_one_line_and_70(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACTORS_DEBUG", raising=False)
    monkeypatch.setattr(entry, "make_app", failing(KeyError("a\nb")))
    assert main(["ls"]) == 70
    printed = capsys.readouterr().err
    assert printed.splitlines()[0] == "actors: KeyError: 'a\\nb'"
    assert "Traceback" not in printed


def test_the_traceback_of_a_bug_is_there_for_those_who_ask(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTORS_DEBUG", "1")
    monkeypatch.setattr(entry, "make_app", failing(KeyError("x")))
    assert main(["ls"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_ends_with_130_and_one_line(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry, "make_app", failing(KeyboardInterrupt()))
    assert main(["ls"]) == 130
    assert capsys.readouterr().err == "actors: ended by SIGINT\n"


def test_a_reader_that_went_away_gets_no_words() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "actors.console.main", "--help"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.returncode == 141
    assert done.stderr == ""


def test_the_app_is_made_without_importing_a_command() -> None:
    assert make_app().name == ("actors",)


# -- envelope and words -----------------------------------------------------------------------------------


def test_the_envelopes() -> None:
    problem = Problem(code="expired", what="too late", when="2026-01-02T12:00:00Z", hint="")
    assert json.loads(good({"n": 1})) == {"schema": "actors/v1", "ok": True, "data": {"n": 1}}
    failed = json.loads(bad(problem))
    assert failed.keys() == {"schema", "ok", "error"}
    assert failed["ok"] is False
    assert json.loads(bad(problem, {"n": 1}))["data"] == {"n": 1}
    assert bad(problem).count(b"\n") == 1


def test_a_plain_table_lines_up() -> None:
    table = plain([Column("name"), Column("n", right=True)], [("a", 1), ("longer", None), ("c", 10.5)])
    assert table == "NAME        N\na           1\nlonger      -\nc       10.50\n"


def test_what_a_stranger_chose_cannot_steer_the_terminal() -> None:
    assert clean("a\x1b[2Jb\nc") == "a\ufffd[2Jb\ufffdc"


@pytest.mark.parametrize(("variable", "value", "coloured"), [("NO_COLOR", "1", False), ("FORCE_COLOR", "1", True)])
def test_on_a_terminal_a_table_has_its_frame_and_colour_unless_forbidden(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, variable: str, value: str, coloured: bool
) -> None:
    monkeypatch.setattr("actors.console.words.on_terminal", lambda _: True)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, value)
    show([Column("name"), Column("n", right=True)], [("a", 1)], title="nodes")
    printed = capsys.readouterr().out
    assert "\u2500" in printed
    assert ("\x1b[" in printed) is coloured


@pytest.mark.parametrize(
    ("term", "terminal", "able"), [("xterm", True, True), ("dumb", True, False), ("xterm", False, False)]
)
def test_a_dumb_terminal_is_treated_as_a_file(
    monkeypatch: pytest.MonkeyPatch, term: str, terminal: bool, able: bool
) -> None:
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    monkeypatch.setenv("TERM", term)
    assert on_terminal(Stream()) is able
