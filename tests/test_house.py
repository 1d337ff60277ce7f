"""The house rules that no linter knows: floors, purity, what may stand in a file, a README that is true."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from actors.config import Limits, NodeConfig, load_config
from actors.console.main import make_app
from actors.net.life.table import table_as_markdown

ROOT = Path(__file__).parents[1]


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def repository() -> list[Path]:
    git = [
        "git",
        "-c",
        "safe.directory=*",
        "-C",
        str(ROOT),
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    listed = subprocess.run(git, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def run(command: list[str], folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **environ}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False)


# -- what may stand in a file -----------------------------------------------------------------------------

# Put together here, so that this file does not hold them.
HOSTS = [".".join(host) for host in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("debian", "org"))]
FORBIDDEN = re.compile(
    "|".join(
        [
            *map(re.escape, HOSTS),
            r"https?://\S+\.(?:whl|tar\.gz|tgz|zip|deb)\b",
            r"-{2}(?:extra-)?index-url|-{2}find-links",
            r"(?<![\w.])/(?:root|work|home/\w+|Users/\w+)/",
            *(re.escape(f"{path}/") for path in (ROOT, Path.home()) if len(path.parts) > 2),
        ]
    )
)


def test_no_file_holds_a_download_host_or_a_path_of_one_machine() -> None:
    found = []
    for path in repository():
        text = path.read_bytes().decode("utf-8", "replace")
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in FORBIDDEN.finditer(text)]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        f"https://{HOSTS[0]}/simple",
        "https://example.net/a-1.0-py3-none-any" + ".whl",
        "pip install -" + "-index-url x",
        "python = '/" + "root/bin/python'",
        "cd /" + "home/someone/src",
        f"see {ROOT}/actors",
    ],
)
def test_an_address_or_path_that_is_planted_is_found(text: str) -> None:
    assert FORBIDDEN.search(text)


def test_tests_neither_sleep_nor_mock() -> None:
    wrong = re.compile(r"\btime\.sleep\(|\bunittest\.mock\b|\basync(?:io)\.sleep\(")
    paths = [path for path in repository() if path.parent == ROOT / "tests" and path != Path(__file__)]
    assert [str(path) for path in paths if wrong.search(path.read_text())] == []


def test_tests_lie_flat_and_shadow_no_package() -> None:
    names = [path.relative_to(ROOT).as_posix() for path in repository()]
    assert [name for name in names if re.match(r"tests/(actors|transports)/|tests/__init__\.py", name)] == []


# -- floors and purity ------------------------------------------------------------------------------------


class Plant(NamedTuple):
    module: str
    line: str
    contract: str
    """The id of the contract that must break."""


PLANTS = [
    Plant("actors/identity.py", "from actors import engine", "floors"),
    Plant("actors/messages/__init__.py", "from actors.runtime import clock", "floors"),
    Plant("actors/net/wire.py", "from actors.net.session import link", "net"),
    Plant("actors/net/node_proxy.py", "from actors.net import transport_protocol", "net"),
    Plant("actors/net/session/delivery.py", "from actors.net.session import session", "session"),
    Plant("actors/testing/judge/order.py", "from actors.testing.cluster import trace", "testing"),
    Plant("actors/net/vocabulary.py", "from actors.net import network", "net"),
    Plant("actors/net/newcomer.py", "", "net"),
    Plant("actors/control/surface.py", "from actors import node", "floors"),
    Plant("actors/newcomer.py", "", "floors"),
    Plant("transports/frames.py", "from transports import base", "transports"),
    Plant("transports/errors.py", "import actors.errors", "packages"),
    Plant("actors/net/proving/handshake.py", "import trio", "pure"),
    Plant("actors/engine/policy.py", "import random", "pure"),
    Plant("transports/addresses.py", "from transports.tcp.stream import *", "pure"),
    Plant("actors/state.py", "import rich", "console"),
    Plant("transports/websocket/transport.py", "import trio_websocket", "websocket"),
]


@pytest.fixture(scope="module")
def copy_of_the_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("house")
    for package in ("actors", "transports"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


@pytest.fixture
def planted(copy_of_the_packages: Path, request: pytest.FixtureRequest) -> Iterator[Plant]:
    plant: Plant = request.param
    module = copy_of_the_packages / plant.module
    before = module.read_text() if module.exists() else None
    module.write_text(f"{before or ''}\n{plant.line}\n")
    yield plant
    module.unlink() if before is None else module.write_text(before)


def lint_imports(folder: Path, contract: str) -> subprocess.CompletedProcess[str]:
    lint = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return run([sys.executable, "-c", lint, "--no-cache", "--no-logo", "--contract", contract], folder)


@pytest.mark.slow
@pytest.mark.parametrize("planted", PLANTS, indirect=True, ids=lambda plant: f"{plant.module}: {plant.line or 'new'}")
def test_a_planted_import_breaks_its_contract(copy_of_the_packages: Path, planted: Plant) -> None:
    linted = lint_imports(copy_of_the_packages, planted.contract)
    assert linted.returncode == 1
    assert "BROKEN" in linted.stdout
    assert planted.module.removesuffix(".py").removesuffix("/__init__").replace("/", ".") in linted.stdout


@pytest.mark.slow
@pytest.mark.parametrize("contract", sorted({plant.contract for plant in PLANTS}))
def test_without_a_plant_each_contract_holds(copy_of_the_packages: Path, contract: str) -> None:
    linted = lint_imports(copy_of_the_packages, contract)
    assert linted.returncode == 0, linted.stdout


def modules() -> Iterator[tuple[str, str]]:
    """The name and docstring of every module of the packages that is not empty."""
    for path in [*ROOT.glob("actors/**/*.py"), *ROOT.glob("transports/**/*.py")]:
        if not path.read_text().strip():
            continue
        name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        yield name, ast.get_docstring(ast.parse(path.read_text())) or ""


def test_a_module_that_calls_itself_pure_is_held_to_it() -> None:
    contracts = project()["tool"]["importlinter"]["contracts"]
    pure = next(contract["source_modules"] for contract in contracts if contract["id"] == "pure")
    claims = [name for name, docstring in modules() if re.search(r"\bPure\b", docstring.split("\n\n")[0])]
    assert [name for name in claims if not any(f"{name}.".startswith(f"{listed}.") for listed in pure)] == []
    assert "actors.errors" in claims


def test_every_module_says_what_it_is() -> None:
    assert [name for name, docstring in modules() if not docstring] == []


# -- the README and the gate ------------------------------------------------------------------------------

README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "GUIDE.md").read_text()
BLOCK = re.compile(r"^<!-- runs as (\S+)(?: and prints: (.*?))? -->\n```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


PAGES = README + GUIDE


@pytest.fixture
def pages_files(tmp_path: Path) -> Path:
    for name, _, code in BLOCK.findall(PAGES):
        (tmp_path / name).write_text(code)
    return tmp_path


def test_every_block_of_python_in_the_readme_and_the_guide_is_run() -> None:
    assert len(BLOCK.findall(README)) == README.count("```python") >= 2
    assert len(BLOCK.findall(GUIDE)) == GUIDE.count("```python") >= 1


@pytest.mark.slow
@pytest.mark.parametrize(("name", "prints"), [(name, prints) for name, prints, _ in BLOCK.findall(PAGES)])
def test_the_code_of_the_readme_and_the_guide_runs(pages_files: Path, name: str, prints: str) -> None:
    if name.startswith("test_"):
        settings = ["-q", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), f"--rootdir={pages_files}"]
        ran = run([sys.executable, "-m", "pytest", *settings, name], pages_files, PYTHONPATH=str(ROOT))
        assert " passed" in ran.stdout, ran.stdout
    else:
        ran = run([sys.executable, "-W", "error", name], pages_files, PYTHONPATH=str(ROOT))
        assert (ran.stdout, ran.stderr) == (f"{prints}\n", "")
    assert ran.returncode == 0


COMMANDS = re.findall(
    r"^    (?:.*\| )?(?:\.venv/bin/)?(actors .*?)(?: {3,}.*| +# .*| > .*| \| .*)?$", PAGES, re.MULTILINE
)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_the_pages_show_is_one(command: str) -> None:
    _, *words = shlex.split(command)
    make_app().parse_args(words, print_error=False, exit_on_error=False)


def test_the_settings_in_the_guide_can_be_used(tmp_path: Path) -> None:
    """All files that it shows, as they stand there."""
    files = re.findall(r"^<!-- a file: (\S+) -->\n```toml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    assert len(files) == GUIDE.count("```toml") >= 2
    for name, text in files:
        (tmp_path / name).write_text(text)
        assert load_config(tmp_path / name).name == Path(name).stem


def test_the_guide_lists_every_setting_with_its_default() -> None:
    table = re.findall(r"^\| `([\w.]+)` \| (.*?) \| \S.* \|$", GUIDE, re.MULTILINE)
    assert table == [(name, _shown(default)) for name, default in _defaults()]


def _defaults() -> Iterator[tuple[str, object]]:
    for kind, prefix in ((NodeConfig, ""), (Limits, "limits.")):
        for field in msgspec.structs.fields(kind):
            if field.name != "limits":
                yield prefix + field.name, field.default


def _shown(value: object) -> str:
    """A default, as people write it."""
    match value:
        case None | ():
            return "none"
        case tuple():
            return ", ".join(f"`{each}`" for each in value)
        case bool():
            return str(value).lower()
        case int() if value >= 1 << 16 and value % 1024 == 0:
            return f"{value >> 20} MiB" if value % (1 << 20) == 0 else f"{value >> 10} KiB"
        case int() | float():
            return f"{value:,g}"
        case _:
            return f"`{value}`"


ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
SENTENCES = re.findall(r"^\| (S\d+) \|[^|]*\|([^|]*)\|([^|]*)\|$", ARCHITECTURE, re.MULTILINE)


def test_the_table_has_every_sentence_of_the_specification() -> None:
    assert [number for number, _, _ in SENTENCES] == [f"S{number}" for number in range(1, 15)]


@pytest.mark.parametrize(("number", "where", "tests"), SENTENCES)
def test_a_sentence_of_the_specification_has_its_module_and_its_test(number: str, where: str, tests: str) -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", tests)
    assert named, f"{number} names no test"
    for file, test in named:
        assert re.search(rf"^(async )?def {test}\(", (ROOT / "tests" / file).read_text(), re.MULTILINE), test
    for module in re.findall(r"`([^`]+)`", where):
        assert (ROOT / module).is_file(), module


def test_the_table_of_a_proxys_life_is_the_one_that_is_followed() -> None:
    shown = ARCHITECTURE.partition("<!-- the table of actors.net.life.table -->\n")[2].partition("\n\n")[0]
    assert shown == table_as_markdown()


def test_every_rule_of_the_protocol_that_is_cited_is_there() -> None:
    rules = set(re.findall(r"^- \*\*([A-Z]\d+)\*\*", (ROOT / "PROTOCOL.md").read_text(), re.MULTILINE))
    assert len(rules) > 70
    for path in repository():
        if path.suffix == ".py":
            cited = set(re.findall(r"PROTOCOL ([A-Z]\d+)", path.read_text()))
            assert cited <= rules, path


def test_every_file_that_the_readme_points_to_is_there() -> None:
    table = README[README.index("## Where to look") :]
    pointed = re.findall(r"`((?:[\w.]+/)*[\w.]+(?:\.py|\.md|/))`", table)
    assert len(pointed) > 10
    assert [path for path in pointed if not (ROOT / path).exists()] == []


def test_ci_runs_the_test_command_of_the_readme() -> None:
    assert re.search(r"^    make test\b", README, re.MULTILINE)
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("make test")


def test_the_pins_are_plain_and_cover_what_the_project_asks_for() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*", line)] == []
    pinned = {re.sub(r"[_.]", "-", line.partition("==")[0]).lower() for line in lines}
    settings = project()["project"]
    extras = settings["optional-dependencies"]
    wanted = [re.split(r"[<>=\[]", one)[0] for one in (*settings["dependencies"], *extras["test"], *extras["dev"])]
    assert sorted(set(wanted) - pinned - {settings["name"]}) == []


def fake_python(path: Path, line: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def test_a_suitable_python_is_found_where_python3_is_too_old(tmp_path: Path) -> None:
    fake_python(tmp_path / "bin" / "python3", 'case $1 in -c) exit 1;; *) echo "Python 3.9.1";; esac')
    fake_python(tmp_path / "bin" / "python3.12", f'exec {sys.executable} "$@"')
    find = ["/bin/sh", str(ROOT / "scripts" / "find-python")]
    assert run(find, tmp_path, PATH=str(tmp_path / "bin")).stdout == "python3.12\n"
    assert run([*find, sys.executable], tmp_path).stdout == f"{sys.executable}\n"

    (tmp_path / "bin" / "python3.12").unlink()
    found = run(find, tmp_path, PATH=str(tmp_path / "bin"))
    assert found.returncode == 1
    assert "needs Python 3.11, 3.12 or 3.13; found Python 3.9.1" in found.stderr


def test_the_gate_refuses_a_part_that_it_does_not_know_and_an_environment_without_tools(tmp_path: Path) -> None:
    check = str(ROOT / "scripts" / "check")
    unknown = run([check, "everything"], tmp_path, CHECK_PYTHON=sys.executable)
    assert (unknown.returncode, "everything" in unknown.stderr) == (2, True)
    bare = run([check], tmp_path, CHECK_PYTHON="/bin/false")
    assert (bare.returncode, "make setup" in bare.stderr) == (1, True)
