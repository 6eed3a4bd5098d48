from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_networks import architecture

from quant.canonical import canonicalize, evaluate, logits
from quant.train import train

HERE = Path(__file__).parent
SHORT = {"epochs": 2, "batch_size": 64}


def fingerprint(model):
    return hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()


@pytest.mark.parametrize(
    ("hidden", "batch_norm", "bound"),
    [([(32, "ternary")], True, 0.10), ([(32, "3")], True, 0.08), ([(32, "ternary")], False, 0.13)],
)
def test_digits_are_learned_and_the_export_is_exact(split, digits, input_format, hidden, batch_norm, bound):
    shape = architecture(*hidden, batch_norm=batch_norm)
    model = train(shape, split, input_format, epochs=12, batch_size=32, seed=7)
    canonical = canonicalize(model, shape, input_format)
    error, wrong = evaluate(canonical, input_format, split.x_val, split.y_val)
    assert wrong == round(error * len(split.y_val))
    assert error < bound
    x = input_format.quantized_real(digits.x_test)
    assert np.array_equal(logits(canonical, x), logits(model, x))


def density(model, shape, input_format):
    return (canonicalize(model, shape, input_format).get_layer("dense_0").get_weights()[0] != 0).mean()


@pytest.mark.parametrize(
    ("training", "density_bounds", "error_bound"),
    [
        ({"threshold": 0.3}, (0.7, 0.9), 0.12),
        ({"threshold": 1.2}, (0.3, 0.48), 0.12),
        ({"sparsity": 1.0}, (0.3, 0.5), 0.15),
        ({"optimizer": "sgd", "learning_rate": 0.2}, (0.5, 0.7), 0.15),
        ({"optimizer": "rmsprop", "learning_rate": 0.01}, (0.5, 0.7), 0.15),
        ({"weights": "binary"}, (1.0, 1.0), 0.15),
    ],
    ids=str,
)
def test_genes_of_training_do_what_they_are_for(split, input_format, training, density_bounds, error_bound):
    shape = architecture((24, "2"), **training)
    model = train(shape, split, input_format, epochs=8, batch_size=32, seed=7)
    low, high = density_bounds
    assert low <= density(model, shape, input_format) <= high
    assert evaluate(canonicalize(model, shape, input_format), input_format, split.x_val, split.y_val)[0] < error_bound


def test_same_arguments_same_bits_in_another_process(split, input_format):
    shape = architecture((12, "ternary"), (8, "2"))
    train(architecture((9, "3")), split, input_format, **SHORT, seed=3)  # what was trained before must not matter
    here = fingerprint(train(shape, split, input_format, **SHORT, seed=5))
    code = (
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "from test_train import *\n"
        "from quant import datasets, scaling\n"
        "digits = datasets.load('digits'); split = datasets.split(digits, 0.2, 1)\n"
        "form = scaling.fit(split.x_train, 'minmax', 4, digits.image_shape)\n"
        "print(fingerprint(train(architecture((12, 'ternary'), (8, '2')), split, form, **SHORT, seed=5)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=HERE.parents[1])
    assert done.stdout.strip() == here
    assert done.stderr == "", "TensorFlow's chatter reached the user"
    assert fingerprint(train(shape, split, input_format, **SHORT, seed=6)) != here


def test_statistics_are_frozen_at_the_end(split, input_format):
    shape = architecture((12, "ternary"))
    model = train(shape, split, input_format, **SHORT, seed=5)
    x = input_format.quantized_real(split.x_train)
    before = fingerprint(model)
    assert np.array_equal(model(x, training=True), model(x, training=False))
    assert fingerprint(model) == before


def test_a_training_that_ends_early_goes_the_first_steps_of_the_whole_one(split, input_format):
    shape = architecture((12, "ternary"))
    whole = {"epochs": 4, "batch_size": 64, "seed": 5}
    early = train(shape, split, input_format, **whole, until=1)
    x = input_format.quantized_real(split.x_train)
    assert np.array_equal(early(x, training=True), early(x, training=False)), "its statistics are frozen"
    assert fingerprint(train(shape, split, input_format, **whole, until=1)) == fingerprint(early)
    assert fingerprint(train(shape, split, input_format, **whole | {"epochs": 1})) != fingerprint(early)
    assert fingerprint(train(shape, split, input_format, **whole, until=4)) == fingerprint(
        train(shape, split, input_format, **whole)
    )


def test_batches_larger_than_the_data_still_train(split, input_format):
    shape = architecture((8, "2"), learning_rate=0.05)
    model = train(shape, split, input_format, epochs=30, batch_size=100_000, seed=5)
    error, _ = evaluate(canonicalize(model, shape, input_format), input_format, split.x_val, split.y_val)
    assert error < 0.5


def test_many_candidates_do_not_pile_up(split, input_format):
    """Objects of earlier trainings are gone; their number would otherwise grow by thousands each time."""
    import gc

    counts = []
    for seed in range(4):
        train(architecture((6, "ternary")), split, input_format, epochs=1, batch_size=256, seed=seed)
        gc.collect()
        counts.append(len(gc.get_objects()))
    assert counts[3] - counts[2] < 1000
