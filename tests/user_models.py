"""QKeras models as users write them, not as our own exporter does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

INPUTS, OUTPUTS = 16, 5


def small(
    kernel: str = "ternary(alpha=1)", activation: str = "quantized_relu(4, 1)", seed: int = 0, *, objects: bool = False
) -> Any:
    """Two dense layers with biases; random weights. ``objects``: quantizers are given as such, not as texts."""
    from quant.tf import keras, qkeras

    given = qkeras.get_quantizer if objects else str
    kernel, activation, bias = given(kernel), given(activation), given("quantized_bits(6, 0, alpha=1)")
    x = inputs = keras.layers.Input((INPUTS,), name="x")
    x = qkeras.QActivation(given("quantized_bits(4, 0, alpha=1)"), name="input_quant")(x)
    x = qkeras.QDense(6, kernel_quantizer=kernel, bias_quantizer=bias, name="dense")(x)
    x = qkeras.QActivation(activation, name="act")(x)
    x = qkeras.QDense(OUTPUTS, kernel_quantizer=kernel, bias_quantizer=bias, name="logits")(x)
    model = keras.Model(inputs, x, name="small")
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        layer.set_weights([rng.normal(0, 0.5, array.shape).clip(-1, 1) for array in layer.get_weights()])
    return model


def saved(model: Any, path: Path) -> Path:
    """The model in a file."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras calls HDF5 a legacy format
        model.save(path, include_optimizer=False) if path.suffix == ".h5" else model.save(path)
    return path
