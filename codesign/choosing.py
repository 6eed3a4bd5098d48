"""Who of all trained networks, in any hardware that the space has for them, becomes hardware next.

Hardware changes nothing of a network's error: one training serves every way to build it. So what is chosen among are
all pairs of a network that was trained in full, in this generation or before, and hardware that it was not built in.
Each has its error, and latency and resources that a surrogate predicts; those are taken that together promise most
hypervolume beyond what is measured. That is surrogate-assisted selection by hypervolume improvement (Emmerich et al.,
IEEE Trans. Evolutionary Computation 10(4), 2006), a batch at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from codesign.architecture import Architecture
from codesign.derived import counted
from codesign.judging import Judge
from codesign.measurement import Figure, Measurement
from codesign.predicting import Predictor, expected
from codesign.record import SHORT_ERROR, Record
from codesign.study import Study
from nas.indicators import Point, promising
from nas.objectives import OBJECTIVES, values
from nas.space import Space
from nas.surrogate import FIGURES

_INTERESTING = 0.25
"""Of the error of always guessing the same: a larger one is of no use, unless the best is not far below it. Without
this nearly all of the hypervolume would be that of any network that has learned something."""
_PREDICTED = {"val_error", "parameters", "bit_operations", *FIGURES}
"""Figures that are known of a trained network, or that the surrogate predicts."""


def chooses(study: Study) -> bool:
    """Whether a search chooses so: its networks are trained in full before, and all its objectives known or predicted.

    Otherwise rungs rank. A board measures other figures than those that are predicted.
    """
    whole = study.search.epochs in study.rungs.epochs
    known = all(OBJECTIVES[name].figure in _PREDICTED for name in study.search.objectives)
    return study.rungs.surrogate and whole and known and "error" in study.search.objectives and not study.board.hosts


class Chooser:
    """Chooses in one search."""

    def __init__(self, space: Space, judge: Judge) -> None:
        self._space, self._judge = space, judge
        self._ways: dict[Architecture, tuple[Architecture, ...]] = {}

    def choose(
        self,
        trained: Iterable[tuple[Architecture, Figure]],
        before: Mapping[str, Record],
        decided: Collection[str],
        predictor: Predictor,
        reference: Point,
        count: int,
    ) -> list[Architecture]:
        """Up to ``count`` candidates, the most promising first; fewer where no other promises anything.

        ``trained`` are networks, in any hardware, with their validation error; ``before``: what is known by digest;
        ``decided``: digests of others that are not free; ``reference``: the hypervolume's, of which that share of the
        error counts that is of interest. A candidate that may keep the budgets by the better end of its prediction
        counts as one that does. A network of which hardware failed and none was measured is left alone.
        """
        broken = {one.architecture.network_digest() for one in before.values() if one.status == "failed"}
        broken -= {one.architecture.network_digest() for one in before.values() if one.status in ("ok", "infeasible")}
        sound = [(network, error) for network, error in trained if network.network_digest() not in broken]
        errors = {way: error for network, error in sound for way in self._every_way(network)}
        taken = {digest for digest, one in before.items() if one.status != "dropped"}.union(decided)
        free = [way for way in errors if way.digest() not in taken]
        known = dict(zip(free, predictor.known(free), strict=True))
        free = [way for way in free if not self._judge.over(known[way])]
        supposed = [suppose(way, errors[way], known[way]) for way in free]
        measured = [one.measurement for one in before.values() if one.status == "ok" and one.measurement is not None]
        limits = self._limits(reference, min((error.value for _, error in sound), default=0.0))
        places = promising(self._points(supposed), self._points(measured), limits, count)
        return [free[place] for place in places]

    def _limits(self, reference: Point, least_error: float) -> Point:
        limits = dict(zip(self._judge.objectives, reference, strict=True))
        limits["error"] = min(limits["error"], max(_INTERESTING * limits["error"], 2 * least_error))
        return tuple(limits.values())

    def _points(self, measurements: Iterable[Measurement]) -> list[Point]:
        return [values(self._judge.objectives, one, self._judge.clock_mhz) for one in measurements]

    def _every_way(self, network: Architecture) -> tuple[Architecture, ...]:
        if network not in self._ways:  # not by the network's digest: where hardware starts from decides about its order
            self._ways[network] = self._space.ways(network)
        return self._ways[network]


def supposed_now(record: Record, predictor: Predictor) -> Record:
    """One that was passed over, with what is predicted of its hardware now; any other as it is."""
    figures = record.measurement.figures if record.measurement else {}
    if record.status != "dropped" or "val_error" not in figures:
        return record
    (known,) = predictor.known([record.architecture])
    short = Measurement({SHORT_ERROR: figures[SHORT_ERROR]})
    return replace(record, measurement=suppose(record.architecture, figures["val_error"], known).merged([short]))


def suppose(architecture: Architecture, error: Figure, known: Measurement) -> Measurement:
    """What hardware of a trained network is expected to measure: its error is known, all else is predicted."""
    return expected(known).merged([counted(architecture), Measurement({"val_error": error})])
