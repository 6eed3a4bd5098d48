"""Jobs of a search and the workers that do them, with Ctrl-C and SIGTERM in hand."""

from __future__ import annotations

import importlib
import math
import resource
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import FrameType, MappingProxyType, TracebackType
from typing import Any, ClassVar, Protocol, Self

from codesign.architecture import Architecture
from codesign.at_work import AtWork
from codesign.counting import number_of
from codesign.crew import Crew
from codesign.errors import CodesignError, DataError
from codesign.listener import Listener
from codesign.record import Final, Record
from codesign.store import Store
from codesign.study import Study
from codesign.task import Task
from codesign.trial import Trained
from codesign.worker_process import Handler, StageReport
from codesign.workers import Outcome, WorkerPool, default_workers

UNTRAINED: Mapping[str, str] = MappingProxyType({})
"""The artefacts of a network that nobody has trained yet."""
_POLL_SECONDS = 0.2
_LAST_SECONDS = 0.5  # a batch system's SIGTERM to all processes of a job may reach workers and tools before this one


def candidate_seconds(study: Study, task: Task) -> float:
    """What takes longer than this hangs: 900 s, and 10 ms for every training sample and epoch.

    Measured on one thread: about 20 s beside training; training 0.1 ms per sample and epoch for a small network, 3 ms
    for four layers of 1024 units on 3072 inputs.
    """
    samples = task.validation_samples * (1.0 / study.data.validation - 1.0)  # the share that is trained on
    return 900.0 + math.ceil(0.01 * max(study.search.epochs, study.final_epochs) * samples)


class SearchInterrupted(CodesignError):  # noqa: N818  # like KeyboardInterrupt, no fault
    """Ctrl-C or SIGTERM: what had ended is stored, the same command continues."""

    def __init__(self, message: str, exit_code: int = 128 + signal.SIGINT) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Evaluation(Protocol):
    """What a module must offer to be searched with; :mod:`codesign.evaluate` is the real one.

    This is its class ``Evaluator(study, run_folder)``. Beside it: ``describe(study) -> Task`` and
    ``lower_bound(architecture) -> Measurement`` (structural, cheap, called in the coordinator).
    """

    def evaluate(
        self, architecture: Architecture, report: StageReport, network: Mapping[str, str] = UNTRAINED
    ) -> Record:
        """Train, build and measure one candidate; not trained where artefacts have its ``network``."""

    def try_out(
        self, architecture: Architecture, epochs: int, report: StageReport, network: Mapping[str, str] = UNTRAINED
    ) -> Trained | Record:
        """The first ``epochs`` epochs of training, or what artefacts have of them; CandidateError where they fail.

        The record of a candidate that is infeasible before any training.
        """

    def retrain(self, architecture: Architecture, number: int, report: StageReport) -> tuple[Record, Final | None]:
        """Train in full from another seed (``number`` from 1), build, measure, and finalize what could be measured."""

    def finalize(self, record: Record, report: StageReport) -> Final:
        """Measure what is only measured of front members; a difference found there is a Final that failed."""


@dataclass(frozen=True)
class EvaluateJob:
    """Evaluate a new candidate; gives a Record. ``artefacts``: its network, where that was trained in full before."""

    architecture: Architecture
    artefacts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TrialJob:
    """Train a new candidate on a rung; gives a Trained, or the Record of one that is not trained.

    ``artefacts`` as for :class:`EvaluateJob`, where the rung's training is the full one.
    """

    architecture: Architecture
    epochs: int
    artefacts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RetrainJob:
    """Train and measure a front member again; gives a Record and a Final."""

    architecture: Architecture
    number: int


@dataclass(frozen=True)
class FinalizeJob:
    """Measure a front member further; gives a Final."""

    record: Record


Job = EvaluateJob | TrialJob | RetrainJob | FinalizeJob


class HandlerFactory(Protocol):
    """Gives the handler of jobs for a folder in which artefacts are kept; :func:`make_handler` with a study."""

    def __call__(self, run_folder: Path, *, data_digest: str | None = None) -> Handler:
        """``data_digest``: the search's, where the data of this machine may be others."""


def make_handler(module: str, study: Study, run_folder: Path, *, data_digest: str | None = None) -> Handler:
    """Build the evaluator, once per worker; DataError where its data are not those of ``data_digest``."""
    evaluation = importlib.import_module(module)
    if data_digest is not None:
        found = evaluation.describe(study).data_digest
        if found != data_digest:
            raise DataError(
                f"the data here have the SHA-256 {found[:12]}, those of the search {data_digest[:12]}; bring the same "
                "data to every machine"
            )
    evaluator: Evaluation = evaluation.Evaluator(study, run_folder)
    return partial(_handle, evaluator)


def _handle(evaluator: Evaluation, job: Job, report: StageReport) -> Any:
    if isinstance(job, FinalizeJob):
        return evaluator.finalize(job.record, report)
    if isinstance(job, TrialJob):
        return evaluator.try_out(job.architecture, job.epochs, report, job.artefacts)
    if isinstance(job, RetrainJob):
        return evaluator.retrain(job.architecture, job.number, report)
    record = evaluator.evaluate(job.architecture, report, job.artefacts)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0  # Linux counts KiB
    return record if record.peak_memory_mib is not None else replace(record, peak_memory_mib=peak)


class Pool(Protocol):
    """Workers of this machine or of many: see :class:`codesign.workers.WorkerPool`, which says what each does."""

    def idle(self) -> int:
        """Number of workers that take a job now."""

    def running(self) -> list[str]:
        """Keys of the jobs under way."""

    def submit(self, key: str, job: object) -> None:
        """Give a job to an idle worker."""

    def wait(self, timeout: float) -> list[Outcome]:
        """Outcomes of jobs that ended."""

    def terminate(self) -> None:
        """Give up what runs."""


class Jobs:
    """Runs jobs in workers that start when first needed; a context manager that ends them.

    Artefacts are kept in ``run_folder``, except on a cluster, whose workers have folders of their own.
    """

    def __init__(
        self,
        crew: Crew,
        factory: HandlerFactory,
        run_folder: Path,
        limit_seconds: float,
        listener: Listener,
    ) -> None:
        self._crew = crew
        self._factory = factory
        self._run_folder = run_folder
        self._limit = limit_seconds
        self.listener = listener
        self._pool: Pool | None = None
        self._words: dict[str, str] = {}
        self._at_work = AtWork(run_folder)
        self._interrupts = _Interrupts()

    def run(
        self,
        jobs: Mapping[str, Job],
        on_outcome: Callable[[Outcome], None],
        meanwhile: Callable[[], None],
    ) -> None:
        """Do all jobs, calling ``on_outcome`` the moment each ends, and ``meanwhile`` several times a second.

        A job whose worker dies, hangs or answers nonsense is done once more: what killed it (memory that the others
        had) may be over by then.
        Raises SearchInterrupted after the first Ctrl-C when the running jobs have ended, after the second at once, and
        at once after SIGTERM, which a batch system sends shortly before it kills.
        """
        self._words = {key: _architecture(job).words() for key, job in jobs.items()}
        waiting = dict(jobs)
        again: set[str] = set()
        warned = False
        while waiting or (self._pool and self._pool.running()):
            if not self._interrupts.count:
                self._submit(waiting)
            pool = self._started()
            running = len(pool.running())
            if self._interrupts.count and (self._interrupts.at_once or not running):
                raise self._interrupts.error()
            if self._interrupts.count and not warned:
                what = number_of(running, "running candidate")
                self.listener.message(f"Ctrl-C: finishing {what}; once more stops at once")
                warned = True
            for ended in pool.wait(_POLL_SECONDS):
                outcome = _sound(jobs[ended.key], ended)
                if outcome.retry and outcome.key not in again:
                    again.add(outcome.key)
                    waiting[outcome.key] = jobs[outcome.key]
                    self.listener.message(f"{self._words[outcome.key]} is tried once more: {outcome.reason}")
                    continue
                on_outcome(replace(outcome, reason=f"tried twice: {outcome.reason}") if outcome.retry else outcome)
            meanwhile()
            self._at_work.write()
            self.listener.tick()

    def check(self) -> None:
        """Raise SearchInterrupted if the search was to be stopped while nothing ran."""
        if self._interrupts.count:
            raise self._interrupts.error()

    def stop_behind(self, error: CodesignError) -> CodesignError:
        """What ended the search: a stop that ended workers or tools as well and so gave ``error``, or that itself."""
        if not isinstance(error, SearchInterrupted):
            time.sleep(_LAST_SECONDS)
        return self._interrupts.error() if self._interrupts.at_once else error

    def _submit(self, waiting: dict[str, Job]) -> None:
        pool = self._started()
        while waiting and pool.idle():
            key = next(iter(waiting))
            pool.submit(key, waiting.pop(key))

    def _started(self) -> Pool:
        if self._pool is None:
            self._pool = self._start()
        return self._pool

    def _start(self) -> Pool:
        if self._crew.cluster is None:
            count, factory = self._crew.workers or default_workers(), partial(self._factory, self._run_folder)
            return WorkerPool(count, factory, limit_seconds=self._limit, on_stage=self._on_stage)
        from codesign.cluster import ClusterPool

        with Store.read(self._run_folder) as store:
            data_digest = Task.from_json(store.meta("task")).data_digest
        return ClusterPool(
            self._crew.cluster,
            partial(self._factory, data_digest=data_digest),
            self._run_folder,
            limit_seconds=self._limit,
            on_stage=self._on_stage,
            message=self.listener.message,
        )

    def _on_stage(self, worker: int, stage: str, key: str | None) -> None:
        words = self._words.get(key, "") if key else ""
        self._at_work.stage(worker, stage, words)
        self.listener.stage(worker, stage, words)

    def __enter__(self) -> Self:
        self._interrupts.install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.terminate()
        self._at_work.remove()
        self._interrupts.remove()


class _Interrupts:
    """Counts Ctrl-C instead of raising wherever the program happens to be; SIGTERM counts as two."""

    _COUNTS: ClassVar = {signal.SIGINT: 1, signal.SIGTERM: 2}

    def __init__(self) -> None:
        self.count = 0
        self._by = signal.SIGINT
        self._before: dict[signal.Signals, Any] = {}

    def install(self) -> None:
        if threading.current_thread() is threading.main_thread():  # others never get signals
            self._before = {number: signal.signal(number, self._on_signal) for number in self._COUNTS}

    def remove(self) -> None:
        for number, handler in self._before.items():
            # one that was not set from Python cannot be put back
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()

    @property
    def at_once(self) -> bool:
        return self.count > 1

    def error(self) -> SearchInterrupted:
        by = "Ctrl-C" if self._by == signal.SIGINT else self._by.name
        return SearchInterrupted(f"stopped by {by}", 128 + self._by)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if not self.at_once:
            self._by = signal.Signals(number)
        self.count += self._COUNTS[signal.Signals(number)]


def _architecture(job: Job) -> Architecture:
    return job.record.architecture if isinstance(job, FinalizeJob) else job.architecture


def _sound(job: Job, outcome: Outcome) -> Outcome:
    """The outcome, or that its result is none of this job."""
    if outcome.result is None or _answers(job, outcome.result):
        return outcome
    reason = (
        f"the worker answered with {outcome.result!r:.100}, which answers no {type(job).__name__} of this candidate"
    )
    return Outcome(outcome.key, reason=reason, retry=True, seconds=outcome.seconds)


def _answers(job: Job, result: Any) -> bool:
    match job, result:
        case (EvaluateJob(), Record()) | (FinalizeJob(), Final()):
            return bool(result.digest == _architecture(job).digest())
        case RetrainJob(), (Record() as record, Final() | None as final):
            return all(one.digest == job.architecture.digest() for one in (record, final) if one is not None)
        case TrialJob(), Trained():
            return True
        case TrialJob(), Record():  # what fits no folding is not trained
            return bool(result.digest == job.architecture.digest())
    return False
