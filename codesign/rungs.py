"""Rungs: short trainings that decide which candidates of a generation are trained in full and become hardware.

Successive halving (Jamieson and Talwalkar, AISTATS 2016) within each generation: all candidates train for a few
epochs, the best share of them goes on, to longer trainings and at last to the full one and to hardware. A generation
waits for all of a rung, so who goes on depends on the study alone. A candidate that goes on is trained from the start
again: that costs the few epochs of the last rung, and its weights are those that it would have without rungs. The last
rung may be the full training, where hardware takes longer than that: its networks are kept, and none is trained twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from codesign.accuracy import error_words
from codesign.architecture import Architecture
from codesign.choosing import suppose
from codesign.counting import number_of
from codesign.derived import counted
from codesign.jobs import Job, Jobs, TrialJob
from codesign.judging import Judge
from codesign.measurement import Figure, Measurement, Provenance
from codesign.predicting import cost_words, is_predicted, uncertainty
from codesign.record import SHORT_ERROR, Record
from codesign.store import Store
from codesign.study import Study
from codesign.task import Task
from codesign.trial import Trial
from codesign.workers import Outcome
from nas.indicators import ranked
from nas.objectives import ERRORS, OBJECTIVES, Quantity

Known = Callable[[Sequence[Architecture]], Sequence[Measurement]]
"""What is known of candidates before they become hardware."""
Choose = Callable[[Sequence[Architecture], int], Sequence[Architecture] | None]
"""Which of all trained networks, in which hardware, go on, given those of a generation and how many: see
:mod:`codesign.choosing`. None where nothing can be predicted yet."""


class Rungs:
    """The rungs of one search; without any, every candidate goes on.

    ``archive`` holds the search's records by digest, ``networks`` the artefacts of networks that were trained in full,
    by the digest of the network; those that are trained here are added.
    """

    def __init__(
        self,
        study: Study,
        task: Task,
        judge: Judge,
        store: Store,
        jobs: Jobs,
        archive: Mapping[str, Record],
        networks: dict[str, Mapping[str, str]],
        meanwhile: Callable[[], None],
    ) -> None:
        self._study, self._task, self._judge, self._store, self._jobs = study, task, judge, store, jobs
        self._archive, self._networks, self._meanwhile = archive, networks, meanwhile
        self._trials = {(trial.digest, trial.rung): trial for trial in store.trials()}
        networks |= {trial.network: trial.artefacts for trial in self._trials.values() if trial.artefacts}

    def entered(self, digest: str) -> bool:
        """Whether a candidate's training on the first rung ended before."""
        return (digest, 1) in self._trials

    def trained(self, entrants: Sequence[Architecture]) -> list[tuple[Architecture, Figure]]:
        """Every network that was trained in full on the last rung, with its error, by digest."""
        rung = len(self._study.rungs.epochs)
        known = {record.digest: record.architecture for record in self._archive.values()}
        known |= {one.digest(): one for one in entrants}
        found = [(digest, one) for digest, one in sorted(known.items()) if (digest, rung) in self._trials]
        return [(one, self._trials[digest, rung].error) for digest, one in found]

    def climb(
        self,
        entrants: Sequence[Architecture],
        known: Known,
        choose: Choose,
        fewest: int,
        keep: Callable[[Record], None],
    ) -> tuple[Sequence[Architecture], list[dict[str, Any]]]:
        """Who goes on, and what each rung came to.

        After a full training with a surrogate it is ``choose`` that says who, and others than ``entrants`` may be
        among them; where it cannot say, at least the ``fewest`` first go on. ``keep`` stores the records of those who
        were dropped, failed or cannot fit, and adds them to the archive.
        """
        rungs = []
        for rung, epochs in enumerate(self._study.rungs.epochs, 1):
            self._train(entrants, rung, epochs, keep)
            ended = [one for one in entrants if (one.digest(), rung) in self._trials]
            figures = dict(zip(ended, known(ended), strict=True))
            order = self._order(ended, rung, figures)
            count = math.ceil(round(self._study.rungs.share * len(order), 9))  # 0.28 of 25 are 7
            whole = epochs == self._study.search.epochs
            chosen = choose(ended, count) if whole else None
            passed = order[: max(count, whole * fewest)] if chosen is None else chosen
            for place, one in enumerate(order, 1):
                if one not in passed and one.digest() not in self._archive:
                    ahead = passed if chosen is None else None
                    keep(self._dropped(one, rung, (place, len(order)), ahead, figures[one]))
            others = len(set(passed) - set(ended))
            rungs.append({"epochs": epochs, "entered": len(order), "passed": len(passed) - others, "others": others})
            self._jobs.listener.rung(rung, len(passed) - others, len(order), others)
            entrants = passed
        return entrants, rungs

    def _train(self, entrants: Sequence[Architecture], rung: int, epochs: int, keep: Callable[[Record], None]) -> None:
        """Bring every entrant's trial of the rung into the store; who fails or cannot fit is kept and has none."""
        missing = {one.digest(): one for one in entrants if (one.digest(), rung) not in self._trials}
        whole = epochs == self._study.search.epochs
        networks = self._networks if whole else {}
        jobs: dict[str, Job] = {
            key: TrialJob(one, epochs, networks.get(one.network_digest(), {}))
            for key, one in missing.items()
            if key not in self._archive
        }

        def on_outcome(outcome: Outcome) -> None:
            if isinstance(outcome.result, Record):
                keep(self._judge.judged(outcome.result))
                return
            if outcome.result is None:
                seconds = {"total": outcome.seconds}
                keep(Record(missing[outcome.key], "failed", outcome.reason, outcome.log, seconds=seconds))
                return
            one, trained = missing[outcome.key], outcome.result
            artefacts, network = trained.artefacts, one.network_digest()
            trial = Trial(outcome.key, one.words(), rung, trained.error, outcome.seconds, artefacts, network)
            self._store.put_trial(trial)
            self._trials[outcome.key, rung] = trial
            if artefacts:
                self._networks[network] = artefacts
            self._jobs.listener.trial(trial, self._words(trial))

        self._jobs.run(jobs, on_outcome, self._meanwhile)

    def _order(
        self, ended: Sequence[Architecture], rung: int, known: Mapping[Architecture, Measurement]
    ) -> list[Architecture]:
        """Best first; those that seem to miss a budget come last."""
        figures = {one: known[one].merged([counted(one)]) for one in ended}
        clock = self._study.target.clock_mhz
        order = []
        for over in (False, True):
            some = [one for one in ended if self._judge.over(known[one]) is over]
            if some:
                costs = self._costs(figures[some[0]])
                points = [
                    (self._trials[one.digest(), rung].error.value, *(cost.value(figures[one], clock) for cost in costs))
                    for one in some
                ]
                order += [some[place] for place in ranked(points)]
        return order

    def _costs(self, known: Measurement) -> list[Quantity]:
        """The study's objectives beside errors, as far as they are among what is ``known``."""
        chosen = [OBJECTIVES[name] for name in self._study.search.objectives if name not in ERRORS]
        return [quantity for quantity in chosen if quantity.figure in known.figures]

    def _dropped(
        self,
        one: Architecture,
        rung: int,
        place: tuple[int, int],
        ahead: Sequence[Architecture] | None,
        known: Measurement,
    ) -> Record:
        """The record of one that ends here, at its ``place`` (from 1) of how many.

        ``ahead`` went on by their rank. Without them it was left for what is supposed of its hardware; that stands in
        the record beside the error of its full training.
        """
        own, epochs = self._trials[one.digest(), rung], self._study.rungs.epochs
        missed = self._judge.missed(known)
        why = [f"seems to miss {', '.join(missed)}"] if missed else []
        if ahead is None:
            known = suppose(one, own.error, known)
            costs = self._cost_words(known, at_best=False)
            why = why or ["adds less to the front than others"]
        else:
            costs = self._cost_words(known.merged([counted(one)]), at_best=True)
            least = min((self._trials[other.digest(), rung] for other in ahead), key=lambda trial: trial.error.value)
            why.append(f"place {place[0]} of {place[1]}")
            why.append(f"{len(ahead)} went on, their smallest error {self._words(least)}")
        error = f"validation error {self._words(own)} after {number_of(epochs[rung - 1], 'epoch')}"
        reason = f"dropped at rung {rung}: {', '.join((error, *costs))}; {'; '.join(why)}"
        behind = len(epochs) - rung + place[0] / place[1]  # of two, the one that came further is the better one
        details = {"rung": rung, "epochs": epochs[rung - 1], "place": place[0], "of": place[1], "behind": behind}
        short = replace(own.error, details={**own.error.details, **details})
        measurement = known.merged([Measurement({SHORT_ERROR: short})])
        return Record(one, "dropped", reason, measurement=measurement, seconds={"training": own.seconds})

    def _cost_words(self, known: Measurement, *, at_best: bool) -> list[str]:
        """What beside its error decided about one: ``lut at least 412 LUT``, or predicted, where so ``at_best``."""
        words = []
        for cost in self._costs(known):
            value, figure = cost_words(cost, known, self._study.target.clock_mhz), known.figures[cost.figure]
            how = after = ""
            if is_predicted(figure):
                how, after = ("predicted at best ", "") if at_best else ("predicted ", f" ({uncertainty(figure)})")
            elif figure.provenance is Provenance.ESTIMATED:
                how = "at least "
            words.append(f"{cost.name} {how}{value} {cost.unit}".rstrip() + after)
        return words

    def _words(self, trial: Trial) -> str:
        return error_words(trial.error, self._task.validation_samples)


def rung_words(generation: Mapping[str, Any]) -> list[str]:
    """What each rung of a generation's summary came to, e.g. ``rung 1: 8 of 16 went on``."""
    rungs = enumerate(generation.get("rungs", ()), 1)
    return [
        f"rung {number}: {rung['passed']} of {rung['entered']} went on{others_words(rung.get('others', 0))}"
        for number, rung in rungs
    ]


def others_words(others: int) -> str:
    """Of those who go on beside candidates of a rung."""
    return f", and {others} in other hardware or of earlier generations" if others else ""
