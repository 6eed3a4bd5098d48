"""Evaluation of separate design in ``bench search``: candidates are trained, and no hardware is made of them.

What the study asks of hardware is answered without any: by what structure alone says, or by a surrogate that was fitted
once, to the samples of a run beside this one. None of these figures is judged.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import bench_measured
from bench_measured import describe, lower_bound

from codesign.architecture import Architecture
from codesign.derived import derived
from codesign.errors import ModelError
from codesign.jobs import UNTRAINED
from codesign.kept_networks import keep
from codesign.measurement import Figure, Measurement, Provenance
from codesign.predicting import Predictor, expected
from codesign.record import Record
from codesign.run import read_run
from codesign.study import Study
from codesign.worker_process import StageReport

__all__ = ["SAMPLED", "TRAINED", "Evaluator", "beside", "describe", "lower_bound"]

SAMPLED, TRAINED = "-sampled", "-trained"
"""What the names of a contender's earlier runs end with."""


def beside(folder: Path, ending: str) -> Path:
    """The run of the same contender whose name has that ending; ``folder`` may have none, or another."""
    return folder.with_name(folder.name.removesuffix(SAMPLED).removesuffix(TRAINED) + ending)


class Evaluator(bench_measured.Evaluator):
    """Trains candidates; their networks are kept for those who build hardware afterwards."""

    def __init__(self, study: Study, run_folder: Path) -> None:
        super().__init__(study, run_folder)
        self._samples = beside(run_folder, SAMPLED)

    def evaluate(
        self, architecture: Architecture, report: StageReport, network: Mapping[str, str] = UNTRAINED, again: int = 0
    ) -> Record:
        """The validation error, and what is supposed of the hardware."""
        report("training")
        begun = time.monotonic()
        with TemporaryDirectory() as scratch:
            try:
                model, input_format = self._trained(architecture, network, Path(scratch), again=again)
                error = self._error(model, input_format, self._outputs(model, input_format))
            except ModelError as failure:
                return Record(architecture, "failed", str(failure), seconds={"training": time.monotonic() - begun})
            artefacts = network or keep(self.artefacts, model, input_format, Path(scratch))
        figures = Measurement({"val_error": error}).merged([self._supposed(architecture)])
        seconds = {"training": time.monotonic() - begun}
        return Record(architecture, "ok", measurement=figures, artefacts=artefacts, seconds=seconds)

    def _supposed(self, architecture: Architecture) -> Measurement:
        """Without a surrogate: that the clock is met, and LUTs and cycles at their lower bounds."""
        clock = Figure(self.target.clock_mhz, "MHz", Provenance.ESTIMATED, "supposed", "1")
        unknown = {name: Figure(0.0, "", Provenance.ESTIMATED, "supposed", "1") for name in ("ff", "bram", "dsp")}
        (known,) = self._predictor.known([architecture])
        supposed = Measurement({"fmax": clock, **unknown, **expected(known).figures})
        return supposed.merged([derived(architecture, supposed, self.target)])

    @cached_property
    def _predictor(self) -> Predictor:
        samples = read_run(self._samples).stored if self._samples.is_dir() else ()
        return Predictor(lower_bound, samples)
