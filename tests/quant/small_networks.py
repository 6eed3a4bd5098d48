"""Digits networks for the tests of this room."""

from __future__ import annotations

from codesign.architecture import Architecture, DenseLayer, Hardware, Training


def architecture(*hidden, bits=4, batch_norm=True, weights="ternary", **training):
    layers = tuple(DenseLayer(units, activation) for units, activation in hidden)
    return Architecture(64, 10, bits, layers, batch_norm, Hardware("parallel"), weights, Training(**training))
