"""Cache of the last value per key, recomputed when its inputs change."""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Remembered(Generic[Made]):
    """The last value per key, with the inputs that it was computed from.

    A value is returned only for equal inputs, so it is never out of date. A new value replaces the key's old one, so
    the cache grows only with the number of keys. Thread-safe.

    Args:
        weight_max: the maximum total weight. The cache is emptied before it would be exceeded, and never stores a
            heavier value.
    """

    def __init__(self, weight_max: int) -> None:
        self._weight_max = weight_max
        self._kept: dict[Hashable, tuple[object, Made, int]] = {}
        self._weight = 0
        self._lock = threading.Lock()
        self.made = 0

    def get(self, key: Hashable, source: object, make: Callable[[], Made], weight: int = 1) -> Made:
        """Return the value of a key, recomputed if its inputs have changed.

        Args:
            source: everything that the result depends on; compared with `==`.
            make: computes the value. If it raises, nothing is stored.
            weight: the value's share of `weight_max`.
        """
        kept = self._kept.get(key)
        if kept is not None and kept[0] == source:
            return kept[1]
        made = make()
        with self._lock:
            self.made += 1
            before = self._kept.pop(key, None)
            self._weight -= before[2] if before is not None else 0
            if weight <= self._weight_max:
                if self._weight + weight > self._weight_max:
                    self._kept.clear()
                    self._weight = 0
                self._kept[key] = (source, made, weight)
                self._weight += weight
        return made

    def __len__(self) -> int:
        return len(self._kept)
