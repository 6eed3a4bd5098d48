"""Search over measured candidates, every one stored the moment it ends."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from codesign.architecture import Architecture
from codesign.budget import misses, nearest_miss
from codesign.errors import CodesignError, TargetError
from codesign.jobs import EvaluateJob, FinalizeJob, Jobs, SearchInterrupted, candidate_seconds, make_handler
from codesign.listener import Listener
from codesign.measurement import Measurement
from codesign.place import PROGRAM
from codesign.record import Final, Record
from codesign.run import Run, archive_front, open_for_search, snapshot, study_constraints
from codesign.searched_space import searched_space
from codesign.stopping import Stopping
from codesign.store import Store
from codesign.study import Study
from codesign.task import Task
from codesign.workers import Outcome, default_workers
from nas.algorithm import Settings, Told, failed
from nas.algorithms import ALGORITHMS
from nas.indicators import Point, hypervolume
from nas.objectives import OBJECTIVES, values, violations

EVALUATION = "codesign.evaluate"
"""The module that describes, bounds and evaluates candidates: see :class:`codesign.jobs.Evaluation`."""
_MARGIN = 1.1  # reference point over the worst of the first generation, for objectives without a limit
LowerBound = Callable[[Architecture], Measurement]


def search(
    study: Study,
    run_folder: Path,
    *,
    workers: int | None = None,
    listener: Listener | None = None,
    evaluation: str = EVALUATION,
) -> Run:
    """Search, or continue the search, of ``study`` in ``run_folder``; the run as it is at the end.

    The result depends on the study alone: not on ``workers``, the order in which candidates end, or interruptions.
    Raises RunError when the folder cannot be used, SearchInterrupted after Ctrl-C, TargetError when no candidate
    keeps the budgets; whatever was evaluated stays stored.
    """
    module = importlib.import_module(evaluation)
    task: Task = module.describe(study)
    study_constraints(study, task)  # a budget that makes no sense leaves no run behind
    factory = partial(make_handler, evaluation, study, run_folder)
    with (
        open_for_search(run_folder, study, task) as store,
        Jobs(workers or default_workers(), factory, candidate_seconds(study, task), listener or Listener()) as jobs,
    ):
        loop = _Loop(study, task, module.lower_bound, store, jobs)
        try:
            loop.explore()
            loop.finalize()
        except SearchInterrupted:
            done = len(loop.archive)
            raise SearchInterrupted(
                f"stopped by Ctrl-C; {done} candidates are stored in {run_folder}; the same command continues there"
            ) from None
        run = snapshot(run_folder, store)
    _require_front(run)
    return run


class _Loop:
    """The state of one search between its stages."""

    def __init__(self, study: Study, task: Task, bound: LowerBound, store: Store, jobs: Jobs) -> None:
        self.study, self.task, self.bound, self.store, self.jobs = study, task, bound, store, jobs
        self.listener = jobs.listener
        self.clock = study.target.clock_mhz
        self.constraints = study_constraints(study, task)
        self.archive = {record.digest: record for record in store.records()}
        self.space = searched_space(study, task.inputs, task.outputs)
        chosen = study.search
        sizes = (len(chosen.objectives), len(self.constraints), chosen.population, chosen.generations)
        self.algorithm = ALGORITHMS[chosen.algorithm](self.space, Settings(*sizes, study.study.seed))
        self.stopping = Stopping(study, store)

    def explore(self) -> None:
        """All generations; those already in the store are replayed."""
        settings = self.study.search
        self.listener.begun(min(settings.population * settings.generations, self.space.size()), len(self.archive))
        for number in range(settings.generations):
            genomes = self.algorithm.ask()
            if not genomes:
                self.listener.message(f"all {len(self.archive)} candidates of the space are evaluated")
                return
            asked = [self.space.decode(genome) for genome in genomes]
            self._evaluate(number, asked)
            self.algorithm.tell([self._told(self.archive[architecture.digest()]) for architecture in asked])
            self._close_generation(number)
            reason = self.stopping.after(number, self._ordered(number))
            if reason is not None:
                self.listener.message(f"stopped after generation {number + 1}: {reason}")
                return

    def _evaluate(self, generation: int, asked: Sequence[Architecture]) -> None:
        """Bring every architecture into the archive, with as little work as possible."""
        places = {architecture.digest(): index for index, architecture in enumerate(asked)}
        jobs: dict[str, EvaluateJob | FinalizeJob] = {}
        for architecture in asked:
            digest = architecture.digest()
            if digest in self.archive:
                continue
            self.jobs.check()
            bound = self.bound(architecture)
            over = violations(self.constraints, bound, self.clock, partial=True)
            if max(over.values(), default=0.0) > 0:
                record = Record(architecture, "infeasible", "estimated before training", measurement=bound)
                self._keep(self._judged(record, "structural lower bound: "), generation, places[digest])
            else:
                jobs[digest] = EvaluateJob(architecture)

        def on_outcome(outcome: Outcome) -> None:
            job = jobs[outcome.key]
            assert isinstance(job, EvaluateJob)
            record = outcome.result
            if record is None:
                seconds = {"total": outcome.seconds}
                record = Record(job.architecture, "failed", outcome.reason, outcome.log, seconds=seconds)
            assert record.digest == outcome.key, "the evaluator answered for another architecture"
            self._keep(self._judged(record), generation, places[outcome.key])

        self.jobs.run(jobs, on_outcome)

    def _judged(self, record: Record, prefix: str = "") -> Record:
        """The record with the status that its figures deserve."""
        if record.status == "failed":
            return record
        if record.status == "ok" and (lacking := self._lacking(record)):
            return replace(record, status="failed", reason=f"not measured, or no number: {', '.join(lacking)}")
        missed = misses(self.constraints, record, self.clock)
        if not missed:
            return record
        return replace(record, status="infeasible", reason=prefix + "; ".join(miss.words() for miss in missed))

    def _lacking(self, record: Record) -> list[str]:
        """Figures without which a record cannot be compared."""
        needed = [OBJECTIVES[name].figure for name in self.study.search.objectives]
        needed += [limit.figure for limit in self.constraints]
        figures = record.measurement.figures if record.measurement else {}
        return sorted({name for name in needed if name not in figures or not math.isfinite(figures[name].value)})

    def _keep(self, record: Record, generation: int, index: int) -> None:
        record = replace(record, generation=generation, index=index)
        self.store.put(record)
        self.archive[record.digest] = record
        self.listener.candidate(record)

    def _point(self, record: Record) -> Point | None:
        if record.measurement is None:
            return None
        try:
            return values(self.study.search.objectives, record.measurement, self.clock)
        except KeyError:
            return None

    def _told(self, record: Record) -> Told:
        if record.status == "failed" or record.measurement is None:
            return failed(len(self.constraints))
        known = violations(self.constraints, record.measurement, self.clock, partial=record.status == "infeasible")
        told = Told(self._point(record), tuple(known.get(limit.key, 0.0) for limit in self.constraints))
        if record.status == "infeasible" and max(told.violations) <= 0:
            return failed(len(self.constraints))  # infeasible for a reason that no budget expresses
        return told

    def _close_generation(self, number: int) -> None:
        records = self._ordered(number)
        reference = self._reference(records)
        front = archive_front(self.study, records, {})
        points = [values(self.study.search.objectives, _measured(record), self.clock) for record in front]
        volume = hypervolume(points, reference) if reference is not None else 0.0
        summary = {"number": number, "candidates": len(records), "front": len(front), "hypervolume": volume}
        self.store.put_generation(number, summary)
        self.listener.generation(number, len(front), volume)

    def _ordered(self, last: int) -> tuple[Record, ...]:
        """The archive up to a generation, in the order asked, so that nothing depends on who ended first."""
        records = (record for record in self.archive.values() if record.generation <= last)
        return tuple(sorted(records, key=lambda record: (record.generation, record.index)))

    def _reference(self, records: Sequence[Record]) -> Point | None:
        """The hypervolume's reference point, fixed by the first generation with a measured candidate.

        Error: the majority class's. Limited objectives: the limit. Others: 1.1 times the worst measured so far.
        """
        stored = self.store.meta("reference")
        if stored is not None:
            return tuple(stored)
        measured = [record for record in records if record.measurement and "val_error" in record.measurement.figures]
        points = [point for record in measured if (point := self._point(record)) is not None]
        if not points:
            return None
        known = {limit.key: limit.limit for limit in self.constraints}
        known["error"] = self.task.majority_error
        if "latency_us" in known:
            known["latency"] = known["latency_us"]
        if "fps" in known:
            known["interval"] = 1e6 / known["fps"]
        worst = [_MARGIN * max(column) for column in zip(*points, strict=True)]
        reference = tuple(
            known.get(name, bad) or 1.0 for name, bad in zip(self.study.search.objectives, worst, strict=True)
        )
        self.store.set_meta("reference", reference)
        return reference

    def finalize(self) -> None:
        """Measure the front members further; one that fails leaves the front, which may bring others onto it."""
        while True:
            finals = self.store.finals()
            everyone = self._ordered(self.study.search.generations)
            missing = [record for record in archive_front(self.study, everyone, finals) if record.digest not in finals]
            if not missing:
                return
            self.jobs.check()
            self.listener.finalizing(len(missing))
            self.jobs.run({record.digest: FinalizeJob(record) for record in missing}, self._put_final)

    def _put_final(self, outcome: Outcome) -> None:
        final: Final | None = outcome.result
        if final is None:
            final = Final(outcome.key, None, outcome.reason, outcome.log, seconds={"total": outcome.seconds})
        self.store.put_final(final)
        if final.measurement is None:
            words = self.archive[outcome.key].architecture.words()
            self.listener.message(f"{words} leaves the front: {final.reason}")


def _measured(record: Record) -> Measurement:
    assert record.measurement is not None
    return record.measurement


def _require_front(run: Run) -> None:
    """Say why there is no front, when there is none."""
    if run.front:
        return
    show = f"see them with: {PROGRAM} show {run.folder.name}"
    nearest = nearest_miss(run.constraints, run.records, run.study.target.clock_mhz)
    counts = run.counts
    if nearest is not None and not counts["ok"] and counts["failed"] <= counts["infeasible"]:
        record, missed = nearest
        raise TargetError(
            f"none of {len(run.records)} candidates keeps every budget; {run.binding} binds most often. The best one, "
            f"{record.architecture.words()}, misses by: {'; '.join(miss.words() for miss in missed)}. "
            f"Raise the budget, restrict [space], or lower target.clock_mhz; all candidates are kept, {show}"
        )
    reasons = [record.reason for record in run.records if record.status == "failed"]
    reasons += [final.reason for final in run.finals.values() if final.measurement is None]
    if nearest is not None and not counts["ok"]:
        raise CodesignError(
            f"{counts['failed']} of {len(run.records)} candidates failed; the first reason: {reasons[0]}; the other "
            f"{counts['infeasible']} miss a budget, most often {run.binding}; {show}"
        )
    raise CodesignError(f"no candidate could be measured; the first of {len(reasons)} reasons: {reasons[0]}; {show}")
