"""Draws docs/timing-model.svg: every routed design as the timing model predicts it without having seen it.

Usage: PYTHONPATH=. .venv/bin/python scripts/plot_timing.py DATA_DIR (as of ``python -m hw.measure.calibrate``).
"""

from __future__ import annotations

import sys
from pathlib import Path

from hw.measure.calibrate import Predicted, calibrate, load

SIZE, MARGIN, LOW, HIGH = 420, 52, 4.0, 17.0
PLOT = Path(__file__).parents[1] / "docs" / "timing-model.svg"


def at(ns: float) -> float:
    """Pixels from the left, or from the lower edge."""
    return MARGIN + (SIZE - 1.5 * MARGIN) * (ns - LOW) / (HIGH - LOW)


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    """A line between two points in ns."""
    places = f'x1="{at(x1):.1f}" y1="{SIZE - at(y1):.1f}" x2="{at(x2):.1f}" y2="{SIZE - at(y2):.1f}"'
    return f'<line {places} stroke="#888" {style}/>'


def text(x: float, y: float, words: str, more: str = "") -> str:
    """Words at a place in pixels."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" {more}>{words}</text>'


def mark(one: Predicted) -> str:
    """One design, with its name and figures when pointed at."""
    words = f"{one.name}: routed {one.routed_ns:.2f} ns, predicted {one.predicted_ns:.2f} ns, {one.size} LUT + FF"
    place = f'cx="{at(one.routed_ns):.1f}" cy="{SIZE - at(one.predicted_ns):.1f}"'
    return f'<circle {place} r="5" fill="#2a6f97" fill-opacity="0.8"><title>{words}</title></circle>'


def draw(left_out: tuple[Predicted, ...], summary: str) -> str:
    """The whole picture."""
    ticks = range(4, 18, 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIZE}" height="{SIZE}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{SIZE}" height="{SIZE}" fill="#fff"/>',
        line(LOW, LOW, HIGH, HIGH, ""),
        line(LOW / 0.9, LOW, HIGH, HIGH * 0.9, 'stroke-dasharray="4 4"'),
        line(LOW, LOW * 1.1, HIGH / 1.1, HIGH, 'stroke-dasharray="4 4"'),
        line(LOW, LOW, HIGH, LOW, ""),
        line(LOW, LOW, LOW, HIGH, ""),
        *(text(at(tick), SIZE - MARGIN + 18, str(tick)) for tick in ticks),
        *(text(MARGIN - 14, SIZE - at(tick) + 4, str(tick)) for tick in ticks),
        text(SIZE / 2, SIZE - 12, "routed period, ns"),
        text(14, SIZE / 2, "predicted without the design, ns", f'transform="rotate(-90 14 {SIZE / 2})"'),
        text(SIZE / 2, 20, summary),
        *map(mark, left_out),
        "</svg>",
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def main() -> None:
    """Calibrate, draw, write."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    found = calibrate(load(Path(sys.argv[1])))
    summary = "error: median {median:.1%}, 90 % within {p90:.1%}; tau {kendall_tau:.2f}; dashed: ± 10 %"
    PLOT.write_text(draw(found.left_out, summary.format(**found.error())), encoding="utf-8")


if __name__ == "__main__":
    main()
