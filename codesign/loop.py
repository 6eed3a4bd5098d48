"""Search over measured candidates, every one stored the moment it ends."""

from __future__ import annotations

import functools
import importlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from codesign.architecture import Architecture
from codesign.board_loop.stage import Boards
from codesign.board_loop.tools import BoardTools, require_hosts
from codesign.choosing import Chooser, chooses, supposed_now
from codesign.counting import number_of
from codesign.crew import Crew
from codesign.errors import CodesignError
from codesign.jobs import (
    EvaluateJob,
    FinalizeJob,
    Jobs,
    SearchInterrupted,
    candidate_seconds,
    make_handler,
)
from codesign.judging import Judge
from codesign.kept_networks import network_in
from codesign.listener import Listener
from codesign.measurement import Measurement
from codesign.no_front import require_front
from codesign.predicting import Predictor
from codesign.record import Final, Record
from codesign.reference import reference_point
from codesign.replay import require_replay, require_timing
from codesign.retraining import Retrainings, reported, reported_finals
from codesign.run import Run, archive_front, open_for_search, snapshot, study_constraints
from codesign.rungs import Rungs
from codesign.searched_space import searched_space
from codesign.stopping import Stopping
from codesign.store import Store
from codesign.study import Study
from codesign.task import Task
from codesign.training_again import train_again
from codesign.workers import Outcome
from nas.algorithm import Settings, Told
from nas.algorithms import ALGORITHMS
from nas.indicators import Point, hypervolume
from nas.space import Genome, Space

EVALUATION = "codesign.evaluate"
"""The module that describes, bounds and evaluates candidates: see :class:`codesign.jobs.Evaluation`."""
LowerBound = Callable[[Architecture], Measurement]


def search(
    study: Study,
    run_folder: Path,
    *,
    workers: int | None = None,
    cluster: str | None = None,
    listener: Listener | None = None,
    evaluation: str = EVALUATION,
    board_tools: BoardTools | None = None,
) -> Run:
    """Search, or continue the search, of ``study`` in ``run_folder``; the run as it is at the end.

    The result depends on the study alone, and on what boards answer where it names some: not on ``workers`` or
    ``cluster`` (the address of a dask scheduler), the order in which candidates end, or interruptions. Raises RunError
    when the folder cannot be used, SearchInterrupted after Ctrl-C or SIGTERM, ToolMissingError without what a board of
    the study needs, TargetError for a board that is not the study's and when no candidate keeps the budgets; whatever
    was evaluated stays stored.
    """
    crew = Crew(workers, cluster)
    module = importlib.import_module(evaluation)
    task: Task = module.describe(study)
    constraints = study_constraints(study, task)  # a budget that makes no sense leaves no run behind
    space = searched_space(study, task.inputs, task.outputs, task.image)  # nor does a space without networks
    judge = Judge(study.search.objectives, constraints, study.target.clock_mhz)
    listener, board_tools = listener or Listener(), board_tools or BoardTools()
    require_hosts(study, task, board_tools, listener.message)
    factory = partial(make_handler, evaluation, study)
    with (
        open_for_search(run_folder, study, task) as store,
        Jobs(crew, factory, run_folder, candidate_seconds(study, task), listener) as jobs,
        Boards(study, run_folder, store, judge, board_tools, listener, jobs.check) as boards,
    ):
        loop = _Loop(study, task, space, judge, module.lower_bound, store, jobs, boards)
        try:
            loop.explore()
            loop.finalize()
        except CodesignError as error:
            stop = jobs.stop_behind(error)
            if not isinstance(stop, SearchInterrupted):
                raise
            done = number_of(len(loop.archive), "candidate")
            raise SearchInterrupted(
                f"{stop}; {done} stored in {run_folder}; the same command continues there", stop.exit_code
            ) from error
        run = snapshot(run_folder, store)
    require_front(run)
    return run


class _Loop:
    """The state of one search between its stages."""

    def __init__(
        self,
        study: Study,
        task: Task,
        space: Space,
        judge: Judge,
        bound: LowerBound,
        store: Store,
        jobs: Jobs,
        boards: Boards,
    ) -> None:
        self.study, self.task, self.space, self.judge = study, task, space, judge
        self.bound = functools.cache(bound)
        self.store, self.jobs, self.boards = store, jobs, boards
        self.listener = jobs.listener
        self.archive = boards.archive  # as it is stored; what is known of it now is in ``known``
        self.known = boards.known((), 0)
        chosen = study.search
        sizes = (len(chosen.objectives), len(judge.constraints), chosen.population, chosen.generations)
        self.algorithm = ALGORITHMS[chosen.algorithm](self.space, Settings(*sizes, study.study.seed))
        self.stopping = Stopping(study, store)
        self.closed = len(store.generations())  # before this search was continued
        self.retrainings = Retrainings.of(study.final.seeds, store.retrainings())
        self.predictor: Predictor | None = None
        self.networks: dict[str, Mapping[str, str]] = {}  # artefacts of those trained in full, by the network's digest
        for record in self.archive.values():
            self._remember(record)
        self.rungs = Rungs(study, task, judge, store, jobs, self.archive, self.networks, boards.collect)
        self.chooser = Chooser(space, judge)

    def explore(self) -> None:
        """All generations; those already in the store are replayed."""
        settings = self.study.search
        self.listener.begun(min(settings.population * settings.generations, self.space.size()), len(self.archive))
        for number in range(settings.generations):
            genomes = self.algorithm.ask()
            if not genomes:
                self.listener.message(f"the whole space is evaluated: {number_of(len(self.archive), 'candidate')}")
                return
            asked = [self.space.decode(genome) for genome in genomes]
            require_replay(self.store.path.parent, self.archive.values(), number, asked, settings.space)
            self.predictor = self._new_predictor(number)
            rungs = self._evaluate(number, asked)
            self.boards.settle()
            self.known = self.boards.known(tuple(self.archive.values()), number)
            told = partial(self._told, number)
            self.algorithm.revise(told)
            self.algorithm.tell([told(genome) for genome in genomes], self._others(number, len(set(asked))))
            self._close_generation(number, rungs)
            reason = self.stopping.after(number, self._ordered(number))
            if reason is not None:
                self.listener.message(f"stopped after generation {number + 1}: {reason}")
                return

    def _evaluate(self, generation: int, asked: Sequence[Architecture]) -> list[dict[str, Any]]:
        """Bring every architecture into the archive, with as little work as possible; what the rungs came to."""
        if generation >= self.closed:
            require_timing(self.store, self.archive.values())
        asked = list(dict.fromkeys(asked))  # genomes of a user's space may stand for one network
        places = {architecture.digest(): index for index, architecture in enumerate(asked)}
        entrants = []
        for architecture in asked:
            before = self.archive.get(architecture.digest())
            if before is not None:
                # the rungs of a generation that was interrupted are decided among all that were on them
                now = before.generation == generation and before.dropped is None
                if now and self.rungs.entered(before.digest):
                    entrants.append(architecture)
                continue
            self.jobs.check()
            bound = self.bound(architecture)
            # a correction may save a candidate from being left out, but not condemn it
            if self.judge.over(bound) and self.judge.over(self.known.corrections.applied(bound)):
                record = Record(architecture, "infeasible", "estimated before training", measurement=bound)
                self._keep(generation, places, self.judge.judged(record, "structural lower bound: "))
            else:
                entrants.append(architecture)
        if generation < self.closed:
            return []
        keep = partial(self._keep, generation, places)
        choose = partial(self._choose, generation, places)
        fewest = self.predictor.lacking if self.predictor else 0
        passed, rungs = self.rungs.climb(entrants, self._known, choose, fewest, keep)
        self._measure([one for one in passed if not self._is_done(generation, one)], keep)
        return rungs

    def _is_done(self, generation: int, architecture: Architecture) -> bool:
        """Whether nothing is left to do in ``generation`` for one that goes on: what was dropped before it may."""
        before = self.archive.get(architecture.digest())
        return before is not None and (before.status != "dropped" or before.generation == generation)

    def _known(self, architectures: Sequence[Architecture]) -> Sequence[Measurement]:
        """What is known of candidates without hardware."""
        return self.predictor.known(architectures) if self.predictor else [self.bound(one) for one in architectures]

    def _choose(
        self, generation: int, places: dict[str, int], entrants: Sequence[Architecture], count: int
    ) -> Sequence[Architecture] | None:
        """Of all networks that were trained in full those that promise most; None where that cannot be predicted.

        Others than ``entrants`` get ``places``.
        """
        reference = self.store.meta("reference")
        if self.predictor is None or self.predictor.lacking or reference is None or not chooses(self.study):
            return None
        before = {one.digest: one for one in self._before(generation)}
        decided = places.keys() - {one.digest() for one in entrants}
        trained = self.rungs.trained(entrants)
        chosen = self.chooser.choose(trained, before, decided, self.predictor, tuple(reference), count)
        for one in chosen:
            places.setdefault(one.digest(), len(places))
        return chosen

    def _new_predictor(self, generation: int) -> Predictor | None:
        """The surrogate for a generation; None where the study wants none."""
        if not self.study.rungs.surrogate:
            return None
        return Predictor(self.bound, self._before(generation))

    def _before(self, generation: int) -> list[Record]:
        """The records of earlier generations, in their order."""
        before = (record.as_of(generation - 1) for record in self.archive.values())
        return sorted(filter(None, before), key=lambda record: (record.generation, record.index))

    def _measure(self, candidates: Sequence[Architecture], keep: Callable[[Record], None]) -> None:
        """Train, build and measure candidates: those that seem largest first, so that no worker waits for them last."""
        candidates = sorted(candidates, key=self._size, reverse=True)
        architectures = {architecture.digest(): architecture for architecture in candidates}

        def on_outcome(outcome: Outcome) -> None:
            record = outcome.result
            if record is None:
                architecture, seconds = architectures[outcome.key], {"total": outcome.seconds}
                record = Record(architecture, "failed", outcome.reason, outcome.log, seconds=seconds)
            assert record.digest == outcome.key, "the evaluator answered for another architecture"
            keep(self.judge.judged(record))

        jobs = {
            key: EvaluateJob(architecture, self.networks.get(architecture.network_digest(), {}))
            for key, architecture in architectures.items()
        }
        self.jobs.run(jobs, on_outcome, self.boards.collect)

    def _size(self, architecture: Architecture) -> float:
        figures = self.bound(architecture).figures
        return figures["lut"].value if "lut" in figures else 0.0

    def _keep(self, generation: int, places: Mapping[str, int], record: Record) -> None:
        dropped = self.archive.get(record.digest)
        record = replace(record, generation=generation, index=places[record.digest], dropped=dropped)
        self.store.put(record)
        self.archive[record.digest] = record
        self._remember(record)
        self.listener.candidate(self.known.record(record))

    def _remember(self, record: Record) -> None:
        if network := network_in(record.artefacts):
            self.networks[record.architecture.network_digest()] = network

    def _told(self, generation: int, genome: Genome) -> Told:
        """Of a candidate as it was known once ``generation`` had ended; its surrogate says what else was supposed."""
        record = self.archive[self.space.decode(genome).digest()].as_of(generation)
        assert record is not None, "it was asked for, so it was decided"
        if self.predictor:
            record = supposed_now(record, self.predictor)
        return self.judge.told(self.known.record(record))

    def _others(self, generation: int, asked: int) -> dict[Genome, Told]:
        """Those measured in ``generation`` that nobody asked for: their places are behind the ``asked``."""
        others = {}
        for record in self._measured_in(generation):
            with suppress(ValueError):  # the describe of a user's space may not find every network again
                if record.index >= asked:
                    genome = self.space.encode(record.architecture)
                    others[genome] = self._told(generation, genome)
        return others

    def _close_generation(self, number: int, rungs: list[dict[str, Any]]) -> None:
        records = self._ordered(number)
        reference = self._reference(records)
        front = archive_front(self.study, records, {})
        points = [point for record in front if (point := self.judge.point(record)) is not None]
        volume = hypervolume(points, reference) if reference is not None else 0.0
        summary: dict[str, Any] = {
            "number": number,
            "candidates": len(records),
            "front": len(front),
            "hypervolume": volume,
        }
        if rungs:
            summary["rungs"] = rungs
        if number >= self.closed and self.predictor and (errors := self.predictor.errors(self._measured_in(number))):
            summary["surrogate"] = errors
        self.store.put_generation(number, summary)
        self.listener.generation(number, len(front), volume)
        if number + 1 < self.study.search.generations:
            self.boards.ask(number, records, front)

    def _ordered(self, last: int) -> tuple[Record, ...]:
        """The archive up to a generation as it is known, in the order asked: nothing depends on who ended first."""
        return self.known.records(self._before(last + 1))

    def _measured_in(self, generation: int) -> list[Record]:
        """A generation's records as they are stored, in the order asked."""
        records = (record for record in self.archive.values() if record.generation == generation)
        return sorted(records, key=lambda record: record.index)

    def _reference(self, records: Sequence[Record]) -> Point | None:
        """The hypervolume's reference point, fixed by the first generation with a measured candidate."""
        stored = self.store.meta("reference")
        if stored is not None:
            return tuple(stored)
        reference = reference_point(self.judge, self.task, records)
        if reference is not None:
            self.store.set_meta("reference", reference)
        return reference

    def finalize(self) -> None:
        """Measure the front members further, on the boards as well; what is found may bring others onto the front."""
        for generation in itertools.count(self.study.search.generations):
            self.boards.settle()
            self.known = self.boards.known(tuple(self.archive.values()), generation)
            front = self._final_front()
            if not self.boards.ask_last(generation, front):
                self.boards.conclude(front)
                return

    def _final_front(self) -> tuple[Record, ...]:
        """The front once all of its members were trained again, if the study says so, and passed the last measurement.

        One that fails or turns out worse may bring others onto it.
        """
        while True:
            searched = self._ordered(self.study.search.generations)
            retrained = self.retrainings.retrained(searched)
            finals = reported_finals(self.store.finals(), retrained)
            front = archive_front(self.study, reported(searched, retrained), finals)
            if train_again(front, self.retrainings, self.judge, self.store, self.jobs, self.boards.collect):
                continue
            missing = [record for record in front if record.digest not in finals]
            if not missing:
                return front
            self.jobs.check()
            self.listener.finalizing(len(missing))
            jobs = {record.digest: FinalizeJob(self.archive[record.digest]) for record in missing}
            self.jobs.run(jobs, self._put_final, self.boards.collect)

    def _put_final(self, outcome: Outcome) -> None:
        final: Final | None = outcome.result
        if final is None:
            final = Final(outcome.key, None, outcome.reason, outcome.log, seconds={"total": outcome.seconds})
        self.store.put_final(final)
        if final.measurement is None:
            words = self.archive[outcome.key].architecture.words()
            self.listener.message(f"{words} leaves the front: {final.reason}")
