"""How wrong a network is, in words: error rate of a classification, normalized RMSE of a regression."""

from __future__ import annotations

import math

from codesign.counting import number_of
from codesign.measurement import Figure
from codesign.task import Task

OUTPUT_FILE = "output_format.json"
"""The artefact of a regression that says what its logits mean."""
RMSE_UNIT = "RMSE / sd"
"""Root mean square error in standard deviations of the targets; an error rate has no unit."""


def statistical_error(error: float, samples: int) -> float:
    """Standard error of an error rate counted on ``samples``, both 0 to 1.

    Half the Wilson score interval at one standard deviation (Wilson 1927), which is not zero when no sample was wrong.
    """
    return math.sqrt(error * (1 - error) / samples + 1 / (4 * samples**2)) / (1 + 1 / samples)


def percent_error(error: float, samples: int) -> str:
    """An error rate with its statistical error, e.g. ``5.2 ± 1.3 %``."""
    return f"{100 * error:.1f} ± {100 * statistical_error(error, samples):.1f} %"


def error_words(figure: Figure, samples: int) -> str:
    """An error with its statistical error: ``5.2 ± 1.3 %``, or ``RMSE 0.123 ± 0.004`` (see :data:`RMSE_UNIT`)."""
    if figure.unit != RMSE_UNIT:
        return percent_error(figure.value, samples)
    return f"RMSE {figure.value:.3f} ± {figure.details['standard_error']:.3f}"


def error_note(task: Task) -> str:
    """What the errors of a table are, and their ±."""
    what = "errors" if task.class_names else "errors are RMSE in standard deviations of the target,"
    return f"{what} ± one standard error"


def mean_error_words(figure: Figure) -> str:
    """An error that is a mean over random faults, whose spread is another: ``5.2 %``, or ``RMSE 0.123``."""
    return f"{100 * figure.value:.1f} %" if figure.unit != RMSE_UNIT else f"RMSE {figure.value:.3f}"


def output_words(task: Task, most: int = 12) -> str:
    """What comes out, on one line: ``3 classes: cat, dog, owl``, or ``2 predicted values``."""
    names = task.class_names
    if not names:
        return number_of(task.targets, "predicted value")
    more = f", ... and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)} classes: {', '.join(names[:most])}{more}"


def error_scale(task: Task) -> tuple[float, str]:
    """Factor and unit in which errors are drawn."""
    return (100.0, "%") if task.class_names else (1.0, RMSE_UNIT)
