"""The analytic evaluation, as contenders of ``scripts/bench search`` need it; runs of trainings measure nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import analytic_evaluation
from analytic_evaluation import describe, lower_bound

from codesign.architecture import Architecture
from codesign.derived import counted
from codesign.jobs import UNTRAINED
from codesign.measurement import Measurement, Provenance
from codesign.record import Record
from codesign.study import Study

__all__ = ["Evaluator", "describe", "lower_bound"]


class Evaluator(analytic_evaluation.Evaluator):
    def __init__(self, study: Study, run_folder: Path) -> None:
        super().__init__(study, run_folder)
        self.supposes = run_folder.name.endswith("-trained")

    def evaluate(
        self, architecture: Architecture, report: Callable[[str], None], network: Mapping[str, str] = UNTRAINED
    ) -> Record:
        record = super().evaluate(architecture, report, network)
        assert record.measurement is not None
        figures = dict(record.measurement.merged([counted(architecture)]).figures)
        if self.supposes:
            figures["lut"] = replace(figures["lut"], provenance=Provenance.ESTIMATED)
        return replace(record, measurement=Measurement(figures))
