"""What was made from something else, kept for as long as that stays the same."""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Remembered(Generic[Made]):
    """The last thing made under each key, with what it was made from.

    It is given out again only where it is wanted from equal values, so it is never out of date. What is made anew takes
    the place of what was made before, so that it grows with the number of keys alone. May be used by several threads.

    Args:
        weight_max: how much it holds; it forgets everything once there would be more, and never keeps what is heavier.
    """

    def __init__(self, weight_max: int) -> None:
        self._weight_max = weight_max
        self._kept: dict[Hashable, tuple[object, Made, int]] = {}
        self._weight = 0
        self._lock = threading.Lock()
        self.made = 0

    def get(self, key: Hashable, source: object, make: Callable[[], Made], weight: int = 1) -> Made:
        """What is under a key, made anew where it was made from something else.

        Args:
            source: everything that the result depends on; compared with `==`.
            make: makes it; it may raise, and nothing is kept then.
            weight: how much of `weight_max` it takes.
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
