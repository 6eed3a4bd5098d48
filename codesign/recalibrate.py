"""Fits the timing model to what searches had routed: ``python -m codesign.recalibrate RUN [RUN ...]``.

Takes every candidate of which a run's store has a routed Fmax of the network alone (``measure RUN:ID --via``, not a
board's build, whose worst path may be the overlay's) and that still has its netlist, fits the net delays of the family
by :mod:`hw.measure.calibrate` with the form that is shipped, and writes them into ``hw/measure/fitted.toml``: from then
on the family's Fmax, at that speed grade, has the error that was found. Vivado's figures are taken where there are
enough of them, else nextpnr's; they are never mixed.

The model in force predicts the same designs, and a fit is only written whose median error, of each design as the others
predict it, is less. A model in force that was fitted to some of these designs has the advantage of having seen them.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from codesign.artifacts import ArtifactStore
from codesign.errors import CodesignError, DataError, InputError
from codesign.measurement import Figure, Provenance
from codesign.place import PROGRAM
from codesign.run import Run, find_run, read_run
from codesign.target import Part
from hw.design import TOP
from hw.measure.calibrate import (
    FEWEST,
    FITTED,
    Calibration,
    Predicted,
    calibrate,
    error_words,
    errors,
    predicted_by,
    sample,
    section,
    write,
)
from hw.measure.delays import DelayModel, grade_factor
from hw.measure.net_forms import SHIPPED, Sample
from hw.measure.nextpnr import GRADE
from hw.measure.optional_tools import NEXTPNR, VIVADO
from hw.measure.yosys import ARTEFACT

TOOLS = (VIVADO.name, NEXTPNR.name)
"""The better one first."""
_MORE = "route more candidates, of different sizes and depths"
_WHAT = "fits the timing model of a family of parts to what nextpnr or Vivado routed of these runs' candidates"


@dataclass(frozen=True)
class Refit:
    """Of one part's family and grade: the calibration, whose figures it is of, and what was predicted without it."""

    part: Part
    tool: str
    calibration: Calibration
    in_force: Sequence[Predicted]

    def sections(self) -> dict[str, Any]:
        """What is to be kept; DataError where the model in force had better stay."""
        source = f"fitted to {self.calibration.designs} candidates of searches, routed by {self.tool}"
        found = section(self.calibration, grade_factor(self.part), source)
        for name in ("base_ns", "per_fanout_ns"):
            if found["net"][name] == 0:
                raise DataError(
                    f"the fit has {name} = 0: these designs do not show what nets cost; nothing is written; {_MORE}"
                )
        new, old = found["error"]["median"], errors(self.in_force)["median"]
        if new >= old:
            raise DataError(
                f"the fit is no better: of the same designs its median error is {new:.1%}, that of the model in force "
                f"{old:.1%}; nothing is written; {_MORE}"
            )
        return found

    def table(self) -> list[str]:
        """Lines for reading: the fit, and the model in force on the same designs."""
        return [*self.calibration.table(), f"model in force, same designs: {error_words(self.in_force)}"]


def refit(runs: Sequence[Run]) -> Refit:
    """Fit to the routed designs of runs; InputError where their parts differ, DataError where there are too few."""
    parts = {(run.task.target.part.family, run.task.target.part.speed_grade) for run in runs}
    if len(parts) != 1:
        told = ", ".join(" ".join(part) for part in sorted(parts))
        raise InputError(f"the runs are of different families or speed grades ({told}); give those of one")
    part = runs[0].task.target.part
    found = {tool: [one for run in runs for one in _samples(run, tool)] for tool in TOOLS}
    for tool, samples in found.items():
        if sum(not one.at_most for one in samples) >= FEWEST:
            in_force = predicted_by(DelayModel.for_part(part), samples)
            return Refit(part, tool, calibrate(samples, [SHIPPED]), in_force)
    counts = "; ".join(
        f"{tool} {len(samples)}, of which {sum(one.at_most for one in samples)} only meet their clock"
        for tool, samples in found.items()
    )
    raise DataError(
        f"too few routed designs ({counts}): {FEWEST} that miss the clock asked for are needed; "
        f"route more candidates with {PROGRAM} measure RUN:ID --via nextpnr, of a run whose target.clock_mhz they miss"
    )


def _samples(run: Run, tool: str) -> Iterator[Sample]:
    """Designs that the tool routed, each as it was routed last."""
    store = ArtifactStore(run.folder)
    built = {record.design: record for record in run.built}
    for design, figure in _routed(run, tool).items():
        record = built.get(design)
        if record is not None and ARTEFACT in record.artefacts:
            module = json.loads(gzip.decompress(store.get(record.artefacts[ARTEFACT])))["modules"][TOP]
            yield sample(record.digest[:8], 1000.0 / figure.value, module, run.task.target.part, at_most=figure.bound)


def _routed(run: Run, tool: str) -> dict[str, Figure]:
    if tool == NEXTPNR.name and run.task.target.part.speed_grade != GRADE:
        return {}  # what it says is of another grade than the part's
    said = [(run.designs.of(digest, one.design), one.figures.figures) for digest, one in run.readings]
    found = [(design, figures["fmax"]) for design, figures in said if design is not None and "fmax" in figures]
    return {design: fmax for design, fmax in found if fmax.provenance is Provenance.ROUTED and fmax.tool == tool}


def main() -> int:
    """Fit, print the table, write the coefficients where they are better than those in force."""
    parser = argparse.ArgumentParser(prog="python -m codesign.recalibrate", description=_WHAT)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run, by name or folder")
    options = parser.parse_args()
    try:
        found = refit([read_run(find_run(name)) for name in options.runs])
        print("\n".join(found.table()))  # noqa: T201
        write({found.part.family: found.sections()})
    except CodesignError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    print(f"written to {FITTED}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
