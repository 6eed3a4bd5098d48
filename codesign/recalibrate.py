"""Fits the timing model to what searches had routed: ``python -m codesign.recalibrate RUN [RUN ...]``.

Takes every candidate of which a run's store has a routed Fmax of the network alone (``measure RUN:ID --via``, not a
board's build, whose worst path may be the overlay's) and that still has its netlist, fits the net delays of the family
by :mod:`hw.measure.calibrate` with the form that is shipped, and writes them into ``hw/measure/fitted.toml``: from then
on the family's Fmax, at that speed grade, has the error that was found. Vivado's figures are taken where there are
enough of them, else nextpnr's; they are never mixed.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from codesign.artifacts import ArtifactStore
from codesign.errors import CodesignError, DataError, InputError
from codesign.measurement import Figure, Provenance
from codesign.run import Run, find_run, read_run
from codesign.target import Part
from hw.design import TOP
from hw.measure.calibrate import FEWEST, FITTED, Calibration, calibrate, sample, section, write
from hw.measure.delays import grade_factor
from hw.measure.net_forms import SHIPPED, Sample
from hw.measure.nextpnr import GRADE
from hw.measure.optional_tools import NEXTPNR, VIVADO
from hw.measure.yosys import ARTEFACT

TOOLS = (VIVADO.name, NEXTPNR.name)
"""The better one first."""


@dataclass(frozen=True)
class Refit:
    """Of one part's family and grade: the calibration, and whose figures it is of."""

    part: Part
    tool: str
    calibration: Calibration


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
            return Refit(part, tool, calibrate(samples, [SHIPPED]))
    counts = "; ".join(
        f"{tool} {len(samples)}, of which {sum(one.at_most for one in samples)} only meet their clock"
        for tool, samples in found.items()
    )
    raise DataError(f"too few routed designs ({counts}): {FEWEST} that miss the clock asked for are needed")


def _samples(run: Run, tool: str) -> Iterator[Sample]:
    """Candidates that the tool routed, each as it was routed last."""
    store = ArtifactStore(run.folder)
    artefacts = {record.digest: record.artefacts for record in run.records}
    for digest, figure in _routed(run, tool).items():
        if ARTEFACT in artefacts[digest]:
            module = json.loads(gzip.decompress(store.get(artefacts[digest][ARTEFACT])))["modules"][TOP]
            yield sample(digest[:8], 1000.0 / figure.value, module, run.task.target.part, at_most=figure.bound)


def _routed(run: Run, tool: str) -> dict[str, Figure]:
    if tool == NEXTPNR.name and run.task.target.part.speed_grade != GRADE:
        return {}  # what it says is of another grade than the part's
    measured = [(digest, reading.figures.figures) for digest, reading in run.readings]
    found = [(digest, figures["fmax"]) for digest, figures in measured if "fmax" in figures]
    return {digest: fmax for digest, fmax in found if fmax.provenance is Provenance.ROUTED and fmax.tool == tool}


def main() -> int:
    """Fit, print the table, write the coefficients."""
    if len(sys.argv) < 2:
        sys.exit("usage: python -m codesign.recalibrate RUN [RUN ...]")
    try:
        found = refit([read_run(find_run(name)) for name in sys.argv[1:]])
        words = f"fitted to {found.calibration.designs} candidates of searches, routed by {found.tool}"
        write({found.part.family: section(found.calibration, grade_factor(found.part), words)})
    except CodesignError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    print("\n".join([*found.calibration.table(), f"written to {FITTED}"]))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
