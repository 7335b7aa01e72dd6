"""Attributes that are created at first use, so that a start doesn't wait for what most programs never use."""

import threading
from collections.abc import Callable
from importlib import import_module
from operator import attrgetter
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

T = TypeVar("T")
P = ParamSpec("P")
_lock = threading.RLock()


class Late(Generic[T]):
    """Decorates a method that creates the attribute of its name. The method is called once, by the first thread.

    `functools.cached_property` may call it twice, from Python 3.12 on.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._name = ""
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "Late[T]": ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object, owner: type) -> "T | Late[T]":
        if instance is None:
            # Accessed on the class, as `help` does.
            return self
        # Only until it is created: the instance's own attribute is found before this descriptor.
        made: dict[str, T] = vars(instance)
        with _lock:
            if self._name not in made:
                made[self._name] = self._make(instance)
            return made[self._name]


def late_part(module: str, name: str, *arguments: str) -> Any:
    """An attribute whose class is imported at first use.

    Args:
        module: the class's module.
        name: the class's name.
        arguments: the attributes that its constructor takes.
    """

    def make(owner: object) -> object:
        made_of = [getattr(owner, one) for one in arguments]
        return getattr(import_module(module), name)(*made_of)

    return Late(make)


def passed_on(place: str, like: Callable[[], Callable[Concatenate[Any, P], T]]) -> "Late[Callable[P, T]]":
    """A method that delegates to another object, which may be created lazily.

    Args:
        place: the attribute that holds the object, and the method's name, such as "queries.sql".
        like: returns the class's method, for type checkers; it is never called.
    """
    return Late(attrgetter(place))
