from __future__ import annotations

import re

import numpy as np
import pytest

from codesign.errors import DataError
from quant.datasets import load, split
from quant.regression import OutputFormat, fit_outputs, rmse, standardized

RNG = np.random.default_rng(0)
X, Y = RNG.uniform(size=(40, 3)), RNG.normal(5, 2, (40, 2))


def npz(tmp_path, **changed):
    arrays = {"x_train": X, "y_train": Y, "x_test": X[:10], "y_test": Y[:10]} | changed
    np.savez(tmp_path / "r.npz", **arrays)
    return tmp_path / "r.npz"


def test_numbers_are_targets(tmp_path):
    dataset = load(None, npz(tmp_path), regression=True)
    assert (dataset.class_names, dataset.targets) == ((), 2)
    assert np.array_equal(dataset.y_train, Y)
    one = load(None, npz(tmp_path, y_train=Y[:, 0], y_test=Y[:10, 0]), regression=True)
    assert one.y_train.shape == (40, 1)
    parts = split(dataset, 0.25, 1)
    assert (len(parts.y_train), len(parts.y_val)) == (30, 10)
    assert {tuple(row) for row in (*parts.y_train, *parts.y_val)} == {tuple(row) for row in Y}
    assert dataset.digest() != load(None, npz(tmp_path, y_train=Y + 1), regression=True).digest()


BAD = {
    "text": (
        {"y_train": np.array(["a"] * 40)},
        "y_train holds text: targets of a regression are numbers; give "
        'numbers, or for classes data.task = "classification"',
    ),
    "shape": ({"y_test": Y[:10, :, None]}, "y_test has shape (10, 2, 1): (samples,) or (samples, targets) is needed"),
    "nan": (
        {"y_train": np.where(Y[3, 1] == Y, np.nan, Y)},
        "y_train has 1 value not finite or too large, the first at index (3, 1): nan; remove or fill these samples",
    ),
    "huge": (
        {"y_train": np.where(Y[3, 1] == Y, 1e200, Y)},
        "y_train has 1 value not finite or too large, the first at index (3, 1): 1e+200; remove or fill these samples",
    ),
    "length": (
        {"y_train": Y[:39]},
        "x_train has 40 samples, but y_train has 39 targets; give one target for each sample, in the same order",
    ),
    "columns": ({"y_test": Y[:10, :1]}, "y_train has 2 targets but y_test 1: they must be the same"),
    "constant": (
        {"y_train": np.column_stack([Y[:, 0], np.full(40, 3.0)])},
        "y_train has the same value, 3, in all samples of target 1; drop it",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_targets_say_what_is_wrong(tmp_path, case):
    changed, message = BAD[case]
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        load(None, npz(tmp_path, **changed), regression=True)


def test_a_named_dataset_is_no_regression():
    message = "digits is a classification dataset; a regression needs data.path, an .npz file with x_train, y_train"
    with pytest.raises(DataError, match=f"^{message}"):
        load("digits", regression=True)


def test_numbers_in_a_classification_name_the_task(tmp_path):
    with pytest.raises(DataError, match='for numbers to predict, data.task = "regression"$'):
        load(None, npz(tmp_path, y_train=Y[:, 0], y_test=Y[:10, 0]))


def test_rmse_by_hand():
    found = rmse(np.array([[1.0, 10.0], [3.0, 30.0]]), np.array([[0.0, 10.0], [3.0, 50.0]]), (2.0, 10.0))
    assert found.normalized == pytest.approx(np.sqrt((0.25 + 0 + 0 + 4) / 4))
    assert found.per_target == pytest.approx((np.sqrt(0.5), np.sqrt(200)))
    squares = np.array([0.125, 2.0])
    assert found.standard_error == pytest.approx(squares.std(ddof=1) / np.sqrt(2) / (2 * found.normalized))


def test_the_mean_has_an_error_of_one_and_units_do_not_matter():
    mean = np.broadcast_to(Y.mean(axis=0), Y.shape)
    assert rmse(mean, Y, tuple(Y.std(axis=0))).normalized == pytest.approx(1.0)
    scaled = Y * [1000.0, 0.1]
    first, other = (
        rmse(mean + 1, Y, tuple(Y.std(axis=0))),
        rmse((mean + 1) * [1000.0, 0.1], scaled, tuple(scaled.std(axis=0))),
    )
    assert first.normalized == pytest.approx(other.normalized)


def test_the_output_map_is_that_of_least_squares():
    logits = (Y - [5, 4]) / [0.25, -0.5] + RNG.normal(0, 0.1, Y.shape)
    found = fit_outputs(logits.astype(np.float32), Y)
    for i in range(2):
        gain, offset = np.polyfit(logits[:, i], Y[:, i], 1)
        assert (found.gain[i], found.offset[i]) == pytest.approx((gain, offset), rel=1e-4)
    assert OutputFormat.from_json(found.to_json()) == found
    constant = fit_outputs(np.ones((40, 2), np.float32), Y)
    assert constant.predict(np.ones((1, 2)))[0] == pytest.approx(Y.mean(axis=0))


def test_standardized_targets():
    z = standardized(Y)
    assert z.mean(axis=0) == pytest.approx([0, 0], abs=1e-6)
    assert z.std(axis=0) == pytest.approx([1, 1], rel=1e-5)
