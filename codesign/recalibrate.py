"""Fits the timing model to what searches had routed: ``python -m codesign.recalibrate RUN [RUN ...]``.

Takes every candidate of which a run's store has a routed Fmax of the network alone (``measure RUN:ID --via``, not a
board's build, whose worst path may be the overlay's) and that still has its netlist, fits the net delays of the family
by :mod:`hw.measure.calibrate` with the form that is shipped, and writes them into ``hw/measure/fitted.toml``: from then
on the family's Fmax, at that speed grade, has the error that was found. Vivado's figures are taken where there are
enough of them, else nextpnr's; they are never mixed.

The model in force predicts the same designs, and a fit is only written if its median error, of each design as the
others predict it, is less, and its Kendall tau not less by more than :data:`TAU`. A model in force that was fitted to
some of these designs has the advantage of having seen them. Where that model is itself fitted to routed designs, a fit
takes its place that is by the same tool and as many designs, or by Vivado where that was by nextpnr and
:data:`FEWEST_OF_BETTER` designs; nextpnr's never that of Vivado's.

The version of the timing model tells one fit from another (:func:`hw.measure.timing.version`).
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from codesign.artifacts import ArtifactStore
from codesign.errors import CodesignError, DataError, InputError
from codesign.instrument_errors import version_words
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
from hw.measure.delays import DelayModel, fitted_nets, grade_factor
from hw.measure.net_forms import SHIPPED, Sample
from hw.measure.nextpnr import GRADE
from hw.measure.optional_tools import NEXTPNR, VIVADO
from hw.measure.yosys import ARTEFACT

TOOLS = (VIVADO.name, NEXTPNR.name)
"""The better one first."""
TAU = 0.05
"""By which Kendall's tau may fall: of a hundred pairs of designs, two or three more in the wrong order."""
FEWEST_OF_BETTER = 8
"""Designs by a better tool that replace a fit, four for each coefficient: four alone may be nearer by chance."""
_MORE = "route more candidates, of different sizes and depths"
_WHAT = "fits the timing model of a family of parts to what nextpnr or Vivado routed of these runs' candidates"


@dataclass(frozen=True)
class Refit:
    """Of one part's family and grade: the calibration, whose figures it is of, and what was predicted without it."""

    part: Part
    tool: str
    versions: Sequence[str]
    calibration: Calibration
    in_force: Sequence[Predicted]

    def sections(self) -> dict[str, Any]:
        """What is to be kept; DataError where the model in force had better stay."""
        tool = f"{self.tool} {', '.join(self.versions)}"
        source = f"fitted to {self.calibration.designs} candidates of searches, routed by {tool}"
        found = section(self.calibration, grade_factor(self.part), self.tool, source)
        reason = self._weaker(fitted_nets(self.part.family)) or self._worse(found)
        if reason:
            raise DataError(f"{reason}; nothing is written; {_MORE}")
        return found

    def _weaker(self, kept: Mapping[str, Any]) -> str:
        """Why these designs say less than those of the fit that is kept; empty where they do not, or there is none."""
        if "error" not in kept:
            return ""
        tool = kept["net"].get("tool", self.tool)  # fits of before do not say theirs
        had, has = kept["error"]["designs"], len(self.calibration.left_out)
        if TOOLS.index(self.tool) > TOOLS.index(tool):
            return f"the model in force is fitted to what {tool} routed, which is worth more than {self.tool}'s"
        needed = had if self.tool == tool else FEWEST_OF_BETTER
        if has >= needed:
            return ""
        return f"{has} designs routed by {self.tool} do not replace the {had} by {tool} in force: {needed} do"

    def _worse(self, found: Mapping[str, Any]) -> str:
        """Why the fit is no gain over the model in force; empty where it is one."""
        for name in ("base_ns", "per_fanout_ns"):
            if found["net"][name] == 0:
                return f"the fit has {name} = 0: these designs do not show what nets cost"
        new, old = found["error"], errors(self.in_force)
        if new["median"] >= old["median"]:
            return (
                f"the fit is no better: of the same designs its median error is {new['median']:.1%}, that of the model "
                f"in force {old['median']:.1%}"
            )
        if new["kendall_tau"] < old["kendall_tau"] - TAU:
            return (
                f"the fit orders designs worse: of the same ones its Kendall tau is {new['kendall_tau']:.2f}, that of "
                f"the model in force {old['kendall_tau']:.2f}"
            )
        return ""

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
    found = {tool: _Routed.of(runs, tool) for tool in TOOLS}
    for tool, routed in found.items():
        if sum(not one.at_most for one in routed.samples) >= FEWEST:
            in_force = predicted_by(DelayModel.for_part(part), routed.samples)
            return Refit(part, tool, routed.versions, calibrate(routed.samples, [SHIPPED]), in_force)
    counts = "; ".join(f"{tool}: {routed.words()}" for tool, routed in found.items())
    raise DataError(
        f"too few routed designs ({counts}): {FEWEST} that miss the clock asked for are needed; "
        f"route more candidates with {PROGRAM} measure RUN:ID --via nextpnr, of a run whose target.clock_mhz they miss"
    )


@dataclass(frozen=True)
class _Routed:
    """What a tool routed: designs that can be used, by which versions of it, and how many cannot, by the reason."""

    samples: list[Sample]
    versions: Sequence[str]
    unusable: Mapping[str, int]

    @classmethod
    def of(cls, runs: Sequence[Run], tool: str) -> Self:
        """Each design as it was routed last."""
        samples, versions, unusable = [], dict[str, None](), Counter[str]()
        for run in runs:
            part, store = run.task.target.part, ArtifactStore(run.folder)
            built = {record.design: record for record in run.built}
            for design, figure in _figures(run, tool).items():
                record = built.get(design)
                if tool == NEXTPNR.name and part.speed_grade != GRADE:
                    unusable[f"of another speed grade than {GRADE}, which {tool} times"] += 1
                elif record is None or ARTEFACT not in record.artefacts:
                    unusable["whose netlist is not kept"] += 1
                elif figure.value <= 0:
                    unusable["without a clock"] += 1
                else:
                    module = json.loads(gzip.decompress(store.get(record.artefacts[ARTEFACT])))["modules"][TOP]
                    period = 1000.0 / figure.value
                    samples.append(sample(record.digest[:8], period, module, part, at_most=figure.bound))
                    versions[version_words(figure)] = None
        return cls(samples, tuple(versions), unusable)

    def words(self) -> str:
        """How many there are of each kind."""
        bounds = sum(one.at_most for one in self.samples)
        kinds = {"miss their clock": len(self.samples) - bounds, "only meet it": bounds, **self.unusable}
        return ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def _figures(run: Run, tool: str) -> dict[str, Figure]:
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
