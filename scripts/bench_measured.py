"""Evaluation of the contenders of ``bench search`` that measure each candidate: the real one, begun beforehand.

A contender of several phases starts processes several times. So that its clock does not count these starts, libraries
are loaded before a process says that it is ready, and no clock runs until then.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from codesign import evaluate
from codesign.evaluate import describe, lower_bound
from codesign.study import Study

__all__ = ["Evaluator", "describe", "lower_bound"]

_LOADED = ("quant.train", "quant.canonical", "hw.hls4ml_flow", "hw.lower", "hw.implement")


class Evaluator(evaluate.Evaluator):
    """The real evaluator; TensorFlow and hls4ml are loaded when it is made."""

    def __init__(self, study: Study, run_folder: Path) -> None:
        super().__init__(study, run_folder)
        for name in _LOADED:
            importlib.import_module(name)
