"""The largest matching of two groups: as many pairs as possible, no member in two of them."""

from collections.abc import Iterable


def largest_matching(left: int, right: int, pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return as many of the pairs as possible so that no member is in two of them.

    Args:
        left: The number of members on the left, which are 0 to left - 1.
        right: The number of members on the right.
        pairs: The pairs that may be chosen.
    """
    partners: list[list[int]] = [[] for _ in range(left)]
    for one, other in pairs:
        partners[one].append(other)
    matched: list[int | None] = [None] * right
    for start in range(left):
        _match(start, partners, matched)
    return sorted((one, other) for other, one in enumerate(matched) if one is not None)


def _match(start: int, partners: list[list[int]], matched: list[int | None]) -> None:
    """Find a path from an unmatched member that alternates between free and chosen pairs, and switch them."""
    came_from: dict[int, int] = {}
    waiting = [start]
    while waiting:
        one = waiting.pop()
        for other in partners[one]:
            if other in came_from:
                continue
            came_from[other] = one
            holder = matched[other]
            if holder is not None:
                waiting.append(holder)
                continue
            # A free partner: everybody on the path takes the partner that it was reached by.
            current: int | None = other
            while current is not None:
                taker = came_from[current]
                previous = matched.index(taker) if taker in matched else None
                matched[current] = taker
                current = previous
            return
