"""Where the person stands, and what a key does there. Pure: a state machine; keys in, effects out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from msgspec import Struct, field

from actors.console.ui.actions import Able, Action
from actors.console.ui.bindings import Binding, bindings, command_of
from actors.console.ui.places import CLUSTER, DETAILS, SCREENS, Page, Place, Sight
from actors.console.ui.player import Turn

JUMP = 10
_DIGITS = "123456789"


class Quit(Struct, frozen=True):
    """Leave."""


class Run(Struct, frozen=True):
    """Carry out a command."""

    action: Action


class Go(Struct, frozen=True):
    """To another time of a recording."""

    turn: Turn
    seconds: float = 0.0


Effect: TypeAlias = Quit | Run | Go | None


class Prompt(Struct):
    """What is being typed."""

    kind: Literal["/", ":"]
    text: str = ""


class Desk(Struct):
    """The person's side of the console."""

    able: Able = Able()
    stack: list[Place] = field(default_factory=lambda: [CLUSTER])
    pane: Literal["nodes", "problems"] = "nodes"
    cursors: dict[tuple[Place, str], str] = field(default_factory=dict)
    """The row that is chosen, by its key: it stays with what it names, however the rows are sorted."""
    filters: dict[Page, str] = field(default_factory=dict)
    sorts: dict[Page, int] = field(default_factory=dict)
    prompt: Prompt | None = None
    confirm: Action | None = None
    menu: tuple[Action, ...] = ()
    """Faults to choose from."""
    help: bool = False
    paused: bool = False
    note: str = ""
    """The last word on what was done; gone with the next key."""

    @property
    def place(self) -> Place:
        return self.stack[-1]

    @property
    def filter(self) -> str:
        """Of this page."""
        return self.filters.get(self.place.page, "")

    @property
    def sort(self) -> int:
        """How this page is sorted, as often as `s` was pressed."""
        return self.sorts.get(self.place.page, 0)

    @property
    def _at(self) -> tuple[Place, str]:
        return self.place, self.pane if self.place == CLUSTER else ""

    def cursor(self, keys: list[str]) -> int:
        """The place of the chosen row among these; the first, if it is not there any more."""
        chosen = self.cursors.get(self._at)
        return keys.index(chosen) if chosen in keys else 0

    @property
    def following(self) -> bool:
        """Whether the last events are shown, whatever comes."""
        return self._at not in self.cursors

    def press(self, key: str, sight: Sight) -> Effect:
        """What a key does, with what is seen."""
        self.note = ""
        if self.confirm is not None:
            return self._answer(key)
        if self.prompt is not None:
            return self._type(key, sight)
        if self.help:
            self.help = False
            return None
        numbered = self.menu or (sight.actions if self.place.page in DETAILS else ())
        if key in _DIGITS and int(key) <= len(numbered):
            self._choose(int(key), numbered)
            return None
        self.menu = ()
        command = command_of(key, self.bindings)
        return self.do(command, sight) if command else None

    def do(self, command: str, sight: Sight) -> Effect:
        """Carry out a command of the table."""
        if command in SCREENS:
            self.stack = [CLUSTER] if command == "cluster" else [CLUSTER, Place(SCREENS[command])]
            return None
        if command in _MOVES:
            self._move(_MOVES[command], sight)
            return None
        turn = next((turn for turn in _TURNS if turn == command), None)
        return Go(turn) if turn is not None else _DEEDS[command](self, sight)

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """The keys that do something here."""
        return bindings(readonly=self.able.readonly, faults=self.able.faults, replay=self.able.replay)

    # -- moving -----------------------------------------------------------------------------------------

    def _move(self, step: Callable[[int, int], int], sight: Sight) -> None:
        if not sight.keys:
            return
        at = len(sight.keys) - 1 if self.place.page == "events" and self.following else self.cursor(sight.keys)
        wanted = max(0, min(len(sight.keys) - 1, step(at, len(sight.keys))))
        if self.place.page == "events" and wanted == len(sight.keys) - 1:
            self.cursors.pop(self._at, None)
        else:
            self.cursors[self._at] = sight.keys[wanted]

    def _open(self, sight: Sight) -> None:
        if self.place.page == "link":
            self._choose(self.cursor(sight.keys) + 1, sight.actions)
        elif sight.opens is not None:
            self.stack.append(sight.opens)

    def _back(self, sight: Sight) -> None:
        if self.filter:
            del self.filters[self.place.page]
        elif len(self.stack) > 1:
            self.stack.pop()

    def _switch(self, sight: Sight) -> None:
        if self.place == CLUSTER:
            self.pane = "problems" if self.pane == "nodes" else "nodes"

    # -- looking ----------------------------------------------------------------------------------------

    def _sort(self, sight: Sight) -> None:
        self.sorts[self.place.page] = self.sort + 1

    def _pause(self, sight: Sight) -> Effect:
        if self.able.replay:
            return Go("play")
        self.paused = not self.paused
        return None

    def _help(self, sight: Sight) -> None:
        self.help = True

    def _ask_filter(self, sight: Sight) -> None:
        self.prompt = Prompt("/", self.filter)

    def _ask_command(self, sight: Sight) -> None:
        self.prompt = Prompt(":")

    def _type(self, key: str, sight: Sight) -> Effect:
        prompt = self.prompt
        assert prompt is not None
        match key:
            case "esc":
                self.prompt = None
                if prompt.kind == "/":
                    self.filters.pop(self.place.page, None)
                return None
            case "enter":
                self.prompt = None
                return self._command(prompt.text.split(), sight) if prompt.kind == ":" else None
            case "backspace":
                prompt.text = prompt.text[:-1]
            case "clear":
                prompt.text = ""
            case _ if len(key) == 1:
                prompt.text += key
        if prompt.kind == "/":
            self.filters[self.place.page] = prompt.text
        return None

    def _command(self, words: list[str], sight: Sight) -> Effect:
        match words:
            case []:
                return None
            case ["at", seconds] if self.able.replay and _number(seconds) is not None:
                return Go("at", _number(seconds) or 0.0)
            case ["node", name] if name in sight.nodes:
                self.stack = [CLUSTER, Place("node", node=name)]
            case ["link", name, other] if peer := sight.links.get((name, other)):
                self.stack = [CLUSTER, Place("links"), Place("link", node=name, peer=peer)]
            case [("node" | "link") as what, *names]:
                self.note = f"no {what} {' '.join(names)}".rstrip()
            case [name] if any(binding.command == name for binding in self.bindings):
                return self.do(name, sight)
            case [name, *_]:
                self.note = f"no command {name}; ? lists them"
        return None

    # -- acting -----------------------------------------------------------------------------------------

    def _dial(self, sight: Sight) -> Effect:
        if sight.dial is None:
            self.note = "choose a link first"
            return None
        return Run(sight.dial)

    def _permanence(self, sight: Sight) -> None:
        self.confirm = sight.permanence
        if sight.permanence is None:
            self.note = "choose a link first"

    def _faults(self, sight: Sight) -> None:
        self.menu = sight.faults
        if not sight.faults:
            self.note = "choose a node or a link first"

    def _choose(self, number: int, actions: tuple[Action, ...]) -> None:
        if 0 < number <= len(actions):
            self.confirm = actions[number - 1]

    def _answer(self, key: str) -> Effect:
        action, self.confirm, self.menu = self.confirm, None, ()
        assert action is not None
        if key in ("y", "enter"):
            return Run(action)
        self.note = "not done"
        return None


def _number(text: str) -> float | None:
    """Seconds, or minutes and seconds as `1:30`."""
    try:
        minutes, colon, seconds = text.rpartition(":")
        return float(seconds) + (60 * float(minutes) if colon else 0.0)
    except ValueError:
        return None


_MOVES: dict[str, Callable[[int, int], int]] = {
    "down": lambda at, count: at + 1,
    "up": lambda at, count: at - 1,
    "page-down": lambda at, count: at + JUMP,
    "page-up": lambda at, count: at - JUMP,
    "first": lambda at, count: 0,
    "last": lambda at, count: count - 1,
}

_TURNS: tuple[Turn, ...] = ("step", "step-back", "forward", "rewind", "faster", "slower")
_DEEDS: dict[str, Callable[[Desk, Sight], Effect]] = {
    "open": Desk._open,
    "back": Desk._back,
    "pane": Desk._switch,
    "filter": Desk._ask_filter,
    "command": Desk._ask_command,
    "sort": Desk._sort,
    "pause": Desk._pause,
    "dial-now": Desk._dial,
    "permanence": Desk._permanence,
    "faults": Desk._faults,
    "help": Desk._help,
    "quit": lambda _desk, _sight: Quit(),
}
