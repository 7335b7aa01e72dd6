"""Figures beside their goals: one table for all of them."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes:
        part: the heading it stands under.
        name: what was measured.
        value: the median, in `unit`.
        unit: "events/s", "µs", "ms", "s", "MiB" or "bytes/event".
        against: what it is compared with, in the same unit; None for a figure that nothing is asked of.
        goal: of the ratio value / against. None for none.
        more_is_better: True where the ratio must reach the goal, False where it must not exceed it.
        note: what it is compared with, in words.
    """

    part: str
    name: str
    value: float
    unit: str
    against: float | None = None
    goal: float | None = None
    more_is_better: bool = True
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The figure as a multiple of what it is compared with."""
        return self.value / self.against if self.against else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without a goal."""
        if self.goal is None or self.ratio is None:
            return None
        return self.ratio >= self.goal if self.more_is_better else self.ratio <= self.goal


def at_most(part: str, name: str, value: float, unit: str, limit: float) -> Figure:
    """A figure with an upper limit in the same unit."""
    return Figure(part, name, value, unit, limit, 1.0, False, f"at most {spelled(limit, unit)}")


def at_least(part: str, name: str, value: float, unit: str, against: float, goal: float, what: str) -> Figure:
    """A figure that must reach `goal` times another one of the same run."""
    return Figure(part, name, value, unit, against, goal, True, f"at least {goal:g} x {what}")


def median_of(rounds: int, measure: Callable[[int], float]) -> float:
    """The median of `rounds` measurements; `measure` gets the number of the round."""
    return median(measure(number) for number in range(rounds))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spelled(value: float, unit: str) -> str:
    """A figure as people read it."""
    digits = 0 if value >= 100 or unit == "events/s" else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}"


def show(figures: Sequence[Figure], console: Console) -> None:
    """The table."""
    table = Table("part", "what", "figure", "ratio", "goal", "reached")
    part = ""
    for figure in figures:
        if part and figure.part != part:
            table.add_section()
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        reached = "" if figure.met is None else "yes" if figure.met else "NO"
        shown = figure.part if figure.part != part else ""
        table.add_row(shown, figure.name, spelled(figure.value, figure.unit), ratio, figure.note, reached)
        part = figure.part
    console.print(table)


def as_data(figures: Sequence[Figure]) -> list[dict[str, object]]:
    """The table for programs."""
    return [{**asdict(figure), "ratio": figure.ratio, "met": figure.met} for figure in figures]


def as_markdown(figures: Sequence[Figure]) -> str:
    """The table as it stands in docs/performance.md."""
    lines = ["| | figure | goal | ratio | reached |", "|---|---|---|---|---|"]
    part = ""
    for figure in figures:
        if figure.part != part:
            part = figure.part
            lines.append(f"| **{part}** | | | | |")
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        reached = "" if figure.met is None else "yes" if figure.met else "**no**"
        lines.append(f"| {figure.name} | {spelled(figure.value, figure.unit)} | {figure.note} | {ratio} | {reached} |")
    return "\n".join(lines)
