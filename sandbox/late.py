"""Attributes made when they are first asked for: a start does not wait for what most programs never use."""

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")
_lock = threading.RLock()


class Late(Generic[T]):
    """Decorates a method that makes the attribute of its name: called once, whichever thread asks first.

    `functools.cached_property` may call it twice, from Python 3.12 on.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> "Late[T]": ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object, owner: type) -> "T | Late[T]":
        if instance is None:
            # Asked of the class, as `help` does.
            return self
        # Only until it is made: what is in the instance itself is found before this.
        made: dict[str, T] = vars(instance)
        name = self._make.__name__
        with _lock:
            if name not in made:
                made[name] = self._make(instance)
            return made[name]
