"""Evaluation of hardware made afterwards in ``bench search``: of networks that were trained before, not again."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bench_measured
from bench_measured import describe, lower_bound
from bench_trained import TRAINED, beside

from codesign.architecture import Architecture
from codesign.artifacts import ArtifactStore
from codesign.run import read_run
from codesign.study import Study

__all__ = ["Evaluator", "describe", "lower_bound"]


class Evaluator(bench_measured.Evaluator):
    """Builds and measures what the run of trainings beside this one has trained."""

    def __init__(self, study: Study, run_folder: Path) -> None:
        super().__init__(study, run_folder)
        trained = read_run(beside(run_folder, TRAINED))
        self._kept = ArtifactStore(trained.folder)
        kept = (record for record in trained.stored if record.artefacts)  # not those that were left out or lost
        self._networks = {record.architecture.network_digest(): record.artefacts for record in kept}

    def _train(self, architecture: Architecture, *, until: int | None = None, again: int = 0) -> tuple[Any, Any]:
        """The network as it was trained; hardware knobs change nothing of it."""
        from quant import canonical
        from quant.tf import forget_models

        assert until is None
        assert not again
        forget_models()
        with TemporaryDirectory() as scratch:
            for name, digest in self._networks[architecture.network_digest()].items():
                Path(scratch, name).write_bytes(self._kept.get(digest))
            return canonical.load(Path(scratch))
