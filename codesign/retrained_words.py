"""What came of trainings after the search, in words and as JSON."""

from __future__ import annotations

from statistics import median
from typing import Any

from codesign.accuracy import RMSE_UNIT, error_words
from codesign.counting import number_of
from codesign.measurement import Figure, Measurement
from codesign.record import Final, Record
from codesign.retraining import Retrained, Retraining
from codesign.run import Run
from nas.indicators import hypervolume


def training_lines(run: Run, digest: str) -> list[str]:
    """What a candidate was in the search and in each training after it, a line each."""
    one = run.retrained.get(digest)
    if one is None:
        return []
    lines = [f"in the search: {_figures(run, one.before, None)} (not reported)"]
    for training in one.trainings:
        mark = ", reported" if training is one.reported else ""
        lines.append(f"trained again, {training.number}{mark}: {outcome(run, training)}")
    return lines


def outcome(run: Run, training: Retraining) -> str:
    """Errors, LUTs and latency of one training; without them, why."""
    why = training.record.reason or (training.final.reason if training.final else "")
    return "; ".join(text for text in (_figures(run, training.record, training.final), why) if text)


def closing_lines(run: Run) -> list[str]:
    """How much the trainings differ, and what they made of the front."""
    if not run.retrained:
        return []
    members = [run.retrained[record.digest] for record in run.front if record.digest in run.retrained]
    widths = [errors[-1] - errors[0] for one in members if (errors := one.spread("test_error"))]
    seeds = run.study.final.seeds
    times = f"{number_of(len(run.retrained), 'network')}, {number_of(seeds, 'time')} each"
    lines = [f"trained again: {times}, {len(members)} on front"]
    if widths and seeds > 1:
        lines.append(f"test errors of one network differ by {_width(run, median(widths))} (median), at most "
                     f"{_width(run, max(widths))}")  # fmt: skip
    if run.reference is not None:
        points = [run.objectives(record) for record in run.front]
        lines.append(f"hypervolume of the front as trained again: {hypervolume(points, run.reference):.4f}")
    return lines


def again_note(run: Run) -> str:
    """Which figures a table has of networks that were trained again; empty where none was."""
    if not run.retrained:
        return ""
    note, seeds = "figures of networks trained again are of that training", run.study.final.seeds
    return f"{note}, of {seeds} the good one with the smallest validation error" if seeds > 1 else note


def spread_words(run: Run, one: Retrained, figure: str) -> str:
    """Least and largest value of a figure over the trainings; of an error in the unit in which errors are shown."""
    found = one.spread(figure)
    if not figure.endswith("_error"):
        return _range([f"{value:,.0f}" for value in found])
    if run.task.class_names:
        return _range([f"{100 * value:.1f}" for value in found], after=" %")
    return _range([f"{value:.3f}" for value in found], before="RMSE ")


def _range(values: list[str], before: str = "", after: str = "") -> str:
    """From the first to the last of ``values``, or the one that all of them are; empty without any."""
    return before + " to ".join(dict.fromkeys((values[0], values[-1]))) + after if values else ""


def retrained_json(one: Retrained) -> dict[str, Any]:
    """As plain JSON values; the keys are documented in docs/json.md."""
    return {
        "before": _values(one.before.measurement),
        "before_figures": _brief(one.before.measurement),
        "trainings": [
            {
                "number": training.number,
                "status": training.record.status,
                "reason": training.record.reason or (training.final.reason if training.final else ""),
                "reported": training is one.reported,
                "values": _values(training.record.measurement)
                | _values(training.final.measurement if training.final else None),
                "figures": _brief(training.record.measurement)
                | _brief(training.final.measurement if training.final else None),
            }
            for training in one.trainings
        ],
    }


def _figures(run: Run, record: Record, final: Final | None) -> str:
    found = dict(record.measurement.figures) if record.measurement else {}
    tested = final.measurement.figures.get("test_error") if final and final.measurement else None
    samples = (
        (found.get("val_error"), run.task.validation_samples, "validation"),
        (tested, run.task.test_samples, "test"),
    )
    words = [f"{name} error {error_words(figure, count)}" for figure, count, name in samples if figure is not None]
    words += [
        f"{found[name].value:,.0f} {unit}"
        for name, unit in (("lut", "LUT"), ("latency_cycles", "cycles"))
        if name in found
    ]
    return ", ".join(words)


def _width(run: Run, value: float) -> str:
    return f"{100 * value:.1f} points" if run.task.class_names else f"{value:.3f} {RMSE_UNIT}"


def _values(measurement: Measurement | None) -> dict[str, float]:
    return {name: figure["value"] for name, figure in _brief(measurement).items()}


def _brief(measurement: Measurement | None) -> dict[str, Any]:
    figures: dict[str, Figure] = dict(measurement.figures) if measurement else {}
    return {name: figure.brief_json() for name, figure in figures.items()}
