"""Draws docs/parts.svg: the fronts of one dataset on several parts, error against share of the part's LUTs and latency.

Usage: .venv/bin/python scripts/plot_parts.py FILE... (of ``scripts/codesign show RUN --json``, one for each part)
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from plot_timing import text

PANEL, HEIGHT, LEFT, BELOW, ABOVE, GAP = 330, 300, 56, 48, 44, 30
PLOT = Path(__file__).parents[1] / "docs" / "parts.svg"
COLOURS = ("#c1121f", "#2a6f97", "#2a9d8f")
Member = dict[str, Any]


def share(member: Member, run: dict[str, Any]) -> float:
    """Percent of the part's LUTs."""
    return float(100.0 * member["values"]["lut"] / run["task"]["target"]["part"]["resources"]["lut"])


def latency_ns(member: Member, run: dict[str, Any]) -> float:
    """At the study's clock."""
    return float(1e3 * member["values"]["latency_cycles"] / run["task"]["target"]["clock_mhz"])


def name(run: dict[str, Any]) -> str:
    """The part, its size and the clock."""
    target = run["task"]["target"]
    part = target["part"]
    return f"{part['name']} ({part['resources']['lut']:,} LUT), {target['clock_mhz']:g} MHz"


def front(run: dict[str, Any]) -> list[Member]:
    """Members of a run's front, the least error first."""
    members = [candidate for candidate in run["candidates"] if candidate["on_front"]]
    return sorted(members, key=lambda member: float(member["values"]["val_error"]))


def panel(
    left: float, runs: Sequence[dict[str, Any]], across: str, value: Callable[[Member, dict[str, Any]], float]
) -> list[str]:
    """One of the pictures, logarithmic across; its points say more when pointed at."""
    every = [(member, run) for run in runs for member in front(run)]
    low, high = min(value(*one) for one in every) / 1.2, max(value(*one) for one in every) * 1.2
    most: int = math.ceil(max(100 * member["values"]["val_error"] for member, _ in every))
    bottom = ABOVE + HEIGHT

    def x_of(found: float) -> float:
        return left + PANEL * math.log(found / low) / math.log(high / low)

    def y_of(error: float) -> float:
        return bottom - HEIGHT * 100 * error / most

    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)))
    every_tick = (digit * math.pow(10.0, power) for power in powers for digit in (1, 2, 5))
    ticks = [tick for tick in every_tick if low < tick < high]
    parts = [
        f'<rect x="{left}" y="{ABOVE}" width="{PANEL}" height="{HEIGHT}" fill="none" stroke="#888"/>',
        *(text(x_of(tick), bottom + 16, f"{tick:,g}") for tick in ticks),
        *(text(left - 18, y_of(error / 100) + 4, f"{error} %") for error in range(0, most + 1, 2)),
        text(left + PANEL / 2, bottom + 36, across),
    ]
    for run, colour in zip(runs, COLOURS, strict=False):
        for member in front(run):
            values = member["values"]
            words = f"{member['network']} on {name(run)}: {values['lut']:,.0f} LUT, {latency_ns(member, run):.0f} ns"
            place = f'cx="{x_of(value(member, run)):.1f}" cy="{y_of(values["val_error"]):.1f}"'
            parts.append(f'<circle {place} r="4.5" fill="{colour}" fill-opacity="0.8"><title>{words}</title></circle>')
    return parts


def draw(runs: Sequence[dict[str, Any]]) -> str:
    """The whole picture."""
    width, height = 2 * (LEFT + PANEL) + GAP, ABOVE + HEIGHT + BELOW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        'font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        text(14, ABOVE + HEIGHT / 2, "validation error", f'transform="rotate(-90 14 {ABOVE + HEIGHT / 2})"'),
    ]
    for place, (run, colour) in enumerate(zip(runs, COLOURS, strict=False)):
        x = LEFT + 6 + place * (width - LEFT) / len(COLOURS)
        parts.append(f'<circle cx="{x:.1f}" cy="20" r="5" fill="{colour}"/>')
        parts.append(text(x + 10, 24, name(run), 'style="text-anchor:start"'))
    parts += panel(LEFT, runs, "LUTs (Yosys), % of the part", share)
    parts += panel(LEFT + PANEL + GAP + LEFT / 2, runs, "latency, ns (cycles at the clock asked for)", latency_ns)
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Read, draw, write."""
    if not 2 <= len(sys.argv) <= 1 + len(COLOURS):
        sys.exit(__doc__)
    runs = [json.loads(Path(file).read_text(encoding="utf-8")) for file in sys.argv[1:]]
    PLOT.write_text(draw(runs), encoding="utf-8")


if __name__ == "__main__":
    main()
