"""Training: deterministic, one core, the whole loop inside TensorFlow."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codesign.architecture import Architecture, Optimizer, Training

from .build import WEIGHTED, build, temperature
from .datasets import Split
from .layers import DyadicNorm, TernaryActivation
from .pruning import Weights, pruned_phases, set_weights, shrunk, sizes
from .regression import standardized
from .scaling import InputFormat
from .tf import forget_function, forget_models, keras, make_repeatable, tf

Model = Any
Loss = Callable[[Any, Any], Any]

make_repeatable()

SETTLED = 0.1
"""Share of the steps, at least one, after which statistics and thresholds are frozen; the rest trains the export."""
SETTLED_VALUES = 2**26
"""Numbers that may be in memory at once when statistics of images are estimated: 256 MiB."""
SMOOTHING = 0.1


def train(
    architecture: Architecture,
    split: Split,
    input_format: InputFormat,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    until: int | None = None,
) -> Model:
    """Build and train a model on the training part of ``split``; the same arguments give the same bits.

    Optimizer, learning rate and sparsity pressure are the architecture's. With ``until`` training ends after so many of
    the ``epochs``, at the learning rates of all of them: that tells more of where the whole training ends than a short
    training with a schedule of its own. It leaves pruning out.

    Statistics and thresholds follow the batches first, are then re-estimated on all training samples and frozen, and
    the remaining steps train the network exactly as it will be exported.
    """
    x = input_format.quantized_real(split.x_train)
    phases = [(architecture, epochs)] if until is not None else pruned_phases(architecture, epochs)
    model: Model = None
    for shape, share in phases:
        left: Weights = shrunk(model, sizes(shape), seed) if model is not None else {}
        forget_models()
        model = build(shape, input_format, seed)
        if left:
            set_weights(model, left)
        fit_model(
            model,
            x.reshape(-1, *model.input_shape[1:]),
            split.y_train,
            heat=temperature(model),
            outputs=architecture.outputs,
            epochs=share,
            batch_size=batch_size,
            training=architecture.training,
            seed=seed,
            until=until,
        )
    return model


def fit_model(
    model: Model,
    x: NDArray[np.float32],
    y: NDArray[Any],
    *,
    heat: float,
    outputs: int,
    epochs: int,
    batch_size: int,
    training: Training,
    seed: int,
    until: int | None = None,
) -> None:
    """Train ``model`` in place with a cosine schedule and sparsity pressure, on the loss of ``heat`` times its logits.

    That is the cross entropy of labels ``y`` (samples,), or the mean square error of targets (samples, ``outputs``).
    ``until``: end after so many of the ``epochs``.
    """
    orders = _orders(len(x), epochs, batch_size, seed)
    rates = training.learning_rate * 0.5 * (1 + np.cos(np.pi * np.arange(len(orders)) / len(orders)))
    step = _stepper(model, tf.constant(x), _goal(y, outputs), heat, training)
    settled = min(max(1, int(SETTLED * len(orders))), len(orders) - 1)  # a step before it, where there are two
    steps = len(orders) if until is None else len(orders) * until // epochs
    for i, (rows, rate) in enumerate(
        zip(tf.constant(orders[:steps]), tf.constant(rates[:steps], tf.float32), strict=True)
    ):
        if i == settled:
            settle(model, x)
        step(rows, rate)
    if steps <= settled:
        settle(model, x)  # what is evaluated has its statistics and thresholds from all samples
    forget_function(step)
    gc.collect()


def settle(model: Model, x: NDArray[np.float32]) -> None:
    """Re-estimate every statistic and threshold on ``x``, layer by layer, and freeze them."""
    if not any(isinstance(layer, DyadicNorm | TernaryActivation) for layer in model.layers):
        return
    sources = [[tensor.node.layer.name for tensor in tf.nest.flatten(layer.input)] for layer in model.layers]
    last = {name: place for place, names in enumerate(sources) for name in names}
    values = {model.layers[0].name: tf.constant(_some(model, x))}
    for place, layer in enumerate(model.layers[1:], start=1):
        read = [values[name] for name in sources[place]]
        if isinstance(layer, DyadicNorm | TernaryActivation):
            layer.estimate(read[0].numpy())
            layer.freeze()
        values[layer.name] = layer(read if len(read) > 1 else read[0])
        values = {name: value for name, value in values.items() if last.get(name, 0) > place}


def _some(model: Model, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """All samples; of images so many that the outputs of all layers together stay within memory."""
    if len(model.input_shape) == 2:
        return x
    return x[: max(1, SETTLED_VALUES // sum(int(np.prod(layer.output.shape[1:])) for layer in model.layers))]


def _orders(samples: int, epochs: int, batch_size: int, seed: int) -> NDArray[np.int32]:
    """Sample numbers (steps, batch): each epoch a permutation, its incomplete last batch dropped."""
    rng = np.random.default_rng((seed, 1))
    size = min(batch_size, samples)
    whole = samples // size * size
    return np.concatenate([rng.permutation(samples)[:whole].reshape(-1, size) for _ in range(epochs)]).astype(np.int32)


def nonzero_weights(model: Model) -> Any:
    """Share of the kernel weights that are not 0; its gradient pulls those towards 0, straight through."""
    kernels = [layer.kernel_quantizer_internal(layer.kernel) for layer in model.layers if _is_quantized(layer)]
    total = sum(int(np.prod(kernel.shape)) for kernel in kernels)
    return tf.add_n([tf.reduce_sum(tf.abs(kernel)) for kernel in kernels]) / total


def _is_quantized(layer: Any) -> bool:
    return isinstance(layer, WEIGHTED)


def _optimizer(name: Optimizer, rate: Any) -> Any:
    """The legacy optimizers have fused kernels; momentum is that of PyTorch's and Keras' examples."""
    if name == "sgd":
        return keras.optimizers.legacy.SGD(lambda: rate, momentum=0.9, nesterov=True)
    if name == "rmsprop":
        return keras.optimizers.legacy.RMSprop(lambda: rate)
    return keras.optimizers.legacy.Adam(lambda: rate)


def _goal(y: NDArray[Any], outputs: int) -> tuple[Any, Loss]:
    """What the logits should become (samples, outputs), and the loss of a batch of it against them."""
    if y.ndim == 2:
        return tf.constant(standardized(y)), lambda wanted, found: tf.reduce_mean(tf.square(wanted - found))
    smoothed = tf.one_hot(tf.constant(y), outputs) * (1 - SMOOTHING) + SMOOTHING / outputs
    return smoothed, lambda wanted, found: tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(wanted, found))


def _stepper(model: Model, x: Any, goal: tuple[Any, Loss], heat: float, training: Training) -> Any:
    """A compiled function (sample numbers, learning rate) that takes one step of the optimizer.

    One call per step: a loop inside the compiled function saves nothing noticeable, and TensorFlow never frees it.
    """
    rate = tf.Variable(0.0, trainable=False)
    optimizer = _optimizer(training.optimizer, rate)
    targets, loss_of = goal
    variables = model.trainable_variables
    optimizer._create_all_weights(variables)  # otherwise the function is traced twice

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.float32)])  # type: ignore[untyped-decorator]
    def step(rows: Any, learning_rate: Any) -> None:
        rate.assign(learning_rate)
        with tf.GradientTape() as tape:
            logits = heat * model(tf.gather(x, rows), training=True)
            loss = loss_of(tf.gather(targets, rows), logits)
            if training.sparsity:
                loss += training.sparsity * nonzero_weights(model)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    return step
