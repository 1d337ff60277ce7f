"""What is wrong with an engine class, in words, where the class is written. Pure."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar, get_origin

from msgspec import Struct

from actors.engine.records import LocalCfg
from actors.errors import DefinitionError
from actors.messages import Local, Message, Request, Timer
from actors.messages.annotations import resolvable_annotations

_BASES = (Request, Message, Local, Timer)


class Body(dict[str, Any]):
    """The namespace of a class body in which no action is defined twice."""

    def __setitem__(self, key: str, value: Any) -> None:
        before = self.get(key)
        if before is not None and (hasattr(before, "__on__") or hasattr(value, "__on__")):
            raise DefinitionError(
                f"{self['__qualname__']}.{key} is defined twice, and only the second would remain; "
                f"give one of them another name."
            )
        super().__setitem__(key, value)


# -- the class's body ---------------------------------------------------------------------------------------


def check_body(name: str, namespace: Mapping[str, Any], verbs: frozenset[str]) -> None:
    """State has its annotation and a default of its own, and hides no verb."""
    annotated = namespace.get("__annotations__", {})
    for key in dict.fromkeys([*namespace, *annotated]):
        if key in verbs:
            raise DefinitionError(f"{name}.{key} hides Engine.{key}; choose another name.")
    for key, value in namespace.items():
        if not _is_class_variable(annotated.get(key)):
            _check_attribute(name, key, value, key in annotated)


def _is_class_variable(annotation: object) -> bool:
    if isinstance(annotation, str):
        return annotation.removeprefix("typing.").startswith("ClassVar")
    return annotation is ClassVar or get_origin(annotation) is ClassVar


def _check_attribute(name: str, key: str, value: Any, annotated: bool) -> None:
    if key in ("__init__", "__new__"):
        raise DefinitionError(
            f"{name}.{key} would never be called; fields with defaults make the constructor, "
            f"and @on(Started) begins the work."
        )
    if key.startswith("__"):
        return
    if key == "port" and not inspect.iscoroutinefunction(value):
        raise DefinitionError(f"{name}.port is what touches the world; write async def port(self) -> None.")
    if annotated:
        _check_default(name, key, value)
    elif not (isinstance(value, type) or hasattr(value, "__get__")):
        raise DefinitionError(
            f"{name}.{key} has no annotation. State: {key}: {type(value).__name__} = {value!r}. "
            f"A constant: {key}: ClassVar = {value!r}."
        )


def _check_default(name: str, key: str, value: Any) -> None:
    filled = isinstance(value, (list, dict, set, bytearray)) and value
    if filled or isinstance(value, deque) or (isinstance(value, Struct) and not value.__struct_config__.frozen):
        raise DefinitionError(
            f"{name}.{key}: all engines of the class would share this {type(value).__name__}; "
            f"write {key}: ... = field(default_factory=lambda: {value!r}), field being msgspec's."
        )


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Engines are all made alike."""
    for option in options:
        raise DefinitionError(f"{name}: {option}= is the same for all engines; leave it out.")


def impossible_class(name: str, error: Exception) -> DefinitionError:
    """What Python or msgspec refuse to make."""
    cure = " Only one base may have state." if "lay-out" in str(error) else ""
    return DefinitionError(f"{name}: {str(error).rstrip('.')}.{cure}")


def check_class(cls: type[Struct], names: Mapping[str, object]) -> None:
    """What can be said only of the finished class: no room for misspelt state, one configuration."""
    for base in reversed(cls.__mro__):
        if base.__dictoffset__:
            raise DefinitionError(
                f"{cls.__name__}: its base {base.__name__} lets misspelt state pass unnoticed; "
                f"write __slots__ = () into {base.__name__}."
            )
    configurations = [f"{cls.__name__}.{field}" for field in _configurations(cls, names)]
    if len(configurations) > 1:
        raise DefinitionError(
            f"{' and '.join(configurations)} are both LocalCfg; an engine has one configuration, "
            f"put the settings into one class."
        )


def _configurations(cls: type[Struct], names: Mapping[str, object]) -> list[str]:
    kinds: dict[str, object] = {}
    for owner in reversed(cls.__mro__):
        kinds |= resolvable_annotations(owner, names)  # state may have any type, also one that only checkers know
    return [field for field, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, LocalCfg)]


def check_tags(cls: type, messages: tuple[type[Request[object]], ...]) -> None:
    """What comes from the wire is told apart by its tag."""
    tags: dict[object, type] = {}
    for message in messages:
        tag = message.__struct_config__.tag
        if (other := tags.setdefault(tag, message)) is not message:
            raise DefinitionError(
                f"{cls.__name__} takes two messages with the tag {tag!r}: {other.__module__}.{other.__qualname__} and "
                f"{message.__module__}.{message.__qualname__}. Give one a tag of its own: "
                f"class {message.__name__}(..., tag='...')."
            )


# -- @on ----------------------------------------------------------------------------------------------------


def check_message(message: object) -> None:
    """`on` takes a class of messages, not one of the bases."""
    name = getattr(message, "__name__", repr(message))
    if inspect.isfunction(message):
        raise DefinitionError(f"@on above {name} lacks its message; write @on(SomeMessage).")
    if not (isinstance(message, type) and issubclass(message, Request)):
        raise DefinitionError(f"@on({name}): not a message; subclass Message, or Request[Reply], to make one.")
    if message in _BASES:
        raise DefinitionError(f"@on({name}): an action takes messages of exactly one class; name that class.")


def check_guard(message: type, when: object) -> None:
    """A guard decides at once, from the engine and the message."""
    if not callable(when):
        raise DefinitionError(f"@on({message.__name__}, when={when!r}): a guard is a method, defined above its action.")
    name = getattr(when, "__name__", "when")
    if inspect.iscoroutinefunction(when):
        raise DefinitionError(f"{name}: a guard decides at once; write def {name}(self, msg), not async def.")
    _check_parameters(name, when, message)


def check_action(message: type, action: Any) -> None:
    """An action is a method of one message."""
    name = getattr(action, "__name__", repr(action))
    if not inspect.isfunction(action):
        raise DefinitionError(f"@on({message.__name__}) belongs directly above a def or an async def, not {action!r}.")
    if hasattr(action, "__on__"):
        raise DefinitionError(
            f"{name} already takes {action.__on__.message.__name__}; write another action for {message.__name__}."
        )
    if inspect.isgeneratorfunction(action) or inspect.isasyncgenfunction(action):
        raise DefinitionError(f"{name} yields; an action returns its reply, once.")
    _check_parameters(name, action, message)


def _check_parameters(name: str, function: Any, message: type) -> None:
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        raise DefinitionError(f"{name} takes self and a message: def {name}(self, msg: {message.__name__}).") from None


def never_reached(cls: type, late: str, early: str, message: type, *, own: bool) -> DefinitionError:
    """Two actions for a message, the first of which takes all."""
    name = message.__name__
    if own:
        cure = f"Give the first a guard: @on({name}, when=...)."
    else:
        cure = f"To replace the inherited action, name yours {late}; to add to it, give yours a guard."
    return DefinitionError(
        f"{cls.__name__}.{late} is never reached: {cls.__name__}.{early} already takes every {name}. {cure}"
    )


def unmarked_override(cls: type, owner: type, name: str, message: type) -> DefinitionError:
    """An action that would silently vanish."""
    return DefinitionError(
        f"{cls.__name__}.{name} replaces the action {owner.__name__}.{name}, but takes no message; "
        f"write @on({message.__name__}) above it, or give it another name."
    )
