"""Draws the samples of an hour as a picture (SVG) for the docs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 300, 180, 52, 34, 34
COLUMNS = 3
STYLE = (
    "text{fill:#57606a}.t{fill:#24292f;font-weight:600}.g{stroke:#d0d7de}.c{stroke:#0b6bcb}"
    "@media(prefers-color-scheme:dark){text{fill:#9aa4af}.t{fill:#e6edf3}.g{stroke:#3d444d}.c{stroke:#58a6ff}}"
)


@dataclass(frozen=True, slots=True)
class Line:
    """The data of one panel.

    Attributes:
        title: the sampled figure, with its unit.
        points: (minutes since the start, figure).
    """

    title: str
    points: Sequence[tuple[float, float]]


def write(file: Path, lines: Sequence[Line]) -> None:
    """Write the panels side by side, each with an axis from 0, readable on light and dark pages."""
    rows = -(-len(lines) // COLUMNS)
    width, height = WIDTH * min(COLUMNS, len(lines)), HEIGHT * rows
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="11">',
        f"<style>{STYLE}</style>",
    ]
    for number, line in enumerate(lines):
        x, y = WIDTH * (number % COLUMNS), HEIGHT * (number // COLUMNS)
        parts.append(f'<g transform="translate({x} {y})">{"".join(_panel(line))}</g>')
    file.write_text("\n".join((*parts, "</svg>")) + "\n", encoding="utf-8")


def _panel(line: Line) -> list[str]:
    top_value = max(value for _, value in line.points) * 1.15 or 1
    minutes = max(line.points[-1][0], 0.1)
    right, floor = WIDTH - 14, HEIGHT - BOTTOM

    def place(minute: float, value: float) -> tuple[float, float]:
        return LEFT + minute / minutes * (right - LEFT), floor - value / top_value * (floor - TOP)

    drawn = [f'<text class="t" x="{LEFT}" y="16">{escape(line.title)}</text>']
    for share in (0, 0.5, 1):
        value = top_value / 1.15 * share
        _, y = place(0, value)
        drawn.append(f'<line class="g" x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:,.3g}</text>')
    for minute in (0, minutes / 2, minutes):
        x, _ = place(minute, 0)
        drawn.append(f'<text x="{x:.1f}" y="{floor + 14}" text-anchor="middle">{minute:.0f}</text>')
    drawn.append(f'<text x="{(LEFT + right) / 2}" y="{floor + 28}" text-anchor="middle">minutes</text>')
    points = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in line.points)
    drawn.append(f'<polyline class="c" fill="none" stroke-width="1.5" points="{points}"/>')
    return drawn
