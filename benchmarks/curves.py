"""A curve as a picture (SVG), for docs/performance.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 300, 190, 52, 34, 34
COLUMNS = 3


@dataclass(frozen=True, slots=True)
class Curve:
    """One measured curve.

    Attributes:
        title: what was measured, with its unit.
        across: what grows, as the label of the x axis, which is logarithmic.
        points: (how many, figure), by the first.
        limit: a line that the figures must stay below, or None.
    """

    title: str
    across: str
    points: Sequence[tuple[float, float]]
    limit: float | None = None


def write(file: Path, curves: Sequence[Curve]) -> None:
    """Write the curves side by side, readable on a light and on a dark page."""
    rows = -(-len(curves) // COLUMNS)
    width, height = WIDTH * min(COLUMNS, len(curves)), HEIGHT * rows
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="11">',
        "<style>text{fill:#57606a}.t{fill:#24292f;font-weight:600}.g{stroke:#d0d7de}.l{stroke:#c2410c}"
        ".c{stroke:#0b6bcb}.d{fill:#0b6bcb}@media(prefers-color-scheme:dark){text{fill:#9aa4af}.t{fill:#e6edf3}"
        ".g{stroke:#3d444d}.l{stroke:#fb923c}.c{stroke:#58a6ff}.d{fill:#58a6ff}}</style>",
    ]
    for number, curve in enumerate(curves):
        x, y = WIDTH * (number % COLUMNS), HEIGHT * (number // COLUMNS)
        parts.append(f'<g transform="translate({x} {y})">{"".join(_panel(curve))}</g>')
    file.write_text("\n".join((*parts, "</svg>")) + "\n", encoding="utf-8")


def _panel(curve: Curve) -> list[str]:
    top_value = max([value for _, value in curve.points] + ([curve.limit] if curve.limit else [])) * 1.1 or 1
    low, high = log10(curve.points[0][0]), log10(curve.points[-1][0])
    right, floor = WIDTH - 14, HEIGHT - BOTTOM

    def place(count: float, value: float) -> tuple[float, float]:
        share = (log10(count) - low) / (high - low or 1)
        return LEFT + share * (right - LEFT), floor - value / top_value * (floor - TOP)

    drawn = [f'<text class="t" x="{LEFT}" y="16">{escape(curve.title)}</text>']
    for share in (0, 0.5, 1):
        value = top_value / 1.1 * share
        _, y = place(curve.points[0][0], value)
        drawn.append(f'<line class="g" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_figure(value)}</text>')
    if curve.limit:
        _, y = place(curve.points[0][0], curve.limit)
        drawn.append(
            f'<line class="l" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke-dasharray="4 3"/>'
            f'<text x="{right}" y="{y - 4:.1f}" text-anchor="end">limit</text>'
        )
    line = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in curve.points)
    drawn.append(f'<polyline class="c" fill="none" stroke-width="2" points="{line}"/>')
    for count, value in curve.points:
        x, y = place(count, value)
        drawn.append(f'<circle class="d" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>')
        drawn.append(f'<text x="{x:.1f}" y="{floor + 14}" text-anchor="middle">{_short(count)}</text>')
    drawn.append(f'<text x="{(LEFT + right) / 2}" y="{floor + 28}" text-anchor="middle">{escape(curve.across)}</text>')
    return drawn


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _short(count: float) -> str:
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:g}{letter}"
    return f"{count:g}"
