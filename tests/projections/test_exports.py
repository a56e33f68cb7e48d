"""Whatever a caller meets can be imported from `domain` or `projections`: nobody has to know our modules."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator
from typing import Any

import domain
import projections

PUBLIC = {name: getattr(package, name) for package in (domain, projections) for name in package.__all__}


def met_in(hint: Any) -> Iterator[Any]:
    """Our own classes in an annotation, at every depth."""
    for part in typing.get_args(hint):
        yield from met_in(part)
    if isinstance(hint, list):  # the arguments of a callable
        for part in hint:
            yield from met_in(part)
    if (inspect.isclass(hint) or isinstance(hint, typing.NewType)) and hint.__module__.split(".")[0] in (
        "domain",
        "projections",
    ):
        yield hint


def met_through(name: str, public: Any) -> Iterator[tuple[str, Any]]:
    """Our own classes that a public function, or a public class's fields and methods, take and give."""
    if isinstance(public, types.FunctionType):
        yield from ((name, one) for hint in typing.get_type_hints(public).values() for one in met_in(hint))
    elif inspect.isclass(public):
        for field, hint in typing.get_type_hints(public).items():
            if not field.startswith("_"):
                yield from ((f"{name}.{field}", one) for one in met_in(hint))
        for member, value in inspect.getmembers(public):
            function = (
                value.fget if isinstance(value, property) else inspect.unwrap(getattr(value, "__func__", value))
            )
            if not member.startswith("_") and isinstance(function, types.FunctionType):
                hints = typing.get_type_hints(function)
                yield from ((f"{name}.{member}", one) for hint in hints.values() for one in met_in(hint))


def test_every_type_a_caller_meets_is_exported() -> None:
    hidden = {
        f"{place}: {one.__module__}.{one.__name__}"
        for name, public in PUBLIC.items()
        for place, one in met_through(name, public)
        if one not in PUBLIC.values()
    }
    assert sorted(hidden) == []


def test_what_is_exported_is_there_once_and_in_order() -> None:
    for package in (domain, projections):
        assert len(package.__all__) == len(set(package.__all__))
        assert all(hasattr(package, name) for name in package.__all__)
