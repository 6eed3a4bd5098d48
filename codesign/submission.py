"""What a user may send us of a design that better instruments measured: numbers, and nothing that tells whose it is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from boards.catalogue import part_names
from codesign.cli import version
from codesign.errors import InputError, ToolError
from codesign.files import require_place, write_whole
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
_MARKS = (
    "lower_bound", "untested", "context", "spread", "activity", "speed_grade", "calibrated", "within_fitted_range",
)  # fmt: skip
"""Details that say how a figure is to be read; all others stay here, as they may hold names."""


def require_submission(path: Path, via: Sequence[str]) -> None:
    """Refuse a record that compares nothing or that could not be written there, before the work."""
    require_place(path, "--submit")
    if not set(via) - {RTL, HLS, C}:
        raise InputError(f"--submit compares with --via vivado, vivado-routed or nextpnr, not with {','.join(via)!r}")


def write_submission(path: Path, built: Implementation, target: Target, readings: Sequence[Reading]) -> None:
    """Write the record, if another instrument gave figures to compare with; StorageError where the disk refuses."""
    if not _better(readings):
        return
    text = json.dumps(submission(built, target, readings), indent=2) + "\n"
    write_whole(path, text, "run the same command again")


def require_written(path: Path, readings: Sequence[Reading]) -> None:
    """ToolError, with the reasons, where :func:`write_submission` had nothing to compare with."""
    if not _better(readings):
        reasons = "; ".join(f"{one.instrument}: {one.reason}" for one in readings if _compares(one))
        raise ToolError(f"{path} is not written, as no other instrument gave figures to compare with: {reasons}")


def _compares(reading: Reading) -> bool:
    """Whether the reading is of our RTL."""
    return HLS not in reading.instrument and reading.instrument not in PROCESSORS


def _better(readings: Sequence[Reading]) -> list[Reading]:
    return [one for one in readings if one.status == "ok" and _compares(one)]


def submission(built: Implementation, target: Target, readings: Sequence[Reading]) -> dict[str, Any]:
    """The record as plain JSON values; the keys are documented in docs/json.md.

    No name of a model, layer, net, file or person is in it, no weight, and no digest that would recognise a network.
    """
    part, ours = target.part, built.measurement
    module = yosys.load(built.netlist)["modules"][built.design.top]
    others = [(reading.instrument, reading.figures) for reading in _better(readings)]
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
