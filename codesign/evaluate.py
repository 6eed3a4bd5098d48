"""One candidate through every stage: train, convert, lower, emit, synthesize, time, simulate, compare."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boards.catalogue import load_target
from codesign import solving
from codesign.accuracy import OUTPUT_FILE
from codesign.architecture import Architecture
from codesign.artifacts import ArtifactStore
from codesign.cli import version
from codesign.derived import derived
from codesign.errors import CandidateError, MismatchError, ModelError, TargetError
from codesign.jobs import UNTRAINED
from codesign.kept_networks import keep
from codesign.kept_networks import load as load_network
from codesign.measurement import Figure, Measurement, Provenance
from codesign.record import Final, Record
from codesign.robustness import Subject, asked, robustness
from codesign.scoring import baseline, model_error
from codesign.study import Study
from codesign.target import Target
from codesign.task import Task
from codesign.trial import Trained
from codesign.worker_process import StageReport
from hw.bounds import lower_bound
from hw.design import Design
from hw.emit.accelerator import accelerator
from hw.graph import Graph, Ints
from quant.datasets import Dataset, Split, load, split
from quant.regression import OutputFormat, fit_outputs, require_varying
from quant.scaling import InputFormat, fit

if TYPE_CHECKING:
    from hw.implement import Implementation

__all__ = ["Evaluator", "describe", "lower_bound"]

_SAMPLES, _RANDOM = 768, 512
_NEXT_SEED = 1_000_003  # between trainings of a candidate: far from the seeds that people give to studies
_BEATS, _FEWEST = 9_600, 12
"""Pixels of all images of the data that every level is compared on, and images at least."""


def describe(study: Study) -> Task:
    """The study's data and target in numbers; DataError or TargetError where they cannot be used."""
    dataset = _dataset(study)
    parts = split(dataset, study.data.validation, study.study.seed)
    if not dataset.class_names:
        require_varying("the part of y_train that is trained on", parts.y_train)
    fit(parts.x_train, study.data.scale, max(study.space.input_bits), dataset.image_shape)
    return Task(
        inputs=dataset.features,
        class_names=dataset.class_names,
        majority_error=baseline(parts.y_train, parts.y_val),
        validation_samples=len(parts.y_val),
        test_samples=len(dataset.y_test),
        target=_target(study),
        data_digest=dataset.digest(),
        targets=dataset.targets,
        image=dataset.image_shape,
    )


def _dataset(study: Study) -> Dataset:
    return load(study.data.name, study.data.path, regression=study.data.task == "regression")


def _target(study: Study) -> Target:
    return load_target(study.target.board, study.target.part, study.target.clock_mhz)


@dataclass
class _Work:
    """What one candidate has got to: its scratch folder, the time of each stage, artefacts so far."""

    folder: Path
    report: StageReport
    seconds: dict[str, float] = field(default_factory=dict)
    artefacts: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Report the stage and time it; a stage entered twice adds up."""
        self.report(name)
        begin = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - begin


class Evaluator:
    """Measures candidates of one study; built once per worker, it holds the data."""

    def __init__(self, study: Study, run_folder: Path) -> None:
        self.study = study
        self.target = _target(study)
        self.dataset: Dataset = _dataset(study)
        self.split: Split = split(self.dataset, study.data.validation, study.study.seed)
        self.artefacts = ArtifactStore(run_folder)
        self.room = solving.room(study, self.target)

    def evaluate(
        self, architecture: Architecture, report: StageReport, network: Mapping[str, str] = UNTRAINED, again: int = 0
    ) -> Record:
        """Train, build and measure one candidate; what fails is a failed record with reason and log.

        ``network``: artefacts of what training gives, where that was done before. ``again``: after the search for the
        so-many-th time, from another seed and in full.
        """
        with tempfile.TemporaryDirectory(prefix="codesign-") as scratch:
            work = _Work(Path(scratch), report)
            try:
                if not (again or self.study.rungs.epochs):  # otherwise it was planned before it was trained first
                    unfit = self._unfit(architecture, work)
                    if unfit is not None:
                        return unfit
                measurement = self._measure(architecture, work, network, again)
            except TargetError as error:
                reason = f"cannot be folded with the weights that it was trained to: {error}"
                return Record(architecture, "infeasible", reason, artefacts=work.artefacts, seconds=work.seconds)
            except (CandidateError, ModelError) as error:  # a network that cannot be exact is no fault of the user
                self._keep_files(work)
                log = error.log if isinstance(error, CandidateError) else ""
                return Record(architecture, "failed", str(error), log, artefacts=work.artefacts, seconds=work.seconds)
            return Record(architecture, "ok", measurement=measurement, artefacts=work.artefacts, seconds=work.seconds)

    def try_out(
        self, architecture: Architecture, epochs: int, report: StageReport, network: Mapping[str, str] = UNTRAINED
    ) -> Trained | Record:
        """The validation error after the first ``epochs`` epochs of training; CandidateError where there is none.

        On the first rung what cannot fit is not trained: that is its record. A training in full gives its network;
        one that was done before (``network``) is not done again.
        """
        try:
            with tempfile.TemporaryDirectory(prefix="codesign-") as scratch:
                work = _Work(Path(scratch), report)
                unfit = self._unfit(architecture, work) if epochs == self.study.rungs.epochs[0] else None
                if unfit is not None:
                    return unfit
                whole = epochs == self.study.search.epochs
                report("training" if whole else "short training")
                model, input_format = self._trained(architecture, network, work.folder, until=epochs)
                error = self._error(model, input_format, self._outputs(model, input_format))
                return Trained(error, keep(self.artefacts, model, input_format, work.folder) if whole else {})
        except ModelError as error:
            raise CandidateError(str(error)) from None

    def retrain(self, architecture: Architecture, number: int, report: StageReport) -> tuple[Record, Final | None]:
        """Train in full from another seed (``number`` from 1), build, measure, and finalize what could be measured."""
        record = self.evaluate(architecture, report, again=number)
        return record, self.finalize(record, report) if record.status == "ok" else None

    def finalize(self, record: Record, report: StageReport) -> Final:
        """Test error of a front member, and hls4ml's own C simulation held against its Graph."""
        with tempfile.TemporaryDirectory(prefix="codesign-") as scratch:
            work = _Work(Path(scratch), report)
            try:
                measurement = self._measure_further(record, work)
            except (CandidateError, ModelError) as error:
                self._keep_files(work)
                log = error.log if isinstance(error, CandidateError) else ""
                return Final(record.digest, None, str(error), log, artefacts=work.artefacts, seconds=work.seconds)
            return Final(record.digest, measurement, seconds=work.seconds)

    def _unfit(self, architecture: Architecture, work: _Work) -> Record | None:
        """The record of a candidate that even the best folding is predicted not to fit; it is not to be trained."""
        if architecture.hardware.mode != "solved":
            return None
        try:
            with work.stage("planning"):
                solving.require_fit(self._untrained(architecture), architecture, self.room)
        except TargetError as error:
            return Record(architecture, "infeasible", f"not trained: {error}", seconds=work.seconds)
        return None

    def _measure_further(self, record: Record, work: _Work) -> Measurement:
        from hw.implement import hold_c_simulation

        model, input_format = load_network(self.artefacts, record.artefacts, work.folder)
        graph = Graph.from_json(json.loads(self.artefacts.get(record.artefacts["graph.json"])))
        with work.stage("test set"):
            x_test = input_format.quantized_real(self.dataset.x_test)
            error = model_error(model, x_test, self.dataset.y_test, self._output_format(record.artefacts))
        with work.stage("C simulation"):
            x = self._vectors(graph, record.architecture, input_format)
            differing = hold_c_simulation(model, graph, x, work.folder / "hls", self.target)
        if differing.value:
            np.save(work.folder / "inputs.npy", x)
            raise MismatchError(f"hls4ml's C simulation differs from the graph at {differing.details['first']}")
        return Measurement({"test_error": error, "csim_mismatches": differing})

    def _measure(self, architecture: Architecture, work: _Work, network: Mapping[str, str], again: int) -> Measurement:
        from hw.hls4ml_flow import parse
        from hw.implement import implement
        from hw.lower import lower, self_check

        with work.stage("training"):
            model, input_format = self._trained(architecture, network, work.folder / "model", again=again)
            outputs = self._outputs(model, input_format)
            if outputs is not None:
                work.artefacts[OUTPUT_FILE] = self._put_json(outputs.to_json())
            error = self._error(model, input_format, outputs)
            work.artefacts |= network or keep(self.artefacts, model, input_format, work.folder / "model")
        with work.stage("conversion"):
            graph = lower(parse(model, self.target.part.name, self.target.clock_mhz))
            work.artefacts["graph.json"] = self._put_json(graph.to_json())
            x = self._vectors(graph, architecture, input_format)
            self_check(model, graph, x)
            hardware, foldings = solving.solved(graph, architecture, self.room)
        built = implement(graph, hardware, self.target, x, work.folder, foldings=foldings, stage=work.stage)
        work.artefacts["rtl.json"] = self._put_json(dict(built.design.files))
        work.artefacts["design.json"] = self._put_json(built.design.schedule())
        work.artefacts[built.netlist.name] = self.artefacts.put(built.netlist.read_bytes())
        figures = Measurement({"val_error": error}).merged([built.measurement])
        figures = figures.merged([derived(architecture, figures, self.target)])
        if self.study.board.hosts:
            figures = figures.merged([_on_board(built.design, graph)])
        if "toggles" in self.study.compared:
            figures = figures.merged([self._toggles(built, graph, input_format, work)])
        rates = asked(self.study)
        if not rates:
            return figures
        with work.stage("robustness"):
            subject = self._subject(architecture, graph, input_format, outputs)
            return figures.merged([robustness(subject, rates, _seed(architecture, self.study.study.seed))])

    def _toggles(self, built: Implementation, graph: Graph, input_format: InputFormat, work: _Work) -> Measurement:
        """Of validation inputs; only where a study asks for them, as they take a simulation of the netlist."""
        from hw.measure import yosys
        from hw.measure.toggles import toggles

        with work.stage("toggles"):
            module = yosys.load(built.netlist)["modules"][built.design.top]
            return toggles(module, built.design, graph, input_format.quantize(self.split.x_val))

    def _subject(
        self, architecture: Architecture, graph: Graph, input_format: InputFormat, outputs: OutputFormat | None
    ) -> Subject:
        spread = self.split.x_train.std(axis=0, dtype=np.float64)
        parts = (self.split.x_val, self.split.y_val, spread, architecture.weights == "binary")
        return Subject(graph, input_format, outputs, *parts)

    def _trained(
        self, architecture: Architecture, network: Mapping[str, str], folder: Path, **training: Any
    ) -> tuple[Any, InputFormat]:
        """From the artefacts of the ``network``, by way of ``folder``, if it has some."""
        from quant.tf import forget_models

        if not network:
            return self._train(architecture, **training)
        forget_models()
        return load_network(self.artefacts, network, folder)

    def _train(
        self, architecture: Architecture, *, until: int | None = None, again: int = 0
    ) -> tuple[Any, InputFormat]:
        from quant import canonical
        from quant.train import train

        input_format = fit(self.split.x_train, self.study.data.scale, architecture.input_bits, self.dataset.image_shape)
        trained = train(
            architecture,
            self.split,
            input_format,
            epochs=self.study.final_epochs if again else self.study.search.epochs,
            batch_size=self.study.search.batch_size,
            seed=_seed(architecture, self.study.study.seed + again * _NEXT_SEED),
            until=until,
        )
        return canonical.canonicalize(trained, architecture, input_format), input_format

    def _untrained(self, architecture: Architecture) -> Graph:
        """The graph of the network as training finds it: of its final shape, and about its final density."""
        from hw.hls4ml_flow import parse
        from hw.lower import lower
        from quant import canonical
        from quant.build import build
        from quant.tf import forget_models

        forget_models()
        data = (self.split.x_train, self.study.data.scale, architecture.input_bits, self.dataset.image_shape)
        input_format = fit(*data)
        model = build(architecture, input_format, _seed(architecture, self.study.study.seed))
        exact = canonical.canonicalize(model, architecture, input_format)
        return lower(parse(exact, self.target.part.name, self.target.clock_mhz))

    def _error(self, model: Any, input_format: InputFormat, outputs: OutputFormat | None) -> Figure:
        x_val = input_format.quantized_real(self.split.x_val)
        return model_error(model, x_val, self.split.y_val, outputs)

    def _outputs(self, model: Any, input_format: InputFormat) -> OutputFormat | None:
        """What a regression's logits mean."""
        from quant.canonical import logits

        if self.dataset.class_names:
            return None
        return fit_outputs(logits(model, input_format.quantized_real(self.split.x_train)), self.split.y_train)

    def _output_format(self, artefacts: Mapping[str, str]) -> OutputFormat | None:
        if OUTPUT_FILE not in artefacts:
            return None
        return OutputFormat.from_json(json.loads(self.artefacts.get(artefacts[OUTPUT_FILE])))

    def _vectors(self, graph: Graph, architecture: Architecture, input_format: InputFormat) -> Ints:
        """Integers (n, inputs) that every level is compared on: validation and training inputs, then random ones."""
        from hw.implement import random_vectors

        beats = math.prod(graph.input.dims[:-1])
        most = min(_SAMPLES, max(_FEWEST, _BEATS // beats))  # simulation takes its time for every pixel
        real = np.concatenate([self.split.x_val[: most // 2], self.split.x_train])[:most]
        count = most + most * _RANDOM // _SAMPLES - len(real)  # small datasets are made up with random vectors
        random = random_vectors(graph, count, _seed(architecture, self.study.study.seed))
        return np.concatenate([input_format.quantize(real), random])

    def _put_json(self, values: Any) -> str:
        return self.artefacts.put(json.dumps(values).encode())

    def _keep_files(self, work: _Work) -> None:
        """All files of a failed candidate, as one archive, so that the failure can be looked into."""
        with tempfile.TemporaryDirectory(prefix="codesign-") as scratch:
            archive = shutil.make_archive(str(Path(scratch) / "files"), "gztar", work.folder)
            work.artefacts["files.tar.gz"] = self.artefacts.put(Path(archive).read_bytes())


def _seed(architecture: Architecture, study_seed: int) -> int:
    """Training depends on the network and the study's seed, not on the hardware knobs."""
    return (int(architecture.network_digest()[:8], 16) + study_seed) % 2**31


def _on_board(design: Design, graph: Graph) -> Measurement:
    """Cycles of the whole accelerator, frames included: what a board's counters will count."""
    whole = accelerator(design, graph, "0" * 32)
    counts = {"accelerator_latency_cycles": whole.latency_cycles, "accelerator_interval_cycles": whole.interval_cycles}
    return Measurement(
        {name: Figure(value, "cycles", Provenance.SCHEDULED, "codesign", version()) for name, value in counts.items()}
    )
