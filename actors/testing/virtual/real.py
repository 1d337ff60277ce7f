"""Under simulation nothing is real: code that uses real time, threads, processes or sockets is told so, by name.

    with NothingReal(seed) as guard:
        run_virtual(main, seed=seed)

For the length of the block the functions in `uses` are replaced by ones that look at who calls them:

- a clock that is read: at the caller alone. Only code of the user's is told; Trio, pytest, Hypothesis, logging, this
  package and every library read it as they like.
- all else: at the nearest caller that is the user's. `requests.get` in an engine opens a socket, whoever wrote it.
  Only what pytest, Hypothesis and logging do is their own affair.

`callers` says whose code is whose. Chance is not refused but drawn from the seed (`chance`).

Not seen: `datetime.now()` and `today()`, which cannot be replaced; a function that a class attribute or a default
argument kept from before; waiting on locks, queues and events of threads; other threads that run already.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import lru_cache, partial, wraps
from importlib import import_module
from itertools import takewhile
from types import FrameType, TracebackType
from typing import Any, Final, Self

from actors.errors import ActorError
from actors.identity import NodeID
from actors.testing.virtual import callers
from actors.testing.virtual.chance import seeded_chance
from actors.testing.virtual.uses import USES, Use


class NotSimulated(ActorError):
    """Something real was used under simulation. `hint` says what to use instead."""

    code = "not_simulated"

    def __init__(self, who: str, what: str, where: str, instead: str, through: str = "") -> None:
        by = f", through {through}" if through else ""
        super().__init__(f"{who} called {what} in {where}{by}; under simulation {instead}")
        self.hint = instead
        self.who = who
        self.what = what
        self.where = where
        self.through = through


class NothingReal:
    """As a context manager around a simulation, or a part of one. In one thread; blocks may be nested.

    Whoever uses something real gets NotSimulated. An engine crashes by it and may be restarted, an asker gets Crashed;
    so that it does not go down there, `offences` keeps all of them, and the end of the block raises the first, unless
    it is what ends the block.

    seed: of chance. name_of: what a node is called; it may be set later. allow: names of functions, as they stand in
    the error, that may be used all the same.
    """

    def __init__(
        self, seed: int = 0, *, name_of: Callable[[NodeID], str] | None = None, allow: Collection[str] = ()
    ) -> None:
        self.name_of: Callable[[NodeID], str] = name_of or (lambda node: node.short)
        self.offences: list[NotSimulated] = []
        self._seed = seed
        self._allow = frozenset(allow)
        self._thread = threading.get_ident()
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            opening.enter_context(seeded_chance(self._seed))
            if not _guards:
                opening.callback(_replacing())
            _guards.append(self)
            opening.callback(_guards.pop)
            self._open = opening.pop_all()
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self._open.close()
        if error is None or isinstance(error, Exception):
            self._raise_first(error)

    def check(self) -> None:
        """Raise the first offence, if there was one."""
        self._raise_first(None)

    def _raise_first(self, error: Exception | None) -> None:
        if self.offences and error is not self.offences[0]:
            first = self.offences[0]
            raise first from None if _holds(error, first) else error

    def notice(self, use: Use, frame: FrameType) -> None:
        """Somebody calls this; `frame` is the caller's. Raises NotSimulated if they must not."""
        if use.name in self._allow or threading.get_ident() != self._thread:
            return
        culprit = _culprit(frame)
        if culprit is not None:
            offence = self._offence(use, frame, culprit)
            self.offences.append(offence)
            raise offence

    def _offence(self, use: Use, frame: FrameType, culprit: FrameType) -> NotSimulated:
        between = list(takewhile(lambda each: each is not culprit, callers.stack(frame)))
        if not callers.is_users(culprit):
            between.append(culprit)
        through = next(filter(None, map(callers.name_in_words, reversed(between))), "")
        where = callers.in_words(culprit)
        return NotSimulated(self._who(culprit), f"{use.name}()", where, use.instead, through and f"{through}()")

    def _who(self, culprit: FrameType) -> str:
        engine = callers.engine_here(culprit)
        if engine is None:
            return f"{culprit.f_code.co_name}()"
        node = callers.node_of(engine)
        return callers.engine_in_words(engine, self.name_of(node) if node else "")


def _culprit(frame: FrameType) -> FrameType | None:
    """The frame that should not have done this. None if all are right."""
    last = frame
    for each in callers.stack(frame):
        if callers.is_exempt(each):
            return None
        if callers.is_users(each):
            return each
        last = each
    # Nobody's code stands here but libraries': `nursery.start_soon(trio.serve_tcp, …)`.
    return last if callers.task_here() else None


def _holds(error: BaseException | None, inner: BaseException) -> bool:
    return isinstance(error, BaseExceptionGroup) and any(
        each is inner or _holds(each, inner) for each in error.exceptions
    )


# -- replacing --------------------------------------------------------------------------------------------

_guards: Final[list[NothingReal]] = []
"""Those in force; the innermost counts."""


class _Watched:
    """A function of USES, and what stands in its place."""

    def __init__(self, use: Use, owner: Any) -> None:
        name = use.path.rpartition(".")[2]
        original = getattr(owner, name)

        @wraps(original)
        def watched(*args: Any, **kwargs: Any) -> Any:
            if _guards:
                frame = sys._getframe(1)
                if not use.looks or callers.is_users(frame):
                    _guards[-1].notice(use, frame)
            return original(*args, **kwargs)

        self.use, self.owner, self.name = use, owner, name
        self.original, self.watched = original, watched


@lru_cache
def _watched(use: Use) -> _Watched | None:
    """Made once: code that imports it meanwhile keeps what it got, and that does no harm."""
    owner: Any = import_module(use.home)
    *path, name = use.path.split(".")
    for part in path:
        owner = getattr(owner, part)
    return _Watched(use, owner) if hasattr(owner, name) else None


def _replacing() -> Callable[[], None]:
    """Replace all, also where a module of the user's or of Trio's has imported one; the result brings all back."""
    callers.look_again()
    found = [watched for use in USES if use.home in sys.modules and (watched := _watched(use))]
    places: list[tuple[Any, str, _Watched]] = [(watched.owner, watched.name, watched) for watched in found]
    by_function = {id(watched.original): watched for watched in found}
    for key, module in list(sys.modules.items()):
        trios = key.startswith("trio.")
        if trios or callers.is_users_module(module):
            for name, value in vars(module).items():
                watched = by_function.get(id(value))
                if watched is not None and not (trios and watched.use.looks):
                    places.append((module, name, watched))
    for owner, name, watched in places:
        setattr(owner, name, watched.watched)
    return partial(_bring_back, places)


def _bring_back(places: list[tuple[Any, str, _Watched]]) -> None:
    for owner, name, watched in places:
        if getattr(owner, name, None) is watched.watched:
            setattr(owner, name, watched.original)
