"""Fits the net delays of the timing model to placed-and-routed designs: ``python -m hw.measure.calibrate DATA_DIR``.

``DATA_DIR`` holds ``routed.csv`` (columns ``name, period_median_ns``: the routed period in ns, the median of three
placement seeds) and ``netlists/NAME.json.gz`` (the mapped netlist, module ``wrap``). Two coefficients are fitted, the
base and the fan-out slope of :meth:`DelayModel.nets`, by least squares of the logarithm of predicted over routed
period. Prints the leave-one-out errors and writes ``fitted.toml`` beside this file.

What the errors mean: each design is predicted by coefficients fitted to the others, but the form of the model (which
nets stay within a slice, the growth with size) was chosen by looking at all of them, so the errors are somewhat
optimistic. The reference is nextpnr's own timing on Zynq-7000, speed grade -1, neither silicon nor Vivado.
"""

from __future__ import annotations

import csv
import gzip
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from codesign.errors import DataError
from codesign.target import Part
from hw.measure.delays import DelayModel
from hw.measure.timing import StaticTiming

REFERENCE = Part("xc7z020clg400-1", "xc7", "-1", {})
TOP = "wrap"
# until routed UltraScale+ designs are at hand: routed nets in vendor timing reports of xczu3eg-1 take about half
# of what they take on xc7z020-1
XCUP_RATIO = 0.5


@dataclass(frozen=True)
class Sample:
    """One routed design."""

    name: str
    period_ns: float
    timing: StaticTiming
    model: DelayModel

    def predict(self, coefficients: npt.NDArray[np.float64]) -> float:
        """The period in ns with these net coefficients (base, slope)."""
        base, slope = (float(value) for value in coefficients)
        return self.timing.period(replace(self.model, net_base=base, net_per_fanout=slope))


@dataclass(frozen=True)
class Calibration:
    """Coefficients from all samples, and each sample's relative error when it was left out."""

    coefficients: npt.NDArray[np.float64]
    errors: dict[str, float]
    luts: tuple[int, int]

    def summary(self) -> dict[str, float]:
        """Median, 90th percentile and worst of the absolute relative error."""
        absolute = np.abs(list(self.errors.values()))
        return {
            "median": round(float(np.median(absolute)), 4),
            "p90": round(float(np.quantile(absolute, 0.9)), 4),
            "worst": round(float(absolute.max()), 4),
        }


def load(folder: Path) -> list[Sample]:
    """Read the routed designs; DataError naming the file that is missing."""
    table = folder / "routed.csv"
    if not table.is_file():
        raise DataError(f"{table} not found: give the folder that holds it and netlists/")
    samples = []
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            path = folder / "netlists" / f"{row['name']}.json.gz"
            if not path.is_file():
                raise DataError(f"{path} not found, but {table} lists {row['name']!r}")
            with gzip.open(path, "rt", encoding="utf-8") as netlist:
                module: dict[str, Any] = json.load(netlist)["modules"][TOP]
            timing = StaticTiming(module, DelayModel.for_part(REFERENCE).cells)
            model = DelayModel.for_part(REFERENCE, timing.graph.luts)
            samples.append(Sample(row["name"], float(row["period_median_ns"]), timing, model))
    return samples


def fit(samples: Sequence[Sample], start: Iterable[float] = (0.3, 0.06)) -> npt.NDArray[np.float64]:
    """Base and slope (ns) with the least squared logarithm of predicted over routed period; both kept positive."""
    from scipy.optimize import minimize

    def cost(logarithms: npt.NDArray[np.float64]) -> float:
        coefficients = np.exp(logarithms)
        return float(sum(np.log(sample.predict(coefficients) / sample.period_ns) ** 2 for sample in samples))

    options = {"xatol": 2e-3, "fatol": 1e-5, "maxiter": 120}
    found = minimize(cost, np.log(list(start)), method="Nelder-Mead", options=options)
    coefficients: npt.NDArray[np.float64] = np.exp(found.x)
    return coefficients


def calibrate(samples: Sequence[Sample]) -> Calibration:
    """Fit to all, then leave each out in turn."""
    everything = fit(samples)
    errors = {}
    for sample in samples:
        others = fit([other for other in samples if other is not sample], everything)
        errors[sample.name] = sample.predict(others) / sample.period_ns - 1.0
    luts = [sample.timing.graph.luts for sample in samples]
    return Calibration(everything, errors, (min(luts), max(luts)))


def to_toml(calibration: Calibration) -> str:
    """The text of ``fitted.toml``."""
    base, slope = calibration.coefficients
    designs = len(calibration.errors)
    errors = "\n".join(f"{key} = {value}" for key, value in calibration.summary().items())
    return f"""# Written by `python -m hw.measure.calibrate DATA_DIR`; do not edit.

[xc7.net]
base_ns = {base:.4f}
per_fanout_ns = {slope:.5f}
source = "fitted to {designs} ternary adder graphs, routed by nextpnr-xilinx for xc7z010-1, three seeds each"

[xc7.error] # of the period, relative, leave-one-out
{errors}
designs = {designs}
luts = [{calibration.luts[0]}, {calibration.luts[1]}]

[xcup.net]
base_ns = {base * XCUP_RATIO:.4f}
per_fanout_ns = {slope * XCUP_RATIO:.5f}
source = "not calibrated: {XCUP_RATIO} of xc7, as routed nets in vendor timing reports of xczu3eg-1 and xc7z020-1"
"""


def main() -> None:
    """Fit, print the table, write the coefficients."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m hw.measure.calibrate DATA_DIR")
    samples = load(Path(sys.argv[1]))
    calibration = calibrate(samples)
    lines = ["design   LUTs  routed ns  left-out error"]
    for sample in samples:
        error = calibration.errors[sample.name]
        lines.append(f"{sample.name:7} {sample.timing.graph.luts:5d} {sample.period_ns:9.2f} {error:+14.1%}")
    lines.append("median {median:.1%}, 90th percentile {p90:.1%}, worst {worst:.1%}".format(**calibration.summary()))
    text = to_toml(calibration)
    Path(__file__).with_name("fitted.toml").write_text(text, encoding="utf-8")
    sys.stdout.write("\n".join([*lines, "", text]))


if __name__ == "__main__":
    main()
