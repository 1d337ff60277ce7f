#!/usr/bin/env python3
"""Proves the specification's table: takes out the branch behind each `# spec S…:` comment; a test must notice.

    .venv/bin/python scripts/spec.py               every sentence of ARCHITECTURE.md's table
    .venv/bin/python scripts/spec.py --only S7     one of them; may be said more than once
    .venv/bin/python scripts/spec.py --jobs 1      one run of tests at a time

A comment at the end of a line stands for what begins on that line: a statement, an entry of a table, an argument. One
on a line of its own stands for what follows. It is taken out in a copy of the tree, and the tests that the table names
for that sentence run there. Each branch must be missed by one of them, and each of them must miss a branch; a module
that can no longer be imported proves nothing. Exit 1 if that is not so, 2 for a sentence that is not in the table.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import shutil
import subprocess
import sys
import time
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("actors", "transports", "tests", "pyproject.toml")
SECONDS = 120.0
"""For one run of tests. What takes longer hangs, and has noticed."""


# -- the table --------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """A sentence of the table: the modules that obey it, and the tests that would miss it, as `tests/file.py::test`."""

    sentence: str
    modules: tuple[str, ...]
    tests: tuple[str, ...]


def rows_of(architecture: str) -> list[Row]:
    """The table of ARCHITECTURE.md."""
    lines = re.findall(r"^\| (S\d+) \|[^|]*\|([^|]*)\|([^|]*)\|$", architecture, re.MULTILINE)
    return [
        Row(
            sentence,
            tuple(re.findall(r"`([^`]+)`", modules)),
            tuple(f"tests/{test}" for test in re.findall(r"`(test_\w+\.py::test_\w+)`", tests)),
        )
        for sentence, modules, tests in lines
    ]


# -- taking out -------------------------------------------------------------------------------------------


class Cut(NamedTuple):
    """A module without one branch."""

    sentence: str
    module: str
    line: int
    words: str
    """The branch, as it begins."""
    source: str


class Branch(NamedTuple):
    """From where to where, in lines from 1 and bytes from 0; what is replaced of it, and by what."""

    begin: tuple[int, int]
    end: tuple[int, int]
    replaced: tuple[tuple[int, int], tuple[int, int]]
    instead: str


def cuts_of(module: str, source: str) -> list[Cut]:
    """One for each `# spec S…:` comment of a module."""
    if "# spec S" not in source:
        return []
    return [Cut(sentence, module, *_without(source, line, alone=alone)) for sentence, line, alone in _comments(source)]


def _comments(source: str) -> Iterator[tuple[str, int, bool]]:
    """The sentence, the line, and whether the comment has it for itself."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        said = re.match(r"# spec (S\d+): ", token.string) if token.type == tokenize.COMMENT else None
        if said:
            yield said[1], token.start[0], not token.line[: token.start[1]].strip()


def _without(source: str, line: int, *, alone: bool) -> tuple[int, str, str]:
    """The line, the words and the source without the branch that a comment stands for."""
    branches = _branches(ast.parse(source))
    if alone:
        line = min((branch.begin[0] for branch in branches if branch.begin[0] > line), default=line)
    here = [branch for branch in branches if branch.begin[0] == line]
    if not here:
        raise SystemExit(f"nothing begins on line {line}, where a comment cites the specification")
    branch = min(here, key=lambda one: (one.begin, [-n for n in one.end]))  # the outermost
    lines = source.encode().splitlines(keepends=True)
    start, end = (sum(map(len, lines[: at - 1])) + column for at, column in branch.replaced)
    data = b"".join(lines)
    words = lines[line - 1][branch.begin[1] :].decode().partition("  #")[0].strip().rstrip(",")
    return line, words, (data[:start] + branch.instead.encode() + data[end:]).decode()


def _branches(tree: ast.AST) -> list[Branch]:
    """All that can be taken out, and what stands in its place: nothing, in a form that fits there."""
    found: dict[tuple[tuple[int, int], tuple[int, int]], Branch] = {}
    for node in ast.walk(tree):
        for branch in _branches_at(node):
            found.setdefault((branch.begin, branch.end), branch)
    return list(found.values())


def _branches_at(node: ast.AST) -> Iterator[Branch]:
    match node:
        case ast.If(test=test):
            yield _branch(node, node, "False", replaced=test)
        case ast.FunctionDef(decorator_list=[first, *_]) | ast.AsyncFunctionDef(decorator_list=[first, *_]):
            begin = (first.lineno, node.col_offset)
            yield Branch(begin, _end(node), (begin, _end(node)), "pass")
        case ast.stmt():
            yield _branch(node, node, "pass")
        case ast.Dict(keys, values):
            for key, value in zip(keys, values, strict=True):
                yield _branch(key or value, value, "**{}")
                if _is_cell(key) and isinstance(value, ast.Tuple):
                    yield _branch(value.elts[-1], value.elts[-1], "Rule(Condition.ALWAYS)")
        case ast.Tuple(elts) | ast.List(elts) | ast.Set(elts):
            yield from (_branch(one, one, "*()") for one in elts)
        case ast.Call(args=args, keywords=keywords):
            yield from (_branch(one, one, "*()") for one in args)
            yield from (_branch(one, one, "**{}") for one in keywords)


def _is_cell(key: ast.expr | None) -> bool:
    """Of the table of a proxy's life: its last rule always holds, and without it nothing happens."""
    return isinstance(key, ast.Attribute) and isinstance(key.value, ast.Name) and key.value.id == "Event"


_Placed = ast.stmt | ast.expr | ast.keyword


def _branch(first: _Placed, last: _Placed, instead: str, *, replaced: ast.expr | None = None) -> Branch:
    begin, end = (first.lineno, first.col_offset), _end(last)
    return Branch(
        begin, end, ((replaced.lineno, replaced.col_offset), _end(replaced)) if replaced else (begin, end), instead
    )


def _end(node: _Placed) -> tuple[int, int]:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return node.end_lineno, node.end_col_offset


# -- table and comments -----------------------------------------------------------------------------------


def cuts_in(root: Path) -> list[Cut]:
    """All of a tree."""
    modules = sorted(path.relative_to(root).as_posix() for path in root.glob("actors/**/*.py"))
    return [cut for module in modules for cut in cuts_of(module, (root / module).read_text())]


def differences(rows: Sequence[Row], cuts: Sequence[Cut]) -> list[str]:
    """Where the table and the comments say different things."""
    found = []
    for row in rows:
        cited = {cut.module for cut in cuts if cut.sentence == row.sentence}
        found += [f"{row.sentence} names no test"] if not row.tests else []
        found += [f"{row.sentence} names {module}, which has no comment for it" for module in {*row.modules} - cited]
        found += [
            f"{row.sentence} is cited in {module}, which its row does not name" for module in cited - {*row.modules}
        ]
    known = {row.sentence for row in rows}
    found += [
        f"{cut.module}:{cut.line} cites {cut.sentence}, which has no row" for cut in cuts if cut.sentence not in known
    ]
    return sorted(found)


# -- running ----------------------------------------------------------------------------------------------


class Run(NamedTuple):
    """What became of some tests."""

    passed: frozenset[str]
    imported: bool = True
    hung: bool = False


def run_tests(tree: Path, tests: Iterable[str]) -> Run:
    """Run tests in a tree. None has passed if they take too long."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rA",
        "--tb=no",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:trio_actors",
        *tests,
    ]
    try:
        ran = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Run(frozenset(), hung=True)
    said = re.findall(r"^(PASSED|FAILED|ERROR) (tests/\w+\.py)(::\w+)?", ran.stdout, re.MULTILINE)
    ended = {verdict: {file + test for word, file, test in said if word == verdict} for verdict, _, _ in said}
    passed = ended.get("PASSED", set()) - ended.get("FAILED", set()) - ended.get("ERROR", set())
    return Run(frozenset(passed), imported=bool(said) and all(test for _, _, test in said))


def copy_of(tree: Path, to: Path, *leave: str) -> Path:
    """What tests need of a tree."""
    to.mkdir()
    for name in COPIED:
        if (tree / name).is_dir():
            shutil.copytree(tree / name, to / name, ignore=shutil.ignore_patterns(*leave))
        elif (tree / name).exists():
            shutil.copy2(tree / name, to / name)
    return to


def prove(root: Path, rows: Sequence[Row], cuts: Sequence[Cut], *, jobs: int) -> list[str]:
    """Take out each branch, print who noticed, and tell what is wrong."""
    with TemporaryDirectory(prefix="spec-") as folder:
        whole = copy_of(root, Path(folder) / "whole", "__pycache__")  # compiled once, by the first run
        wanted = sorted({test for row in rows for test in row.tests})
        wrong = [f"{test} fails without any cut" for test in sorted({*wanted} - run_tests(whole, wanted).passed)]
        tests = {row.sentence: row.tests for row in rows}

        def missed(cut: Cut) -> Run:
            tree = copy_of(whole, Path(folder) / f"{cut.module.replace('/', '.')}.{cut.line}")
            (tree / cut.module).write_text(cut.source)
            return run_tests(tree, tests[cut.sentence])

        with ThreadPoolExecutor(jobs) as pool:
            runs = list(zip(cuts, pool.map(missed, cuts), strict=True))
    for row in rows:
        wrong += _verdict(row, [(cut, run) for cut, run in runs if cut.sentence == row.sentence])
    return wrong


def _verdict(row: Row, runs: Sequence[tuple[Cut, Run]]) -> Iterator[str]:
    """A line for each branch of the sentence; what is wrong with it."""
    idle = set(row.tests)
    for cut, run in runs:
        failed = {*row.tests} - run.passed
        idle -= failed
        told = f"{len(failed)} of {len(row.tests)} tests {'hung' if run.hung else 'failed'}" if failed else "UNNOTICED"
        told = told if run.imported else "CANNOT BE IMPORTED"
        print(f"{cut.sentence:4} {cut.module + ':' + str(cut.line):32} {_short(cut.words, 54):54} {told}")
        if not failed or not run.imported:
            yield f"{cut.sentence}: {cut.module}:{cut.line}: {told}"
    yield from (f"{row.sentence}: {test} misses none of its branches" for test in sorted(idle))


def _short(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: most - 1]}…"


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """The command. Its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", metavar="S", action="append", help="this sentence of the table; may be repeated")
    parser.add_argument("--jobs", metavar="N", type=int, default=2, help="so many runs of tests at a time (2)")
    options = parser.parse_args(arguments)
    rows, cuts = rows_of((root / "ARCHITECTURE.md").read_text()), cuts_in(root)
    unknown = {*(options.only or ())} - {row.sentence for row in rows}
    if unknown:
        parser.error(f"the table has no sentence {', '.join(sorted(unknown))}")
    if options.jobs < 1:
        parser.error(f"{options.jobs} runs at a time would never end")
    wrong = differences(rows, cuts)
    began = time.monotonic()
    rows = [row for row in rows if row.sentence in (options.only or (row.sentence,))]
    cuts = [cut for cut in cuts if any(cut.sentence == row.sentence for row in rows)]
    wrong += prove(root, rows, cuts, jobs=options.jobs)
    for line in wrong:
        print(f"spec: {line}", file=sys.stderr)
    print(f"{len(cuts)} branches of {len(rows)} sentences, {len(wrong)} mistakes, {time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
