"""What a search's surrogate says of candidates that have no hardware yet, and how far it was off.

It is fitted anew for each generation, on candidates measured in earlier ones: so it is the same in a search that is
continued, and its errors are always those on candidates that it had not seen.
"""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from codesign.architecture import Architecture
from codesign.derived import counted
from codesign.measurement import Figure, Measurement, Provenance
from codesign.record import Record
from nas.surrogate import FEWEST, FIGURES, Candidate, Surrogate

_UNITS = {"lut": "LUT", "ff": "FF", "fmax": "MHz", "latency_cycles": "cycles"}
_HIGHER = ("fmax",)  # where more is better


class Predictor:
    """The surrogate of one generation; ``bound`` gives what structure alone says.

    Without enough candidates that were measured before it knows no more than ``bound``.
    """

    def __init__(self, bound: Callable[[Architecture], Measurement], before: Iterable[Record]) -> None:
        measured = [record for record in before if _is_measured(record)]
        self._bound, self._fitted_to = bound, len(measured)
        self._surrogate: Surrogate | None = None
        if len(measured) >= FEWEST:
            figures = [record.measurement for record in measured if record.measurement is not None]
            self._surrogate = Surrogate([self._candidate(record.architecture) for record in measured], figures)

    def known(self, architecture: Architecture) -> Measurement:
        """The lower bound, and the predicted figures at the better end of their uncertainty.

        So a candidate of which little is known is not dropped for what may be a wrong prediction.
        """
        bound = self._bound(architecture)
        if self._surrogate is None:
            return bound
        figures = dict(bound.figures)
        version = importlib.metadata.version("scikit-learn")
        for name, found in self._surrogate.predict(self._candidate(architecture)).items():
            better = found.value * math.exp(found.deviation if name in _HIGHER else -found.deviation)
            details = {"predicted": found.value, "deviation": found.deviation, "fitted_to": self._fitted_to}
            least = figures[name].value if name in figures else 0.0
            figure = Figure(better, _UNITS[name], Provenance.ESTIMATED, "surrogate of scikit-learn", version, details)
            figures[name] = replace(figure, value=max(better, least))
        return Measurement(figures)

    def errors(self, records: Iterable[Record]) -> dict[str, Any]:
        """Relative errors by figure on the measured of ``records``, none of which it was fitted to."""
        if self._surrogate is None:
            return {}
        errors: dict[str, list[float]] = {name: [] for name in FIGURES}
        for record in records:
            if _is_measured(record) and record.measurement is not None:
                for name, found in self._surrogate.predict(self._candidate(record.architecture)).items():
                    actual = record.measurement.value(name)
                    errors[name].append(abs(found.value - actual) / max(actual, 1.0))
        return {"fitted_to": self._fitted_to, "errors": errors}

    def _candidate(self, architecture: Architecture) -> Candidate:
        return Candidate(architecture, self._bound(architecture).merged([counted(architecture)]))


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
    count = f"{next(iter(found.values()))['candidates']:.0f}"
    return [f"surrogate, error on {count} candidates it had not seen, median (90th percentile): {', '.join(words)}"]
