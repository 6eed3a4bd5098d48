"""The judge of ``bench search``: hypervolumes of measured fronts, ratios with intervals, correlations, throughput."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from codesign.derived import counted
from codesign.evaluate import lower_bound
from codesign.measurement import Provenance
from codesign.predicting import Predictor
from codesign.record import Record
from codesign.run import Run
from nas.indicators import Point, front, hypervolume

OBJECTIVES = ("error", "latency", "lut")
CHALLENGERS = ("ours", "no_surrogate")
"""Those that measure in the loop: the one with the surrogate, and the one without that the default study is."""
CONFIDENCE = 0.95
RESAMPLES = 9999
FIGURES = ("lut", "latency_cycles")
ESTIMATES = ("parameters", "bit_operations", "structural_estimate", "surrogate")
FOLDS, MOST = 5, 150
"""Parts of the candidates for the surrogate, and how many it is fitted to at most: about what one search measures."""
GROUPS = ("all", "parallel", "folded")
Turns = Mapping[str, Sequence[Sequence[Run]]]
"""By contender, for each seed its runs: first the one whose hardware is judged, then those of earlier phases."""


def report(found: Turns, seconds: float) -> dict[str, Any]:
    """All figures of the benchmark; see docs/json.md."""
    reference = reference_point(next(iter(found.values()))[0][0])
    contenders = {name: contender(turns, reference, seconds) for name, turns in found.items()}
    volumes = {name: values["hypervolume"] for name, values in contenders.items()}
    by_challenger = {name: ratios(name, volumes) for name in CHALLENGERS if name in volumes}
    ours = by_challenger.get("ours", {})
    return {
        "hypervolume_ratio": {name: values["median"] for name, values in ours.items()},
        "hypervolume_ratios": by_challenger,
        "reference": dict(zip(OBJECTIVES, reference, strict=True)),
        "contenders": contenders,
        "correlation": correlations(found),
    }


def reference_point(run: Run) -> Point:
    """One for all, of the first run's data and budgets alone.

    Of the error of always giving the most frequent class a quarter: that error itself would make nearly the whole box
    count for any network that has learned something.
    """
    limits = {limit.key: limit.limit for limit in run.constraints}
    return run.task.majority_error / 4, limits["latency_us"], limits["lut"]


def contender(turns: Sequence[Sequence[Run]], reference: Point, seconds: float) -> dict[str, Any]:
    """What one contender found and did, seed by seed."""
    points = [measured_points(runs) for runs in turns]
    decided = [len({record.digest for run in runs for record in run.records}) for runs in turns]
    built = [sum(is_measured(record) for run in runs for record in run.records) for runs in turns]
    return {
        "hypervolume": [hypervolume(found, reference) for found in points],
        "front": [[found[place] for place in front(found)] for found in points],
        "decided": decided,
        "synthesized": built,
        "decided_per_hour": median(decided) * 3600.0 / seconds,
        "synthesized_per_hour": median(built) * 3600.0 / seconds,
    }


def measured_points(runs: Sequence[Run]) -> list[Point]:
    """Objectives of all that keep the budgets by measurement, whichever phase measured them."""
    records = ((run, record) for run in runs for record in run.records if record.status == "ok" and is_measured(record))
    return [run.objectives(record) for run, record in records if run.study.search.objectives == OBJECTIVES]


def is_measured(record: Record) -> bool:
    """Whether hardware was made of a candidate, synthesized and simulated, and not supposed."""
    figures = record.measurement.figures if record.measurement is not None else {}
    return "lut" in figures and figures["lut"].provenance is Provenance.SYNTHESIZED


def ratios(challenger: str, volumes: Mapping[str, Sequence[float]]) -> dict[str, dict[str, Any]]:
    """The challenger's hypervolume over each other contender's of the same seed."""
    found = {}
    for name, others in volumes.items():
        if name in CHALLENGERS and (name == challenger or challenger != "ours"):
            continue
        pairs = zip(volumes[challenger], others, strict=True)
        each = [ours / theirs for ours, theirs in pairs if theirs > 0]
        whole = len(each) == len(others)  # nothing is a multiple of nothing: no median without the worst
        found[name] = {
            "median": median(each) if whole else None,
            "interval": interval(each) if whole else None,
            "seeds": each,
        }
    return found


def interval(values: Sequence[float]) -> list[float] | None:
    """Of their median: the bootstrap over seeds, percentiles; None of one seed, which says nothing of others."""
    import numpy as np
    from scipy.stats import bootstrap

    if len(values) < 2:
        return None
    if len(set(values)) == 1:
        return [values[0], values[0]]
    found = bootstrap(
        (values,), np.median, n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method="percentile", rng=1
    ).confidence_interval
    return [float(found.low), float(found.high)]


def correlations(found: Turns) -> dict[str, Any]:
    """Kendall's tau-b of what is known before synthesis with what was measured, over all stored candidates.

    By ``all``, ``parallel`` and ``folded`` candidates, measured figure, and what it is held against. A candidate that
    was measured several times counts once: the surrogate must not have seen what it predicts.
    """
    designs = {
        record.digest: record
        for turns in found.values()
        for runs in turns
        for run in runs
        for record in run.records
        if record.status in ("ok", "infeasible") and is_measured(record)
    }
    records = list(designs.values())
    predicted = surrogate(records)
    known = [_known(record) | {"surrogate": one} for record, one in zip(records, predicted, strict=True)]
    groups: dict[str, Any] = {}
    for group in GROUPS:
        some = [place for place, one in enumerate(records) if group in ("all", one.architecture.hardware.mode)]
        groups[group] = {"candidates": len(some)}
        for figure in FIGURES:
            measured = [one.value(figure) for place in some if (one := records[place].measurement) is not None]
            groups[group][figure] = {
                name: tau([known[place][name][figure] for place in some], measured) for name in ESTIMATES
            }
    return groups


def _known(record: Record) -> dict[str, Mapping[str, float]]:
    counts, bound = counted(record.architecture), lower_bound(record.architecture)
    both = {name: dict.fromkeys(FIGURES, counts.value(name)) for name in ("parameters", "bit_operations")}
    return {**both, "structural_estimate": {figure: bound.value(figure) for figure in FIGURES}}


def surrogate(records: Sequence[Record]) -> list[Mapping[str, float]]:
    """What the search's surrogate says of each: fitted to some of the other four of five parts, drawn once."""
    import numpy as np

    found: list[Mapping[str, float]] = [{} for _ in records]
    order = np.random.default_rng(1).permutation(len(records)).tolist()
    for part in range(FOLDS):
        unseen = order[part::FOLDS]
        seen = [place for place in order if place not in unseen][:MOST]
        predictor = Predictor(lower_bound, [records[place] for place in seen])
        for place in unseen:
            figures = predictor.known([records[place].architecture])[0].figures
            found[place] = {name: figures[name].details.get("predicted", figures[name].value) for name in FIGURES}
    return found


def tau(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Kendall's tau-b; None where one of the two says the same of all."""
    from scipy.stats import kendalltau

    if len(set(first)) < 2 or len(set(second)) < 2:
        return None
    return float(kendalltau(first, second).statistic)


def table(values: Mapping[str, Any]) -> str:
    """The figures for people: what each contender came to, then how the two that measure in the loop compare."""
    lines = [
        f"{'contender':15s} {'hypervolume':>12s} {'decided':>8s} {'synthesized':>12s}   (medians; the latter per hour)"
    ]
    for name, one in values["contenders"].items():
        rates = f"{one['decided_per_hour']:8.0f} {one['synthesized_per_hour']:12.0f}"
        lines.append(f"{name:15s} {median(one['hypervolume']):12.4f} {rates}")
    for challenger, others in values["hypervolume_ratios"].items():
        for name, one in others.items():
            if one["median"] is not None:
                spread = "one seed" if one["interval"] is None else "95 %: {:.3f} to {:.3f}".format(*one["interval"])
                lines.append(f"{challenger} / {name}: {one['median']:.3f} ({spread})")
    return "\n".join(lines)
