"""Which seeds a simulated test runs, and without which faults: options of pytest, else environment variables."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from actors.errors import ConfigError

LAST_SEED: Final = 2**63 - 1

_OPTIONS: Final = {"seed": "--actors-seed", "seeds": "--actors-seeds", "without": "--actors-without"}
_VARIABLES: Final = {"seed": "ACTORS_SEED", "seeds": "ACTORS_SEEDS", "without": "ACTORS_WITHOUT"}


class Chosen(Struct, frozen=True):
    """What was asked for; None where nothing was."""

    seed: int | None = None
    seeds: int | None = None
    without: frozenset[int] = frozenset()
    by_options: bool = False
    """Whether pytest knows the options."""

    def of(self, seeds: int) -> range:
        """The seeds of a test that has so many of its own."""
        if self.seed is not None:
            return range(self.seed, self.seed + 1)
        return range(seeds if self.seeds is None else self.seeds)

    def replay(self, test: str, seed: int, without: frozenset[int]) -> str:
        """The line that runs this test from this seed again; `test` as the shell takes it."""
        values = {"seed": str(seed), "without": ",".join(map(str, sorted(without)))}
        given = {name: value for name, value in values.items() if value}
        if self.by_options:
            return " ".join(["pytest", test, *(f"{_OPTIONS[name]} {value}" for name, value in given.items())])
        return " ".join([*(f"{_VARIABLES[name]}={value}" for name, value in given.items()), "pytest", test])


def choose(config: Any = None, environ: Mapping[str, str] | None = None) -> Chosen:
    """What pytest's `config` says, or else the environment. ConfigError for what is no number."""
    environ = os.environ if environ is None else environ
    missing = object()
    said: dict[str, object] = {}
    by_options = config is not None and config.getoption(_OPTIONS["seed"], missing) is not missing
    for name, option in _OPTIONS.items():
        value = config.getoption(option, None) if by_options else None
        said[name] = environ.get(_VARIABLES[name]) if value in (None, "", ()) else value
    seed = _number("seed", said["seed"])
    without = _numbers(said["without"])
    if without and seed is None:
        raise ConfigError(f"{_OPTIONS['without']} names faults of one run: give its {_OPTIONS['seed']}, too")
    return Chosen(seed, _number("seeds", said["seeds"], least=1), without, by_options)


def _number(name: str, value: object, *, least: int = 0) -> int | None:
    if value is None or value == "":
        return None
    text = str(value)
    if not re.fullmatch(r"\d{1,19}", text) or not least <= int(text) <= LAST_SEED:
        raise ConfigError(f"{_OPTIONS[name]} {text}: a whole number from {least} to {LAST_SEED}")
    return int(text)


def _numbers(value: object) -> frozenset[int]:
    """`1,4,7`, or the numbers themselves."""
    if value is None:
        return frozenset()
    parts = value.split(",") if isinstance(value, str) else [str(part) for part in _iterable(value)]
    return frozenset(number for part in parts if (number := _number("without", part.strip())) is not None)


def _iterable(value: Any) -> Any:
    return value if hasattr(value, "__iter__") else (value,)
