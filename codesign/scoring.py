"""How wrong a network is, computed: error rate of a classification, normalized RMSE of a regression."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codesign.accuracy import RMSE_UNIT
from codesign.measurement import Figure, Provenance
from quant.regression import OutputFormat, rmse


def error_of(outputs: NDArray[Any], y: NDArray[Any], form: OutputFormat | None) -> Figure:
    """The error of ``outputs`` (samples, logits) against labels (samples,) or targets (samples, targets).

    ``form`` is that of a regression. Of equal logits the first decides.
    """
    if form is None:
        return class_error(outputs.argmax(axis=1), y)
    found = rmse(form.predict(outputs), y, form.spread)
    details = {
        "rmse": list(found.per_target),
        "standard_error": found.standard_error,
        "samples": len(y),
        "normalized_by": "standard deviation of the training targets",
    }
    return Figure(found.normalized, RMSE_UNIT, *_tool(), details)


def class_error(answers: NDArray[Any], y: NDArray[Any]) -> Figure:
    """The share of ``answers`` (samples,), numbers of classes, that are not the labels ``y``."""
    wrong = int(np.sum(answers != y))
    return Figure(wrong / len(y), "", *_tool(), {"wrong": wrong, "samples": len(y)})


def _tool() -> tuple[Provenance, str, str]:
    return Provenance.TRAINED, "QKeras", importlib.metadata.version("QKeras")


def model_error(model: Any, x: NDArray[np.float32], y: NDArray[Any], form: OutputFormat | None) -> Figure:
    """The error of a canonical model on real inputs ``x`` that lie on its lattice."""
    from quant.canonical import logits

    return error_of(logits(model, x), y, form)


def baseline(y_train: NDArray[Any], y_val: NDArray[Any]) -> float:
    """Validation error of always answering the most frequent class, or the mean, of the training samples."""
    if y_train.ndim == 1:
        return float(np.mean(y_val != np.bincount(y_train).argmax()))
    constant = np.broadcast_to(y_train.mean(axis=0), y_val.shape)
    return rmse(constant, y_val, tuple(y_train.std(axis=0))).normalized
