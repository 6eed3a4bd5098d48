"""Fits the net delays of the timing model to placed-and-routed designs: ``python -m hw.measure.calibrate DATA_DIR``.

``DATA_DIR`` holds ``routed.csv`` (columns ``name, period_median_ns``: the routed period in ns, the median of three
placement seeds) and ``netlists/NAME.json.gz`` (the mapped netlist, module ``wrap``). Two coefficients are fitted, the
base and the fan-out slope of :meth:`DelayModel.nets`, by least squares of the logarithm of predicted over routed
period. Prints each design as it is predicted by the others and writes ``fitted.toml`` beside this file; designs that a
search had routed are fitted by ``python -m codesign.recalibrate``.

What the errors mean: form and coefficients that predict a design are found without it (:mod:`hw.measure.net_forms`).
The reference is nextpnr's own timing on Zynq-7000, speed grade -1, neither silicon nor Vivado.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import os
import sys
import tomllib
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codesign.errors import CodesignError, DataError, StorageError
from codesign.target import Part
from hw.measure.delays import DelayModel
from hw.measure.net_forms import FORMS, SHIPPED, Choice, Floats, NetForm, Sample, fit
from hw.measure.optional_tools import NEXTPNR
from hw.measure.timing import StaticTiming

REFERENCE = Part("xc7z020clg400-1", "xc7", "-1", {})
TOP = "wrap"
FEWEST = 4
"""Designs that a fit of two coefficients and its error need."""
FITTED = Path(__file__).with_name("fitted.toml")


@dataclass(frozen=True)
class Predicted:
    """One routed design, and the period that form and coefficients found without it give."""

    name: str
    size: int
    routed_ns: float
    predicted_ns: float
    form: NetForm

    @property
    def error(self) -> float:
        """Relative error of the period."""
        return self.predicted_ns / self.routed_ns - 1.0


@dataclass(frozen=True)
class Calibration:
    """The form chosen from all samples, its coefficients, and each sample as it is predicted without itself.

    Samples that only bound the period take part in the fit, but no error is known of them.
    """

    form: NetForm
    coefficients: Floats
    left_out: tuple[Predicted, ...]
    designs: int
    grade: str

    def error(self) -> dict[str, Any]:
        """Median, 90th percentile and worst absolute relative error, and Kendall's tau; JSON and TOML values."""
        sizes = [predicted.size for predicted in self.left_out]
        counted = {"designs": len(self.left_out), "size": [min(sizes), max(sizes)], "grade": self.grade}
        return {**errors(self.left_out), **counted}

    def table(self) -> list[str]:
        """Lines for reading: every design, then the summary."""
        lines = ["design    size  routed ns  predicted  error   form chosen by the others"]
        for one in self.left_out:
            times = f"{one.routed_ns:9.2f}  {one.predicted_ns:9.2f} {one.error:+6.1%}"
            lines.append(f"{one.name[:8]:8} {one.size:5d}  {times}   {one.form.words()}")
        return [*lines, error_words(self.left_out), f"chosen by all: {self.form.words()}"]


def errors(predicted: Sequence[Predicted]) -> dict[str, float]:
    """Absolute relative errors and Kendall's tau, which is not a number where all of one side are equal."""
    from scipy.stats import kendalltau

    absolute = np.abs([one.error for one in predicted])
    order = kendalltau([one.routed_ns for one in predicted], [one.predicted_ns for one in predicted])
    return {
        "median": round(float(np.median(absolute)), 4),
        "p90": round(float(np.quantile(absolute, 0.9)), 4),
        "worst": round(float(absolute.max()), 4),
        "kendall_tau": round(float(order.statistic), 3),
    }


def error_words(predicted: Sequence[Predicted]) -> str:
    """:func:`errors` on one line."""
    words = "median {median:.1%}, 90th percentile {p90:.1%}, worst {worst:.1%}, Kendall tau {kendall_tau:.2f}"
    return words.format(**errors(predicted))


def load(folder: Path) -> list[Sample]:
    """Read the routed designs; DataError naming the file, and the line of the table, that is missing or damaged."""
    table = folder / "routed.csv"
    if not table.is_file():
        raise DataError(f"{table} not found: give the folder that holds it and netlists/")
    samples = []
    with table.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        for row in rows:
            name, period = row.get("name"), _period_ns(row.get("period_median_ns"))
            if not name or period is None:
                raise DataError(
                    f"{table}:{rows.line_num}: name {name!r}, period_median_ns {row.get('period_median_ns')!r}: each "
                    "row needs a name and a period above 0 ns"
                )
            samples.append(sample(name, period, _netlist(folder / "netlists" / f"{name}.json.gz", table), REFERENCE))
    return samples


def _period_ns(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 < value < math.inf else None


def _netlist(path: Path, table: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"{path} not found, but {table} lists {path.name.removesuffix('.json.gz')!r}")
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            module: dict[str, Any] = json.load(file)["modules"][TOP]
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged, or no netlist of Yosys with a module {TOP}: {error}") from None
    return module


def sample(name: str, period_ns: float, module: Mapping[str, Any], part: Part, *, at_most: bool = False) -> Sample:
    """A routed design from the flat module of its mapped netlist (Yosys JSON)."""
    model = DelayModel.for_part(part)
    return Sample(name, period_ns, StaticTiming(module, model.cells), model, at_most)


def calibrate(samples: Sequence[Sample], forms: Sequence[NetForm] = FORMS) -> Calibration:
    """Choose a form, fit it, and tell the error of doing so; DataError where there are too few designs, or all alike.

    All samples are of one family and speed grade.
    """
    exact = [one for one in samples if not one.at_most]
    if len(exact) < FEWEST:
        raise DataError(f"{len(exact)} routed designs with an Fmax of their own: a calibration needs {FEWEST} or more")
    if len({one.period_ns for one in exact}) == 1:
        raise DataError(
            f"all {len(exact)} routed designs have the same Fmax, {1000.0 / exact[0].period_ns:.4g} MHz: how well a "
            "fit orders designs cannot be judged; route designs of which some are faster than others"
        )
    choice = Choice(samples, forms)
    nested = choice.nested()
    left_out = tuple(_predicted(one, nested[one][1], nested[one][0]) for one in exact)
    form = choice.best()
    return Calibration(form, fit(samples, form), left_out, len(samples), samples[0].model.speed_grade)


def predicted_by(model: DelayModel, samples: Sequence[Sample]) -> list[Predicted]:
    """What a model of the shipped form says of each routed design with an Fmax of its own."""
    coefficients = np.array([model.net_base, model.net_per_fanout])
    return [_predicted(one, one.predict(SHIPPED, coefficients), SHIPPED) for one in samples if not one.at_most]


def _predicted(one: Sample, period_ns: float, form: NetForm) -> Predicted:
    return Predicted(one.name, one.timing.graph.size, one.period_ns, period_ns, form)


def section(calibration: Calibration, grade_factor: float, tool: str, source: str) -> dict[str, Any]:
    """What ``fitted.toml`` holds of a family: net delays at its reference grade, and the error at the fitted one.

    ``tool``: what routed the designs.
    """
    base, slope = calibration.coefficients / grade_factor
    net = {"base_ns": round(float(base), 4), "per_fanout_ns": round(float(slope), 5), "tool": tool, "source": source}
    return {"net": net, "error": calibration.error()}


def write(changed: Mapping[str, Mapping[str, Any]], path: Path = FITTED) -> None:
    """Replace the sections of the families in ``changed``, whole or not at all.

    DataError where the file could not be read again (TOML has no NaN as JSON has), StorageError where it cannot be
    written: both leave it as it was.
    """
    families = tomllib.loads(path.read_text(encoding="utf-8")) | dict(changed)
    lines = ["# Written by `python -m hw.measure.calibrate` and `python -m codesign.recalibrate`; do not edit."]
    for family, sections in families.items():
        for name, values in sections.items():
            lines += ["", f"[{family}.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    text = "\n".join(lines) + "\n"
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"the fit cannot be kept: {error}; {path} is as it was") from None
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")  # two fits may be written at the same time
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):  # the folder itself may refuse
            beside.unlink(missing_ok=True)
        raise StorageError(f"cannot write {path}: {error.strerror}; work from a checkout of codesign") from None


def main() -> int:
    """Fit, print the table, write the coefficients."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m hw.measure.calibrate DATA_DIR")
    try:
        calibration = calibrate(load(Path(sys.argv[1])))
        if calibration.form != SHIPPED:
            raise DataError(
                f"the designs are predicted best by another form than the shipped one: {calibration.form.words()}; "
                "write it into hw/measure/delays.py and make it SHIPPED in hw/measure/net_forms.py"
            )
        source = f"fitted to {calibration.designs} ternary adder graphs, routed by nextpnr-xilinx for xc7z010-1"
        write({REFERENCE.family: section(calibration, 1.0, NEXTPNR.name, source)})
    except CodesignError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.write("\n".join([*calibration.table(), ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
