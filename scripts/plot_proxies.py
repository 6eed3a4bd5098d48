"""Draws docs/proxies.svg: what is known before synthesis against what was measured, of all candidates of some runs.

Usage: PYTHONPATH=. .venv/bin/python scripts/plot_proxies.py RUNS (of ``scripts/bench search``: its ``runs``)
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

from bench_judge import is_measured, tau
from plot_timing import text

from codesign.derived import counted
from codesign.evaluate import lower_bound
from codesign.record import Record
from codesign.run import read_run

PANEL, MARGIN = 230, 46
PLOT = Path(__file__).parents[1] / "docs" / "proxies.svg"
PROXIES = ("parameters", "bit_operations", "structural estimate")
MEASURED = {"lut": "LUTs, synthesized", "latency_cycles": "latency, cycles"}
COLOURS = {"parallel": "#c1121f", "folded": "#2a6f97"}
Points = Sequence[tuple[float, float, str]]


def points(records: Sequence[Record], proxy: str, figure: str) -> Points:
    """What the proxy says, what was measured, and the mode of each record; of both what is above 0."""
    found = []
    for record in records:
        assert record.measurement is not None
        known = lower_bound(record.architecture) if proxy == PROXIES[-1] else counted(record.architecture)
        name = figure if proxy == PROXIES[-1] else proxy
        said = known.value(name) if name in known.figures else 0.0
        found.append((max(said, 1.0), max(record.measurement.value(figure), 1.0), record.architecture.hardware.mode))
    return found


def panel(left: float, top: float, some: Points, across: str, up: str) -> list[str]:
    """One of the pictures: logarithmic in both directions."""
    inner = PANEL - MARGIN
    lows = [min(one[axis] for one in some) / 1.2 for axis in (0, 1)]
    highs = [max(one[axis] for one in some) * 1.2 for axis in (0, 1)]

    def at(value: float, axis: int) -> float:
        return inner * math.log(value / lows[axis]) / math.log(highs[axis] / lows[axis])

    def ticks(axis: int) -> list[int]:
        powers = range(math.ceil(math.log10(lows[axis])), math.floor(math.log10(highs[axis])) + 1)
        return [10**power for power in powers]

    bottom = top + inner
    agreement = tau([one[0] for one in some], [one[1] for one in some])
    parts = [f'<rect x="{left}" y="{top}" width="{inner}" height="{inner}" fill="none" stroke="#888"/>']
    parts += [text(left + at(tick, 0), bottom + 13, f"{tick:,}", 'font-size="9"') for tick in ticks(0)]
    parts += [text(left - 17, bottom - at(tick, 1) + 3, f"{tick:,}", 'font-size="9"') for tick in ticks(1)]
    parts += [
        text(left + inner / 2, bottom + 28, across),
        text(left - 36, top + inner / 2, up, f'transform="rotate(-90 {left - 36} {top + inner / 2})"'),
        text(left + inner / 2, top - 5, "says the same of all" if agreement is None else f"tau {agreement:.2f}"),
    ]
    parts += [
        f'<circle cx="{left + at(said, 0):.1f}" cy="{bottom - at(found, 1):.1f}" r="2.5" fill="{COLOURS[mode]}" '
        'fill-opacity="0.6"/>'
        for said, found, mode in some
    ]
    return parts


def draw(records: Sequence[Record]) -> str:
    """The whole picture."""
    width, height = 3 * (PANEL + 24) + MARGIN, 2 * (PANEL + 24) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        'font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        text(width / 2, 16, f"{len(records)} candidates; red: parallel, blue: folded; tau: Kendall's, of all"),
    ]
    for row, (figure, up) in enumerate(MEASURED.items()):
        for column, proxy in enumerate(PROXIES):
            place = MARGIN + 12 + column * (PANEL + 24), 42 + row * (PANEL + 24)
            parts += panel(*place, points(records, proxy, figure), proxy.replace("_", " "), up)
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Read, draw, write."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    runs = [read_run(folder) for folder in sorted(Path(sys.argv[1]).iterdir()) if folder.is_dir()]
    every = (record for run in runs for record in run.records if record.status in ("ok", "infeasible"))
    designs = {record.digest: record for record in every if is_measured(record)}
    PLOT.write_text(draw(list(designs.values())), encoding="utf-8")


if __name__ == "__main__":
    main()
