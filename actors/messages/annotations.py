"""Annotations as types, also where they are strings or name what is defined later. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from types import FrameType
from typing import get_type_hints

from actors.errors import DefinitionError


class UnresolvedError(Exception):
    """An annotation names something that is not there, or not yet."""


def visible_from(frame: FrameType | None) -> dict[str, object]:
    """The names of the function in which a class statement stands; none at module level.

    Messages are often defined in a function (a test, a script's main). With string annotations nothing
    else tells which local class `kind: Colour` means: neither `typing` nor msgspec can look there.
    """
    while frame is not None and frame.f_locals is not frame.f_globals:
        if "__qualname__" not in frame.f_locals:
            return dict(frame.f_locals)
        frame = frame.f_back  # a class body: its names are not visible in the classes within it
    return {}


def mark_class_variables(annotations: dict[str, object], names: dict[str, object]) -> None:
    """Resolve the strings that say ClassVar, however it was imported: msgspec knows only some of them."""
    for key, annotation in annotations.items():
        if isinstance(annotation, str) and "ClassVar" in annotation:
            with suppress(UnresolvedError):
                annotations[key] = _resolve(annotation, names, key)


def resolved_annotations(cls: type, names: Mapping[str, object]) -> dict[str, object]:
    """What is annotated in the class itself, as types. They replace the class's strings: msgspec reads them there.

    Raises UnresolvedError, and DefinitionError for what is no type at all.
    """
    annotations, everything = _own(cls), _namespace_of(cls, names)
    for key, annotation in annotations.items():
        annotations[key] = _resolve(annotation, everything, f"{cls.__name__}.{key}")
    return annotations


def resolvable_annotations(cls: type, names: Mapping[str, object]) -> dict[str, object]:
    """Those of the class's own annotations that can be resolved, as types. Changes nothing."""
    kinds: dict[str, object] = {}
    everything = _namespace_of(cls, names)
    for key, annotation in _own(cls).items():
        with suppress(UnresolvedError):
            kinds[key] = _resolve(annotation, everything, f"{cls.__name__}.{key}")
    return kinds


def resolved_reply(reply: object, cls: type, names: Mapping[str, object]) -> object:
    """What stands in `Request[...]`, as a type. Raises UnresolvedError."""
    return _resolve(reply, _namespace_of(cls, names), cls.__name__)


def _resolve(annotation: object, names: dict[str, object], where: str) -> object:
    """The annotation as a type, `ClassVar` and `Annotated` kept."""
    holder = type("holder", (), {"__annotations__": {"it": annotation}})
    try:
        return get_type_hints(holder, names, names, include_extras=True)["it"]
    except (NameError, AttributeError) as error:
        raise UnresolvedError(str(error)) from None
    except (TypeError, SyntaxError) as error:
        raise DefinitionError(f"{where}: {annotation!r} is no type: {str(error).rstrip('.')}.") from None


def _own(cls: type) -> dict[str, object]:
    annotations: dict[str, object] = cls.__dict__.get("__annotations__", {})  # noqa: RUF063 - not a copy of it
    return annotations


def _namespace_of(cls: type, names: Mapping[str, object]) -> dict[str, object]:
    """Everything an annotation of the class may name: its module, `names`, the classes in its body, itself.

    The names of a function come before the module's only for a class that stands in a function.
    """
    module = sys.modules.get(cls.__module__)
    nearer = names if "<locals>" in cls.__qualname__ else {}
    within = {key: value for key, value in vars(cls).items() if isinstance(value, type)}
    return {**names, **(vars(module) if module else {}), **nearer, **within, cls.__name__: cls}
