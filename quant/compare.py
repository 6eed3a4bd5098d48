"""What ternary costs: test error of the same network in float and ternary, on any dataset.

``python -m quant.compare digits`` or ``python -m quant.compare x.npz --hidden 128 64 --epochs 10``. TOT-Net claims a
small loss against full precision; this is how the figure for our networks is made.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from codesign.architecture import Activation, Architecture, DenseLayer, Hardware, Training

from .datasets import Dataset, Split, load
from .scaling import InputFormat, fit

KINDS: tuple[tuple[str, Activation | None], ...] = (
    ("float, ReLU", None),
    ("ternary weights, 4-bit ReLU", "4"),
    ("ternary weights, 2-bit ReLU", "2"),
    ("ternary weights and activations", "ternary"),
)
FLOAT, TERNARY = Training(learning_rate=0.01), Training(learning_rate=0.02)
"""Learning rates: ternary weights need larger steps, since only crossing a threshold changes anything."""
BATCH_SIZE = 32


def errors_of(kind: Activation | None, hidden: Sequence[int], dataset: Dataset, epochs: int, seeds: int) -> list[float]:
    """Test error of one network per seed, trained on all training samples; ``None`` is the float network."""
    input_format = fit(dataset.x_train, "minmax", 8 if kind is None else 4, dataset.image_shape)
    everything = Split(dataset.x_train, dataset.y_train, dataset.x_test[:0], dataset.y_test[:0])
    if kind is None:
        return [_float_error(hidden, dataset, input_format, epochs, seed) for seed in range(seeds)]
    from .canonical import canonicalize, evaluate
    from .train import train

    layers = tuple(DenseLayer(units, kind) for units in hidden)
    outputs = len(dataset.class_names)
    network = Architecture(
        dataset.features, outputs, input_format.bits, layers, True, Hardware("parallel"), training=TERNARY
    )
    errors = []
    for seed in range(seeds):
        model = train(network, everything, input_format, epochs=epochs, batch_size=BATCH_SIZE, seed=seed)
        canonical = canonicalize(model, network, input_format)
        errors.append(evaluate(canonical, input_format, dataset.x_test, dataset.y_test)[0])
    return errors


def _float_error(hidden: Sequence[int], dataset: Dataset, input_format: InputFormat, epochs: int, seed: int) -> float:
    """The float network: the same widths, batch normalization, schedule and samples; inputs of 8 bits."""
    from .canonical import logits
    from .tf import forget_models, keras
    from .train import fit_model

    forget_models()
    x = inputs = keras.layers.Input((dataset.features,))
    for i, units in enumerate((*hidden, len(dataset.class_names))):
        start = keras.initializers.HeNormal(seed=1000 * seed + i)
        last = i == len(hidden)
        x = keras.layers.Dense(units, kernel_initializer=start, use_bias=last)(x)
        x = x if last else keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(x))
    model = keras.Model(inputs, x)
    values = input_format.quantized_real(dataset.x_train)
    options: dict[str, Any] = {"epochs": epochs, "batch_size": BATCH_SIZE, "training": FLOAT}
    fit_model(model, values, dataset.y_train, heat=1.0, outputs=len(dataset.class_names), seed=seed, **options)
    answers = logits(model, input_format.quantized_real(dataset.x_test)).argmax(axis=1)
    return float(np.mean(answers != dataset.y_test))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m quant.compare", description=__doc__)
    parser.add_argument("data", help="name of a dataset, or an .npz file")
    parser.add_argument("--hidden", type=int, nargs="+", default=[64, 32])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args(arguments)
    is_file = given.data.endswith(".npz")
    dataset = load(None, given.data) if is_file else load(given.data)
    shape = "-".join(map(str, (dataset.features, *given.hidden, len(dataset.class_names))))
    _say(f"{dataset.name}, {shape}, {given.epochs} epochs, {given.seeds} seeds, {len(dataset.y_test)} test samples")
    _say("test error in %: mean over seeds ± its standard error (training) ± that of the test set's size")
    for label, kind in KINDS:
        errors = np.array(errors_of(kind, given.hidden, dataset, given.epochs, given.seeds))
        mean = float(errors.mean())
        over_seeds = float(errors.std(ddof=1)) / math.sqrt(len(errors)) if len(errors) > 1 else math.nan
        over_samples = math.sqrt(mean * (1 - mean) / len(dataset.y_test))
        _say(f"{label:<34}{100 * mean:6.2f} ± {100 * over_seeds:.2f} ± {100 * over_samples:.2f}")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
