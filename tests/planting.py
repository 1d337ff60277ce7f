"""The switch for planted bugs: one line of a module behaves, for a while, as if it had been written wrongly.

    with planted(bug):
        ...

Nothing in the product knows of this. The module's source is compiled again with the line changed, and every living
function that the change reaches gets its new code, wherever it is held: in a class, in a table, in a closure. Values
that a module makes when it is imported (constants, tables, default arguments) are made again where the change reaches
them, also where other modules have taken them by name. At the end all of it is as it was.

What the body of a class holds besides functions cannot be changed so. What already runs goes on as it began.
"""

from __future__ import annotations

import ast
import gc
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import TypeAlias, cast

from msgspec import Struct


class NotPlanted(Exception):
    """The bug does not fit the source of today, or cannot be planted in this way. It says which bug to look at."""


class Bug(Struct, frozen=True, kw_only=True):
    """One line of the product as somebody might have written it."""

    name: str
    """A few words with dashes."""
    module: str
    right: str
    """What stands in the module's source, exactly once: a line, or as much around it as makes it the only one."""
    wrong: str
    """The same with one line changed."""
    undoes: str
    """The rule of PROTOCOL.md, or the mend, that is undone: in words."""
    fix: bool = False
    """Whether the line once stood so, or was missing, in this repository, and was mended."""
    breaks: tuple[str, ...]
    """Promises: P1 … P9."""
    needs: str
    """What has to happen in a run for anybody to notice."""
    found_by: str
    """The scenario that is expected to find it."""
    seeds: tuple[int, ...] = ()
    """With these that scenario finds it."""


_Undo: TypeAlias = Callable[..., object]
"""As ExitStack.callback: a function, and what it is to be called with at the end."""
_Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

_planted: dict[str, str] = {}
"""The source that a module with bugs in it behaves like, by its name."""
_NOTHING = object()


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """Plant the bug; dig it out at the end of the block, however that ends. Blocks may be nested.

    Raises NotPlanted, and then nothing has changed.
    """
    module = import_module(bug.module)
    before = _planted.get(bug.module) or _source(module)
    after = edited(bug, before)
    with ExitStack() as stack:
        _set(_planted, bug.module, after, stack.callback)
        try:
            _plant(module, before, after, stack.callback)
        except (NotPlanted, NameError, SyntaxError, ValueError) as error:
            raise NotPlanted(f"{bug.name} cannot be planted in {bug.module}: {error}") from error
        yield


def edited(bug: Bug, source: str) -> str:
    """The source with the bug in it."""
    found = source.count(bug.right)
    if found != 1:
        raise NotPlanted(
            f"{bug.name}: {bug.module} holds this {found} times, where once is meant. The code has moved; look where it"
            f" keeps this now ({bug.undoes}):\n{bug.right}"
        )
    right, wrong = bug.right.split("\n"), bug.wrong.split("\n")
    if len(right) != len(wrong) or sum(one != other for one, other in zip(right, wrong, strict=True)) != 1:
        raise NotPlanted(f"{bug.name} is not one line that is changed into another")
    return source.replace(bug.right, bug.wrong)


def _source(module: ModuleType) -> str:
    # From its file: the loader may be pytest's, which rewrites asserts and knows no source.
    return Path(module.__file__).read_text() if module.__file__ else ""


def _plant(module: ModuleType, before: str, after: str, undo: _Undo) -> None:
    right, wrong = ast.parse(before), ast.parse(after)
    functions = _swap_codes(module, dict(_pairs(_compile(right, module), _compile(wrong, module))), undo)
    values = _Values(undo)
    values.change(module, right, wrong, _changed_line(before, after))
    if not functions and not values.changed:
        raise NotPlanted("nothing that lives runs this line")


def _changed_line(before: str, after: str) -> int:
    lines = zip(before.split("\n"), after.split("\n"), strict=True)
    return next(number for number, (one, other) in enumerate(lines, 1) if one != other)


def _compile(tree: ast.Module, module: ModuleType, flags: int = 0) -> CodeType:
    code: CodeType = compile(tree, module.__file__ or "", "exec", flags, dont_inherit=True)
    return code


def _set(space: dict[str, object] | dict[str, str], name: str, value: object, undo: _Undo) -> None:
    space = cast("dict[str, object]", space)
    undo(_reset, space, name, space.get(name, _NOTHING))
    space[name] = value


def _reset(space: dict[str, object], name: str, value: object) -> None:
    if value is _NOTHING:
        del space[name]
    else:
        space[name] = value


# -- functions --------------------------------------------------------------------------------------------


def _pairs(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """Each code in `old` that the change reaches, itself or in a function inside, with what takes its place."""
    if old == new:
        return
    yield old, new
    inner = [[const for const in code.co_consts if isinstance(const, CodeType)] for code in (old, new)]
    if [code.co_qualname for code in inner[0]] == [code.co_qualname for code in inner[1]]:
        for one, other in zip(*inner, strict=True):
            yield from _pairs(one, other)


def _swap_codes(module: ModuleType, codes: dict[CodeType, CodeType], undo: _Undo) -> int:
    """Give every living function that runs one of these the other. How many there were."""
    undo(_exchange, module, {new: old for old, new in codes.items()})  # those that will have been made meanwhile
    functions = _living(module, codes)
    for function in functions:
        undo(setattr, function, "__code__", function.__code__)
        function.__code__ = codes[function.__code__]  # a ValueError, if it closes over other names
    return len(functions)


def _exchange(module: ModuleType, codes: dict[CodeType, CodeType]) -> None:
    for function in _living(module, codes):
        function.__code__ = codes[function.__code__]


def _living(module: ModuleType, codes: Iterable[CodeType]) -> list[FunctionType]:
    """All functions of the module with one of these codes, whoever holds them."""
    wanted = set(codes)
    return [function for function in _functions_of(module) if function.__code__ in wanted]


def _functions_of(module: ModuleType) -> list[FunctionType]:
    file = module.__file__  # functions of two modules may well be equal
    gc.unfreeze()  # a node that ran in this process may have taken what lives out of the collector's sight
    found = (each for each in gc.get_objects() if type(each) is FunctionType)
    return [function for function in found if function.__code__.co_filename == file]


# -- values -----------------------------------------------------------------------------------------------


class _Values:
    """What modules make when they are imported, made again as far as a change reaches."""

    def __init__(self, undo: _Undo) -> None:
        self.changed = 0
        self._undo = undo

    def change(self, module: ModuleType, before: ast.Module, after: ast.Module, line: int) -> None:
        """Follow what differs between two sources of a module, which differ in this line."""
        names: set[str] = set()
        for old, new in _both(before.body, after.body):
            if not _spans(new, line):
                self._follow(module, new, names)
            elif isinstance(new, ast.Assign | ast.AnnAssign):
                names |= self._execute(module, new)
            else:
                self._define(module, old, new, line)

    def _define(self, module: ModuleType, old: ast.stmt, new: ast.stmt, line: int) -> None:
        """A function or class that differs. The bodies of functions are code, and done; default arguments are not."""
        if isinstance(old, ast.ClassDef) and isinstance(new, ast.ClassDef):
            for one, other in _both(old.body, new.body):
                if _spans(other, line):
                    self._define(module, one, other, line)
        elif isinstance(old, _Definition) and isinstance(new, _Definition):
            before = [ast.dump(default) for default in _defaults(old)]
            self._evaluate(module, new, lambda place, default: ast.dump(default) != before[place])
        else:
            raise NotPlanted(f"line {line} is neither in a function nor a value of the module")

    def _follow(self, module: ModuleType, node: ast.stmt, names: set[str]) -> None:
        """A statement that is the same, but may have taken what these names stood for."""
        match node:
            case ast.Assign() | ast.AnnAssign():
                if names & _loaded(node):
                    names |= self._execute(module, node)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._evaluate(module, node, lambda _, default: bool(names & _loaded(default)))
            case ast.ClassDef():
                for inner in node.body:
                    if isinstance(inner, ast.Assign | ast.AnnAssign) and names & _loaded(inner):
                        raise NotPlanted(f"class {node.name} of {module.__name__} has taken the value")
                    self._follow(module, inner, names)

    def _execute(self, module: ModuleType, node: ast.Assign | ast.AnnAssign) -> set[str]:
        """An assignment of the module, once more. Whoever has the old value by its name gets the new one."""
        space = vars(module)
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        before = {name: space[name] for target in targets for name in _named(target)}
        for name, value in before.items():
            _set(space, name, value, self._undo)
        exec(_compile(ast.Module([node], []), module, annotations.compiler_flag), space)
        self.changed += 1
        for other in list(sys.modules.values()):
            taken = {name for name, value in before.items() if getattr(other, "__dict__", {}).get(name) is value}
            if taken:
                self._pass_on(other, {name: space[name] for name in taken})
        return set(before)

    def _pass_on(self, module: ModuleType, values: dict[str, object]) -> None:
        for name, value in values.items():
            _set(vars(module), name, value, self._undo)
        names = set(values)
        for node in ast.parse(_planted.get(module.__name__) or _source(module)).body:
            self._follow(module, node, names)

    def _evaluate(self, module: ModuleType, node: _Definition, differs: Callable[[int, ast.expr], bool]) -> None:
        """Those default arguments of a function that differ, once more."""
        places = len(node.args.defaults)
        again = [(place, default) for place, default in enumerate(_defaults(node)) if differs(place, default)]
        for function in self._of(module, node) if again else ():
            by_place, by_name = list(function.__defaults__ or ()), dict(function.__kwdefaults__ or {})
            for place, default in again:
                value = eval(compile(ast.Expression(default), "", "eval", dont_inherit=True), vars(module))
                if place < places:
                    by_place[place] = value
                else:
                    by_name[node.args.kwonlyargs[place - places].arg] = value
            for attribute in ("__defaults__", "__kwdefaults__"):
                self._undo(setattr, function, attribute, getattr(function, attribute))
            function.__defaults__, function.__kwdefaults__ = tuple(by_place) or None, by_name or None
            self.changed += 1

    @staticmethod
    def _of(module: ModuleType, node: _Definition) -> list[FunctionType]:
        its = (node.name, _first_line(node))
        return [each for each in _functions_of(module) if (each.__name__, each.__code__.co_firstlineno) == its]


def _both(before: list[ast.stmt], after: list[ast.stmt]) -> Iterable[tuple[ast.stmt, ast.stmt]]:
    if len(before) != len(after):
        raise NotPlanted("a statement has come or gone outside of functions")
    return zip(before, after, strict=True)


def _spans(node: ast.stmt, line: int) -> bool:
    return _first_line(node) <= line <= (node.end_lineno or 0)


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min(node.lineno, *(decorator.lineno for decorator in decorators)) if decorators else node.lineno


def _named(target: ast.expr) -> set[str]:
    return {name.id for name in ast.walk(target) if isinstance(name, ast.Name)}


def _loaded(node: ast.AST) -> set[str]:
    return {name.id for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Load)}


def _defaults(node: _Definition) -> list[ast.expr]:
    """By place, then by name; `...` for a name without one."""
    return [*node.args.defaults, *(default or ast.Constant(...) for default in node.args.kw_defaults)]
