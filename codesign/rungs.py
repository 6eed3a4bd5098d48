"""Rungs: short trainings that decide which candidates of a generation are trained in full and become hardware.

Successive halving (Jamieson and Talwalkar, AISTATS 2016) within each generation: all candidates train for a few
epochs, the best share of them goes on, to longer trainings and at last to the full one and to hardware. The last rung
may be the full training, where hardware takes longer than that. A generation waits for all of
a rung, so who goes on depends on the study alone. A candidate that goes on is trained from the start again: that costs
the few epochs of the last rung, and its weights are those that it would have without rungs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from codesign.accuracy import error_words
from codesign.architecture import Architecture
from codesign.derived import counted
from codesign.jobs import Job, Jobs, TrialJob
from codesign.judging import Judge
from codesign.measurement import Measurement
from codesign.record import SHORT_ERROR, Record
from codesign.store import Store
from codesign.study import Study
from codesign.task import Task
from codesign.trial import Trial
from codesign.workers import Outcome
from nas.indicators import Point, ranked
from nas.objectives import ERRORS, OBJECTIVES

Known = Callable[[Architecture], Measurement]
"""What is known of a candidate before it becomes hardware."""


class Rungs:
    """The rungs of one search; without any, every candidate goes on.

    ``archive`` holds the search's records by digest.
    """

    def __init__(
        self,
        study: Study,
        task: Task,
        judge: Judge,
        store: Store,
        jobs: Jobs,
        archive: Mapping[str, Record],
        meanwhile: Callable[[], None],
    ) -> None:
        self._study, self._task, self._judge, self._store, self._jobs = study, task, judge, store, jobs
        self._archive, self._meanwhile = archive, meanwhile
        self._trials = {(trial.digest, trial.rung): trial for trial in store.trials()}

    def entered(self, digest: str) -> bool:
        """Whether a candidate's training on the first rung ended before."""
        return (digest, 1) in self._trials

    def climb(
        self,
        entrants: Sequence[Architecture],
        known: Known,
        before: Sequence[Record],
        keep: Callable[[Record], None],
    ) -> tuple[Sequence[Architecture], list[dict[str, Any]]]:
        """Who of ``entrants`` goes on, in their order, and what each rung came to.

        After a full training those come first that nothing measured in earlier generations (``before``) dominates; the
        errors of shorter trainings cannot be compared with it. ``keep`` stores the records of the others, which were
        dropped, failed or cannot fit, and adds them to the archive.
        """
        rungs = []
        for rung, epochs in enumerate(self._study.rungs.epochs, 1):
            self._train(entrants, rung, epochs, keep)
            ended = [one for one in entrants if (one.digest(), rung) in self._trials]
            rivals = before if epochs == self._study.search.epochs else ()
            order = self._order(ended, rung, {one: known(one) for one in ended}, rivals)
            count = math.ceil(round(self._study.rungs.share * len(order), 9))  # 0.28 of 25 are 7
            for place, one in enumerate(order[count:], count + 1):
                if one.digest() not in self._archive:
                    keep(self._dropped(one, rung, place, len(order), order[:count], known(one)))
            entrants = [one for one in ended if one in order[:count]]
            rungs.append({"epochs": epochs, "entered": len(order), "passed": count})
            self._jobs.listener.rung(rung, count, len(order))
        return entrants, rungs

    def _train(self, entrants: Sequence[Architecture], rung: int, epochs: int, keep: Callable[[Record], None]) -> None:
        """Bring every entrant's trial of the rung into the store; who fails or cannot fit is kept and has none."""
        missing = {one.digest(): one for one in entrants if (one.digest(), rung) not in self._trials}
        jobs: dict[str, Job] = {key: TrialJob(one, epochs) for key, one in missing.items() if key not in self._archive}

        def on_outcome(outcome: Outcome) -> None:
            if isinstance(outcome.result, Record):
                keep(self._judge.judged(outcome.result))
                return
            if outcome.result is None:
                seconds = {"total": outcome.seconds}
                keep(Record(missing[outcome.key], "failed", outcome.reason, outcome.log, seconds=seconds))
                return
            trial = Trial(outcome.key, missing[outcome.key].words(), rung, outcome.result, outcome.seconds)
            self._store.put_trial(trial)
            self._trials[outcome.key, rung] = trial
            self._jobs.listener.trial(trial, self._words(trial))

        self._jobs.run(jobs, on_outcome, self._meanwhile)

    def _order(
        self,
        ended: Sequence[Architecture],
        rung: int,
        known: Mapping[Architecture, Measurement],
        rivals: Sequence[Record],
    ) -> list[Architecture]:
        """Best first, among ``rivals`` that are measured; those that seem to miss a budget come last."""
        measured = [record.measurement for record in rivals if record.status == "ok" and record.measurement is not None]
        figures = {one: known[one].merged([counted(one)]) for one in ended}
        order = []
        for over in (False, True):
            some = [one for one in ended if self._judge.over(known[one]) is over]
            if some:
                costs = self._costs(figures[some[0]])
                points = [(self._trials[one.digest(), rung].error.value, *costs(figures[one])) for one in some]
                points += [(measurement.value("val_error"), *costs(measurement)) for measurement in measured]
                order += [some[place] for place in ranked(points) if place < len(some)]
        return order

    def _costs(self, known: Measurement) -> Callable[[Measurement], Point]:
        """The study's objectives beside errors, as far as they are among what is ``known``."""
        clock = self._study.target.clock_mhz
        chosen = [OBJECTIVES[name] for name in self._study.search.objectives if name not in ERRORS]
        chosen = [quantity for quantity in chosen if quantity.figure in known.figures]
        return lambda figures: tuple(quantity.value(figures, clock) for quantity in chosen)

    def _dropped(
        self,
        one: Architecture,
        rung: int,
        place: int,
        entered: int,
        ahead: Sequence[Architecture],
        known: Measurement,
    ) -> Record:
        """The record of the ``place``-th (from 1) of ``entered``, which ends here; ``ahead`` went on."""
        trials = [self._trials[other.digest(), rung] for other in ahead]
        own, best = self._trials[one.digest(), rung], min(trials, key=lambda trial: trial.error.value)
        epochs = self._study.rungs.epochs
        reason = (
            f"dropped at rung {rung}: validation error {self._words(own)} after {epochs[rung - 1]} epochs, place "
            f"{place} of {entered}; {len(ahead)} went on, the best with {self._words(best)}"
        )
        behind = len(epochs) - rung + place / entered  # of two, the one that came further is the better one
        details = {"rung": rung, "epochs": epochs[rung - 1], "place": place, "of": entered, "behind": behind}
        short = replace(own.error, details={**own.error.details, **details})
        measurement = known.merged([Measurement({SHORT_ERROR: short})])
        return Record(one, "dropped", reason, measurement=measurement, seconds={"training": own.seconds})

    def _words(self, trial: Trial) -> str:
        return error_words(trial.error, self._task.validation_samples)


def rung_words(generation: Mapping[str, Any]) -> list[str]:
    """What each rung of a generation's summary came to, e.g. ``rung 1: 8 of 16 went on``."""
    rungs = enumerate(generation.get("rungs", ()), 1)
    return [f"rung {number}: {rung['passed']} of {rung['entered']} went on" for number, rung in rungs]
