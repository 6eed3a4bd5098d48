"""``bench weights``: ternary weights beside those of 2 to 4 bits: test error of the digits at the LUTs that each takes.

The networks differ in their weights alone: the same layers, ternary activations, dyadic normalization, training.
Learning rates are chosen for each kind by validation error. Weights of several bits become hardware by da4ml, which is
made for them; ternary ones by our RTL and by da4ml. All are parallel, synthesized by one Yosys script, as deep as ours.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import bench_da4ml
import numpy as np
from bench_rtl import CLOCK_MHZ, PART, ours, say, synthesize

from codesign.architecture import Architecture, DenseLayer, Hardware, Training
from hw.graph import FixedType, Graph, Ints

TERNARY = 0
BITS = (TERNARY, 2, 3, 4)
"""Of the weights; 0 stands for ternary."""
HIDDEN = ((8,), (16,), (32,), (64,), (32, 16), (64, 32))
RATES = (0.005, 0.01, 0.02)
INPUT_BITS, EPOCHS, BATCH_SIZE, SEEDS = 4, 20, 32, 3


@dataclass(frozen=True)
class Layer:
    """Integer weights (inputs, outputs); the sums at which +1 begins and -1 ends, or what is added to logits."""

    weights: Ints
    low: Ints | None
    high: Ints

    def run(self, x: Ints) -> Ints:
        """Of integers (n, inputs) the outputs (n, outputs)."""
        sums = x @ self.weights
        if self.low is None:
            return sums + self.high
        return (sums >= self.high).astype(np.int64) - (sums <= self.low)


def run(layers: Sequence[Layer], x: Ints) -> Ints:
    """Logits (n, outputs) of input integers (n, inputs)."""
    for layer in layers:
        x = layer.run(x)
    return x


def network(hidden: Sequence[int], rate: float) -> Architecture:
    """The digits' network; of the kernel's bits nothing is said here."""
    layers = tuple(DenseLayer(units, "ternary") for units in hidden)
    return Architecture(64, 10, INPUT_BITS, layers, True, Hardware("parallel"), training=Training(learning_rate=rate))


def build(bits: int, shape: Architecture, input_format: Any, seed: int) -> Any:
    """The trainable model: that of the search, with other kernels where ``bits`` are given."""
    from quant.build import build as ternary_model
    from quant.layers import DyadicNorm, TernaryActivation
    from quant.quantizers import LatticeBias
    from quant.tf import keras, qkeras

    if bits == TERNARY:
        return ternary_model(shape, input_format, seed)
    rng, step = np.random.default_rng(seed), 2.0 ** (1 - bits)

    def dense(units: int, inputs: int, name: str, **options: Any) -> Any:
        start = keras.initializers.Constant(rng.normal(0.0, 0.3, (inputs, units)).clip(-1, 1))
        kernel = qkeras.quantized_bits(bits, 0, alpha=1)
        return qkeras.QDense(units, kernel_quantizer=kernel, kernel_initializer=start, name=name, **options)

    x = inputs = keras.layers.Input((shape.inputs,), name="x")
    lsb, power = 2.0**-input_format.frac * step, 1 / 3
    for i, layer in enumerate(shape.hidden):
        x = dense(layer.units, x.shape[-1], f"dense_{i}", use_bias=False)(x)
        x = DyadicNorm(lsb, 1.0, normalize=True, name=f"norm_{i}")(x)
        x = TernaryActivation(name=f"act_{i}")(x)
        lsb, power = step, 0.5
    gain = 2.0 ** round(0.5 * np.log2(x.shape[-1] * 0.09 * power))  # 0.09: mean square of the first weights
    x = dense(shape.outputs, x.shape[-1], "logits", bias_quantizer=LatticeBias(lsb, gain))(x)
    return keras.Model(inputs, x)


def integers(bits: int, model: Any, input_format: Any) -> list[Layer]:
    """The integer network of a trained model."""
    found, lsb = [], 2.0**-input_format.frac
    step = 1.0 if bits == TERNARY else 2.0 ** (1 - bits)
    for place in range(sum(layer.name.startswith("dense_") for layer in model.layers)):
        weights = _weights(model.get_layer(f"dense_{place}"), step)
        slope, offset = (values.astype(np.float64) for values in model.get_layer(f"norm_{place}").snapped())
        threshold = float(model.get_layer(f"act_{place}").threshold)
        weights, scale = weights * np.sign(slope).astype(np.int64), np.abs(slope) * lsb * step
        low, high = np.floor((-threshold - offset) / scale), np.ceil((threshold - offset) / scale)
        found.append(Layer(weights, low.astype(np.int64), high.astype(np.int64)))
        lsb = 1.0
    last = model.get_layer("logits")
    bias = last.bias_quantizer_internal(last.bias).numpy() / (lsb * step)
    return [*found, Layer(_weights(last, step), None, np.rint(bias).astype(np.int64))]


def _weights(layer: Any, step: float) -> Ints:
    kernel = layer.kernel_quantizer_internal(layer.kernel).numpy().astype(np.float64) / step
    found = np.rint(kernel).astype(np.int64)
    assert np.array_equal(found, kernel), layer.name
    return found


@dataclass(frozen=True)
class Trained:
    """A network, its error on samples that it was not trained on, and what our RTL is made of where it is ternary."""

    layers: list[Layer]
    error: float
    graph: Graph | None


def trained(bits: int, shape: Architecture, parts: Any, seed: int) -> Trained:
    """Trained on ``parts``, judged by its other half."""
    from hw.hls4ml_flow import parse
    from hw.lower import lower
    from quant.build import temperature
    from quant.canonical import canonicalize
    from quant.scaling import fit
    from quant.tf import forget_models
    from quant.train import fit_model

    forget_models()
    input_format = fit(parts.x_train, "minmax", INPUT_BITS, None)
    model = build(bits, shape, input_format, seed)
    x = input_format.quantized_real(parts.x_train)
    options: dict[str, Any] = {"epochs": EPOCHS, "batch_size": BATCH_SIZE, "training": shape.training, "seed": seed}
    fit_model(model, x, parts.y_train, heat=temperature(model), outputs=shape.outputs, **options)
    layers = integers(bits, model, input_format)
    logits = run(layers, input_format.quantize(parts.x_val))
    expected = model(input_format.quantized_real(parts.x_val), training=False).numpy()
    assert np.array_equal(logits.argmax(axis=1), expected.argmax(axis=1)), "the integer network is another one"
    error = float(np.mean(logits.argmax(axis=1) != parts.y_val))
    graph = None
    if bits == TERNARY:
        graph = lower(parse(canonicalize(model, shape, input_format), PART.name, CLOCK_MHZ))
    return Trained(layers, error, graph)


def by_da4ml(layers: Sequence[Layer], cycles: int, folder: Path) -> dict[str, Any]:
    """da4ml's hardware of an integer network, of as many cycles as its cut-off gets to."""
    kind = FixedType(False, INPUT_BITS, 0)
    values = inputs = bench_da4ml.inputs_of(kind, len(layers[0].weights))
    for layer in layers:
        sums = values @ layer.weights.astype(np.float32)
        values = (
            sums + layer.high.astype(np.float64)
            if layer.low is None
            else bench_da4ml.ternary(sums, layer.low.astype(np.float64), layer.high.astype(np.float64))
        )
    made = bench_da4ml.traced(inputs, values)
    x = np.random.default_rng(1).integers(kind.low, kind.high + 1, (64, len(layers[0].weights)))
    assert np.array_equal(made.run(x), run(layers, x)), "da4ml's network is another one"
    pipeline = made.pipeline(cycles - 1)
    found = synthesize(bench_da4ml.files(pipeline), bench_da4ml.TOP, folder)
    return {**found, "cycles": len(pipeline.solutions) + 1}


def weights() -> dict[str, Any]:
    """All rows; the figures of the benchmark."""
    from quant.datasets import Split, load, split

    dataset = load("digits")
    chosen = split(dataset, 0.2, 0)
    everything = Split(dataset.x_train, dataset.y_train, dataset.x_test, dataset.y_test)
    rows: list[dict[str, Any]] = []
    for hidden in HIDDEN:
        cycles = 0
        for bits in BITS:
            errors = {
                rate: [trained(bits, network(hidden, rate), chosen, seed).error for seed in range(SEEDS)]
                for rate in RATES
            }
            rate = min(RATES, key=lambda rate: mean(errors[rate]))
            final = [trained(bits, network(hidden, rate), everything, seed) for seed in range(SEEDS)]
            row = {"hidden": list(hidden), "bits": bits or "ternary", "learning_rate": rate, **_errors(final)}
            with tempfile.TemporaryDirectory(prefix="codesign-bench-") as folder:
                if final[0].graph is not None:
                    found = ours(final[0].graph, Path(folder) / "ours")
                    cycles = found["cycles"]
                    rows.append({**row, "by": "codesign", **found})
                    _say(rows[-1])
                rows.append({**row, "by": "da4ml", **by_da4ml(final[0].layers, cycles, Path(folder) / "da4ml")})
                _say(rows[-1])
    return {"weights": {"part": PART.name, "rows": rows}}


def _errors(final: Sequence[Trained]) -> dict[str, float]:
    errors = [one.error for one in final]
    return {"test_error": mean(errors), "test_error_deviation": stdev(errors)}


def _say(row: dict[str, Any]) -> None:
    say(
        f"{'-'.join(map(str, row['hidden'])):8s} {row['bits']!s:8s} {row['by']:9s} {row['lut']:6.0f} LUT  test error "
        f"{100 * row['test_error']:.2f} % (+- {100 * row['test_error_deviation']:.2f}), {row['cycles']} cycles, "
        f"{row['fmax_mhz']:.0f} MHz"
    )
