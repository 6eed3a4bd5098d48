"""Pruning of a user's own model: what is left computes what the whole did without the rest."""

from __future__ import annotations

import numpy as np
import pytest

from codesign.errors import InputError, ModelError
from quant.prune import prune
from quant.pruning import kept
from quant.tf import keras, qkeras

layers = keras.layers


def own(*, joined=True):
    """A QKeras network of images; ``joined``: two branches that meet."""
    x = inputs = layers.Input((8, 8, 1), name="x")
    x = qkeras.QActivation(qkeras.quantized_bits(4, 0, alpha=1), name="input_quant")(x)
    a = qkeras.QConv2D(6, 3, padding="same", kernel_quantizer=qkeras.ternary(alpha=1), name="first")(x)
    a = qkeras.QActivation(qkeras.quantized_relu(4, 1), name="first_relu")(layers.BatchNormalization(name="norm")(a))
    if joined:
        b = qkeras.QConv2D(4, 5, padding="same", kernel_quantizer=qkeras.ternary(alpha=1), name="wide")(x)
        a = layers.Concatenate(name="join")([a, layers.ReLU(name="wide_relu")(b)])
    a = layers.Flatten(name="flat")(layers.MaxPooling2D(2, name="pool")(a))
    a = layers.Dense(10, activation="relu", name="hidden")(a)
    return keras.Model(inputs, layers.Softmax(name="answer")(qkeras.QDense(5, name="logits")(a)), name="own")


def drawn(model):
    """The model with random weights, so that every channel says something."""
    rng = np.random.default_rng(2)
    for variable in model.weights:
        low, high = (0.5, 1.5) if "variance" in variable.name else (-1.0, 1.0)
        variable.assign(rng.uniform(low, high, variable.shape))
    return model


def without(model, units):
    """The model whose layers give zeros for all channels but ``units``."""
    whole = keras.models.clone_model(model, clone_function=lambda layer: type(layer).from_config(layer.get_config()))
    whole.set_weights(model.get_weights())
    for name, stay in units.items():
        gone = np.setdiff1d(np.arange(model.get_layer(name).kernel.shape[-1]), stay)
        for silent in (name, "norm") if name == "first" else (name,):
            for variable in whole.get_layer(silent).weights:
                values = variable.numpy()
                values[..., gone] = 0
                variable.assign(values)
    return whole


def given(layer):
    return layer.filters if hasattr(layer, "filters") else layer.units


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("joined", [False, True])
def test_what_is_left_computes_what_the_whole_does_when_the_rest_gives_zeros(joined):
    model, rounds = drawn(own(joined=joined)), []
    before = model.get_weights()

    def keep(smaller):
        rounds.append({layer.name: given(layer) for layer in smaller.layers if hasattr(layer, "kernel")})
        said.append(smaller)

    said = [model]
    found = prune(model, 0.5, fine_tune=keep, seed=3)
    branch = ({"wide": 3}, {"wide": 2}) if joined else ({}, {})
    assert rounds == [
        {"first": 4, "hidden": 8, "logits": 5, **branch[0]},
        {"first": 3, "hidden": 5, "logits": 5, **branch[1]},
    ]
    assert found is said[-1]
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))
    x = np.random.default_rng(0).uniform(-1, 1, (40, 8, 8, 1)).astype(np.float32)
    for whole, smaller, counts in zip(said, said[1:], rounds, strict=False):
        names = [name for name in counts if name != "logits"]
        units = {name: kept(whole.get_layer(name).kernel.numpy(), counts[name], 3) for name in names}
        answers = smaller(x).numpy()
        np.testing.assert_allclose(answers, without(whole, units)(x).numpy(), rtol=1e-4, atol=1e-6)
        assert np.abs(answers - whole(x).numpy()).max() > 1e-3, "what was taken away said nothing"


def chain(*after):
    return keras.Sequential([layers.Dense(8, input_shape=(16,), name="first"), *after], name="mine")


def test_a_sequential_model_learns_what_it_lost():
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(256, 16)).astype(np.float32)
    y = (x[:, 0] > x[:, 1]).astype(np.int64)
    model, errors = chain(layers.ReLU(), layers.Dense(2, name="last")), []

    def fit(smaller):
        smaller.compile(keras.optimizers.legacy.Adam(0.02), keras.losses.SparseCategoricalCrossentropy(True))
        errors.extend(smaller.fit(x, y, epochs=8, verbose=0).history["loss"])

    fit(model)
    small = prune(model, 0.75, fine_tune=fit)
    assert [layer.units for layer in small.layers if hasattr(layer, "units")] == [2, 2]
    assert np.mean(small(x).numpy().argmax(axis=1) == y) > 0.9
    assert errors[-1] < errors[-8]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: chain(), "model mine has no layer to prune: those whose outputs are the model's keep all"),
        (lambda: keras.Sequential(name="empty"), "model empty has no layer to prune: "),
        (
            lambda: chain(layers.Reshape((4, 2), name="square"), layers.Flatten(), layers.Dense(2)),
            r"layer square \(Reshape\) cannot be pruned; known: Dense, QDense, ",
        ),
        (
            lambda: chain(layers.Softmax(axis=0, name="odd"), layers.Dense(2)),
            r"layer odd \(Softmax\) has axis 0; prune takes the last one",
        ),
        (
            lambda: keras.Sequential([layers.Dense(8, name="first"), layers.Dense(2)]),
            r"layer first \(Dense\) reads nothing yet; give the model an input shape",
        ),
    ],
    ids=["nothing", "empty", "reshape", "axis", "not built"],
)
def test_layers_that_cannot_lose_channels_are_named(build, message):
    with pytest.raises(ModelError, match=message):
        prune(build(), 0.5, fine_tune=lambda _model: None)


def test_a_layer_used_twice_is_refused():
    x, shared = layers.Input((8,)), layers.Dense(8, name="both")
    model = keras.Model(x, layers.Dense(2)(shared(shared(x))))
    with pytest.raises(
        ModelError, match=r"layer both \(Dense\) is used 2 times; prune takes layers that are used once"
    ):
        prune(model, 0.5, fine_tune=lambda _model: None)


@pytest.mark.parametrize("model", [None, "model.h5", {}])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(ModelError, match=f"^{model!r} is no Keras 2 .tf_keras. model; prune takes the model itself"):
        prune(model, 0.5, fine_tune=lambda _model: None)


def test_weights_that_diverged_are_refused_where_they_did():
    def diverge(model):
        model.get_layer("hidden").kernel.assign_add(model.get_layer("hidden").kernel * np.nan)

    with pytest.raises(ModelError, match="^layer hidden has weights that are no finite numbers; train it more slowly$"):
        prune(own(), 0.5, fine_tune=diverge)


@pytest.mark.parametrize("fine_tune", [3, None, "fit"])
def test_what_trains_nothing_is_refused(fine_tune):
    message = f"^fine_tune = {fine_tune!r} trains nothing: give a function of the model to train$"
    with pytest.raises(InputError, match=message):
        prune(own(), 0.5, fine_tune=fine_tune)


@pytest.mark.parametrize("rate", [0, 0.95, -1, float("nan"), "0.5", None])
def test_a_rate_that_is_no_share_is_refused(rate):
    message = f"rate = {rate!r} is not a share to prune: give a number above 0, at most 0.9"
    with pytest.raises(InputError, match=message):
        prune(own(), rate, fine_tune=lambda _model: None)
