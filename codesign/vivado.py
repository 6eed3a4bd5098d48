"""The Vivado build of an overlay: run to its bitstream, its metrics read as figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boards.vivado import METRICS, SCRIPT
from codesign.errors import TimingError, ToolRunError
from codesign.measurement import ASSUMED, Figure, Measurement, Provenance
from hw.measure.optional_tools import VIVADO
from hw.measure.vivado import fmax_figure
from hw.measure.vivado_run import LOG, Phase, run_script

BUILD_SECONDS = 4 * 3600.0
_WITHOUT = "build without it: --dry-run (its script and sources), --target ip, --target rtl"
_UNITS = {"lut": "LUT", "ff": "FF", "bram": "BRAM36", "dsp": "DSP", "uram": "URAM"}


def find_vivado(instead: str = _WITHOUT) -> Path:
    """Vivado's program: what ``CODESIGN_VIVADO`` says, else ``vivado`` on PATH.

    Without one ToolMissingError, which names what can be done ``instead``.
    """
    return VIVADO.find(instead)


def run_vivado(vivado: Path, folder: Path, stem: str, phase: Phase) -> Measurement:
    """Run the build in ``folder`` to its end: ``STEM.bit``, ``STEM.hwh``, and the figures of the routed design.

    ``phase`` is called with the name of each phase as it begins. ToolRunError where Vivado fails, takes too long, or
    timing is not met.
    """
    results = (METRICS, f"{stem}.bit", f"{stem}.hwh")
    try:
        run_script(vivado, folder, SCRIPT, results, timeout_s=BUILD_SECONDS, phase=phase)
    except ToolRunError as error:
        if (folder / METRICS).is_file() and not (metrics := _metrics(folder, stem))["timing_met"]:
            raise TimingError(_timing_words(metrics, folder), error.log, figures(metrics)) from None
        raise ToolRunError(f"{error}; its log is {folder / LOG}", error.log) from None
    for kind in ("bit", "hwh"):
        if not (folder / f"{stem}.{kind}").is_file():
            raise ToolRunError(f"Vivado ended without an error but wrote no {stem}.{kind}; its log is {folder / LOG}")
    return figures(_metrics(folder, stem))


def _timing_words(metrics: Mapping[str, Any], folder: Path) -> str:
    timing = metrics["timing"]
    slacks = (("setup", "wns_ns"), ("hold", "whs_ns"), ("pulse width", "wpws_ns"))
    words = ", ".join(f"{name} {timing[key]} ns" for name, key in slacks)
    return (
        f"timing is not met at {metrics['clock_mhz']:g} MHz: slack of {words}; no bitstream was written; the worst "
        f"paths are in {folder / 'reports' / 'timing.rpt'}; pick another candidate or a lower target.clock_mhz"
    )


def _metrics(folder: Path, stem: str) -> dict[str, Any]:
    path = folder / METRICS
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if (values["format"], values["stem"]) != (1, stem):
            raise ValueError(f"format {values['format']!r} of {values['stem']!r}")
        _ = values["timing_met"], values["timing"]["wns_ns"], values["cells"]["lut"], values["power"]["total_w"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolRunError(f"{path} is not what the build writes: {error!r}; its log is {folder / LOG}") from None
    return values


def figures(metrics: Mapping[str, Any]) -> Measurement:
    """Figures of ``metrics.json``: cells and slack are of the routed design, power is Vivado's estimate of it.

    ``lut``, ``ff``, ... count the whole overlay, those that begin with ``accelerator_`` the accelerator alone.
    """
    version = str(metrics["vivado"])
    marks = VIVADO.marks(version)

    def routed(value: float, unit: str) -> Figure:
        return Figure(value, unit, Provenance.ROUTED, "Vivado", version, marks)

    found = {}
    for prefix, cells in (("", metrics["cells"]), ("accelerator_", metrics["accelerator"] or {})):
        for name, unit in _UNITS.items():
            if cells.get(name) is not None:
                found[prefix + name] = routed(cells[name], unit)
    for name, key in (("setup_slack", "wns_ns"), ("hold_slack", "whs_ns"), ("pulse_width_slack", "wpws_ns")):
        if metrics["timing"][key] is not None:  # as it is of a design without paths of that kind
            found[name] = routed(metrics["timing"][key], "ns")
    if "setup_slack" in found:
        asked = float(metrics["clock_mhz"])
        timing = {"asked_mhz": asked, **marks}
        slack = found["setup_slack"].value
        found["fmax"] = fmax_figure(METRICS, 1000.0 / asked, slack, Provenance.ROUTED, version, timing)
    power = metrics["power"]
    details = {
        **{key: power[key] for key in ("dynamic_w", "static_w", "confidence")},
        "activity": ASSUMED,
        **marks,
    }
    found["power"] = Figure(power["total_w"], "W", Provenance.ESTIMATED, "Vivado report_power", version, details)
    return Measurement(found)
