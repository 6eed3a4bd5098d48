"""Draws docs/weights.svg: test error against LUTs of the networks that ``scripts/bench weights --json FILE`` built.

Usage: .venv/bin/python scripts/plot_weights.py FILE
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

from plot_timing import text

WIDTH, HEIGHT, LEFT, BELOW, ABOVE, RIGHT = 640, 420, 56, 48, 20, 20
PLOT = Path(__file__).parents[1] / "docs" / "weights.svg"
KINDS = {
    ("ternary", "codesign"): ("#c1121f", "ternary, codesign"),
    ("ternary", "da4ml"): ("#f4a261", "ternary, da4ml"),
    (2, "da4ml"): ("#2a9d8f", "2 bits, da4ml"),
    (3, "da4ml"): ("#2a6f97", "3 bits, da4ml"),
    (4, "da4ml"): ("#6a4c93", "4 bits, da4ml"),
}
LUTS = [500, 1000, 2000, 5000, 10000, 20000]
LOW, HIGH = 450, 26000


def x_of(luts: float) -> float:
    """Pixels from the left, logarithmic."""
    low, high = math.log(LOW), math.log(HIGH)
    return LEFT + (WIDTH - LEFT - RIGHT) * (math.log(luts) - low) / (high - low)


def draw(rows: list[dict[str, Any]]) -> str:
    """The whole picture; bars are standard deviations over seeds."""
    most = math.ceil(max(row["test_error"] + row["test_error_deviation"] for row in rows) * 100)

    def y_of(error: float) -> float:
        return HEIGHT - BELOW - (HEIGHT - BELOW - ABOVE) * 100 * error / most

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        *(text(x_of(luts), HEIGHT - BELOW + 18, f"{luts:,}") for luts in LUTS),
        *(text(LEFT - 18, y_of(error / 100) + 4, f"{error} %") for error in range(0, most + 1, 2)),
        *(_line(LEFT, y_of(error / 100), WIDTH - RIGHT, y_of(error / 100), "#ddd") for error in range(0, most + 1, 2)),
        text((LEFT + WIDTH) / 2, HEIGHT - 10, "LUTs (Yosys)"),
        text(14, HEIGHT / 2, "test error, digits", f'transform="rotate(-90 14 {HEIGHT / 2})"'),
    ]
    for place, (kind, (colour, name)) in enumerate(KINDS.items()):
        parts += [
            f'<circle cx="{WIDTH - 150}" cy="{ABOVE + 16 + 18 * place}" r="5" fill="{colour}"/>',
            text(WIDTH - 138, ABOVE + 20 + 18 * place, name, 'style="text-anchor:start"'),
        ]
        for row in (row for row in rows if (row["bits"], row["by"]) == kind):
            x, error, deviation = x_of(row["lut"]), row["test_error"], row["test_error_deviation"]
            hidden = "-".join(map(str, row["hidden"]))
            words = f"{name}, hidden {hidden}: {row['lut']:.0f} LUT, {100 * error:.2f} %"
            parts += [
                _line(x, y_of(error - deviation), x, y_of(error + deviation), colour),
                f'<circle cx="{x:.1f}" cy="{y_of(error):.1f}" r="5" fill="{colour}"><title>{words}</title></circle>',
            ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def main() -> None:
    """Read, draw, write."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    rows = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["weights"]["rows"]
    PLOT.write_text(draw(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
