"""What a search's surrogate says of candidates that have no hardware yet, and how far it was off.

It is fitted anew for each generation, on candidates measured in earlier ones: so it is the same in a search that is
continued, and its errors are always those on candidates that it had not seen.
"""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from codesign.architecture import Architecture
from codesign.counting import number_of
from codesign.derived import counted
from codesign.measurement import Figure, Measurement, Provenance
from codesign.record import Record
from nas.objectives import Quantity
from nas.surrogate import FEWEST, FIGURES, Candidate, Prediction, Surrogate

_UNITS = {"lut": "LUT", "ff": "FF", "fmax": "MHz", "latency_cycles": "cycles"}
_HIGHER = ("fmax",)  # where more is better


class Predictor:
    """The surrogate of one generation; ``bound`` gives what structure alone says.

    Without enough candidates that were measured before it knows no more than ``bound``.
    """

    def __init__(self, bound: Callable[[Architecture], Measurement], before: Iterable[Record]) -> None:
        self._bound, self._measured = bound, [record for record in before if _is_measured(record)]

    @cached_property
    def _surrogate(self) -> Surrogate | None:
        """Fitted when it is first asked: in a generation that is replayed it may not be."""
        if self.lacking:
            return None
        figures = [record.measurement for record in self._measured if record.measurement is not None]
        return Surrogate([self._candidate(record.architecture) for record in self._measured], figures)

    @property
    def lacking(self) -> int:
        """How many measured candidates it still needs before it predicts."""
        return max(0, FEWEST - len(self._measured))

    def known(self, architectures: Sequence[Architecture]) -> list[Measurement]:
        """Of each the lower bound, and the predicted figures at the better end of their uncertainty.

        So a candidate of which little is known is not dropped for what may be a wrong prediction.
        """
        bounds = [self._bound(architecture) for architecture in architectures]
        if self._surrogate is None:
            return bounds
        predictions = self._surrogate.predict([self._candidate(architecture) for architecture in architectures])
        return [self._merged(*one) for one in zip(bounds, predictions, strict=True)]

    def _merged(self, bound: Measurement, predictions: Mapping[str, Prediction]) -> Measurement:
        figures = dict(bound.figures)
        version = importlib.metadata.version("scikit-learn")
        for name, found in predictions.items():
            better = found.value * math.exp(found.deviation if name in _HIGHER else -found.deviation)
            details = {"predicted": found.value, "deviation": found.deviation, "fitted_to": len(self._measured)}
            least = figures[name].value if name in figures else 0.0
            figure = Figure(better, _UNITS[name], Provenance.ESTIMATED, "surrogate of scikit-learn", version, details)
            figures[name] = replace(figure, value=max(better, least))
        return Measurement(figures)

    def errors(self, records: Iterable[Record]) -> dict[str, Any]:
        """Relative errors by figure on the measured of ``records``, none of which it was fitted to."""
        if self._surrogate is None:
            return {}
        errors: dict[str, list[float]] = {name: [] for name in FIGURES}
        measured = [record for record in records if _is_measured(record)]
        found = self._surrogate.predict([self._candidate(record.architecture) for record in measured])
        for record, predictions in zip(measured, found, strict=True):
            assert record.measurement is not None
            for name, prediction in predictions.items():
                actual = record.measurement.value(name)
                errors[name].append(abs(prediction.value - actual) / max(actual, 1.0))
        return {"fitted_to": len(self._measured), "errors": errors}

    def _candidate(self, architecture: Architecture) -> Candidate:
        return Candidate(architecture, self._bound(architecture).merged([counted(architecture)]))


def is_predicted(figure: Figure) -> bool:
    """Whether an estimated figure is a surrogate's; any other is a bound that structure alone gives."""
    return "predicted" in figure.details


def cost_words(cost: Quantity, known: Measurement, clock_mhz: float) -> str:
    """A cost as far as it is ``known``, for reading; estimates have digits that say nothing."""
    value, figure = cost.value(known, clock_mhz), known.figures[cost.figure]
    whole = figure.provenance is Provenance.ESTIMATED and not cost.cycles
    return cost.words(round(value) if whole else value)


def uncertainty(figure: Figure) -> str:
    """Within what factor a predicted figure should be right in about two of three cases."""
    return f"within a factor of {math.exp(figure.details['deviation']):.2f}"


def expected(known: Measurement) -> Measurement:
    """What :meth:`Predictor.known` gave, with the predictions themselves, never below what structure rules out."""
    figures = dict(known.figures)
    for name, figure in figures.items():
        if is_predicted(figure):
            predicted = float(figure.details["predicted"])
            figures[name] = replace(figure, value=predicted if name in _HIGHER else max(predicted, figure.value))
    return Measurement(figures)


def _is_measured(record: Record) -> bool:
    figures = record.measurement.figures if record.measurement else {}
    return record.status in ("ok", "infeasible") and {"val_error", *FIGURES} <= figures.keys()


def surrogate_errors(generations: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """By figure: ``median`` and ``p90`` of the relative errors in all generations, and of how many ``candidates``."""
    if not any(summary.get("surrogate") for summary in generations):
        return {}
    import numpy as np  # only here: `codesign show` starts without it

    found: dict[str, dict[str, float]] = {}
    for name in FIGURES:
        errors = [
            error for summary in generations for error in summary.get("surrogate", {}).get("errors", {}).get(name, ())
        ]
        if errors:
            median, p90 = (float(np.quantile(errors, share)) for share in (0.5, 0.9))
            found[name] = {"median": median, "p90": p90, "candidates": len(errors)}
    return found


def surrogate_line(generations: Sequence[Mapping[str, Any]]) -> list[str]:
    """The errors on one line, if there are any."""
    found = surrogate_errors(generations)
    if not found:
        return []
    words = [f"{name} {100 * one['median']:.1f} % ({100 * one['p90']:.1f} %)" for name, one in found.items()]
    count = number_of(next(iter(found.values()))["candidates"], "candidate")
    return [f"surrogate, error on {count} it had not seen, median (90th percentile): {', '.join(words)}"]
