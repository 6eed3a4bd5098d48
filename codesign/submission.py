"""What a user may send us of a design that better instruments measured: numbers, and nothing that tells whose it is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from boards.catalogue import part_names
from codesign.cli import version
from codesign.errors import InputError
from codesign.files import write_whole
from codesign.instruments import HLS, RTL, C
from codesign.latencies import PROCESSORS
from codesign.measurement import Figure, Measurement
from codesign.reading import Reading
from codesign.target import Target
from hw.implement import Implementation
from hw.measure import yosys
from hw.measure.netlist_statistics import statistics

FORMAT = 1
FIGURES = (
    *("lut", "ff", "carry", "bram", "dsp", "uram", "fmax", "setup_slack", "power"),
    *("latency_cycles", "interval_cycles"),
)
_MARKS = ("lower_bound", "untested", "context", "spread", "activity", "speed_grade")
"""Details that say how a figure is to be read; all others stay here, as they may hold names."""


def require_better(via: Sequence[str]) -> None:
    """Refuse to write a record that compares nothing, before the work."""
    if not set(via) - {RTL, HLS, C}:
        raise InputError(f"--submit compares with --via vivado, vivado-routed or nextpnr, not with {','.join(via)!r}")


def write_submission(path: Path, built: Implementation, target: Target, readings: Sequence[Reading]) -> None:
    """Write the record; StorageError where the disk refuses."""
    text = json.dumps(submission(built, target, readings), indent=2) + "\n"
    write_whole(path, text, "run the same command again")


def submission(built: Implementation, target: Target, readings: Sequence[Reading]) -> dict[str, Any]:
    """The record as plain JSON values; the keys are documented in docs/json.md.

    No name of a model, layer, net, file or person is in it, no weight, and no digest that would recognise a network.
    """
    part, ours = target.part, built.measurement
    module = yosys.load(built.netlist)["modules"][built.design.top]
    others = [(reading.instrument, reading.figures) for reading in readings if reading.status == "ok"]
    others = [(name, figures) for name, figures in others if HLS not in name and name not in PROCESSORS]
    return {
        "format": FORMAT,
        "codesign": version(),
        "part": part.name if part.name in part_names() else "",  # one of the user's own may be called anything
        "family": part.family,
        "speed_grade": part.speed_grade,
        "clock_mhz": target.clock_mhz,
        "netlist": statistics(module),
        "critical_path": dict(Counter(step["cell"] for step in ours.figures["fmax"].details.get("path", []))),
        "instruments": {name: _figures(measured) for name, measured in ((RTL, ours), *others)},
    }


def _figures(measured: Measurement) -> dict[str, Any]:
    return {name: _figure(measured.figures[name]) for name in FIGURES if name in measured.figures}


def _figure(figure: Figure) -> dict[str, Any]:
    values = figure.to_json()
    return {**values, "details": {name: values["details"][name] for name in _MARKS if name in values["details"]}}
