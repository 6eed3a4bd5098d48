from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from codesign.errors import DataError
from quant import datasets

GOOD = {
    "x_train": np.arange(24.0).reshape(8, 3),
    "y_train": np.array([0, 1] * 4),
    "x_test": np.arange(6.0).reshape(2, 3),
    "y_test": np.array([0, 1]),
}


def with_value(array, index, value):
    array = array.copy()
    array[index] = value
    return array


def saved(tmp_path, **changed):
    path = tmp_path / "x.npz"
    np.savez(path, **{key: value for key, value in {**GOOD, **changed}.items() if value is not None})
    return path


def test_digits_are_split_the_same_way_always():
    first, again = datasets.load("digits"), datasets.load("digits")
    assert first.digest() == again.digest()
    assert (first.x_train.shape, first.x_test.shape) == ((1438, 64), (359, 64))
    assert first.image_shape == (8, 8, 1)
    assert first.class_names == tuple("0123456789")
    counts = np.bincount(first.y_train) / np.bincount(np.concatenate([first.y_train, first.y_test]))
    assert np.all(np.abs(counts - 0.8) < 0.005)


def test_string_labels_keep_their_names(tmp_path):
    path = saved(tmp_path, y_train=np.array(["qcd", "top"] * 4), y_test=np.array(["top", "top"]))
    dataset = datasets.load(None, path)
    assert dataset.class_names == ("qcd", "top")
    assert dataset.y_test.tolist() == [1, 1]


def test_integer_labels_are_named_by_number_and_indexed_from_zero(tmp_path):
    path = saved(tmp_path, y_train=np.array([[3], [11]] * 4, np.uint8), y_test=np.array([11.0, 3.0]))
    dataset = datasets.load(None, path)
    assert dataset.class_names == ("3", "11")
    assert dataset.y_train.tolist() == [0, 1] * 4
    assert dataset.y_test.tolist() == [1, 0]


def test_images_are_flattened_and_remember_their_shape(tmp_path):
    images = np.arange(8 * 2 * 3 * 3, dtype=np.uint8).reshape(8, 2, 3, 3)
    dataset = datasets.load(None, saved(tmp_path, x_train=images, x_test=images[:2]))
    assert dataset.image_shape == (2, 3, 3)
    assert dataset.x_train.dtype == np.uint8
    assert np.array_equal(dataset.x_train, images.reshape(8, 18))


def test_digest_depends_on_content_only(tmp_path):
    dataset = datasets.load(None, saved(tmp_path))
    assert replace(dataset, name="other").digest() == dataset.digest()
    assert replace(dataset, x_train=dataset.x_train + 1).digest() != dataset.digest()
    assert replace(dataset, class_names=("a", "b")).digest() != dataset.digest()


X = GOOD["x_train"]
BAD = [
    (
        {"x_train": with_value(with_value(X, (4, 1), np.nan), (5, 0), np.inf)},
        "x_train has 2 values not finite, the first at index (4, 1): nan; remove or fill these samples",
    ),
    (
        {"x_test": with_value(GOOD["x_test"], (0, 2), -np.inf)},
        "x_test has 1 value not finite, the first at index (0, 2): -inf; remove or fill these samples",
    ),
    (
        {"y_train": np.full(8, 7), "y_test": np.full(2, 7)},
        "y_train has only one class, '7': there is nothing to tell apart",
    ),
    ({"x_train": X[:0], "y_train": np.zeros(0, int)}, "x_train has no samples (shape (0, 3))"),
    ({"x_test": X[:0], "y_test": np.zeros(0, int)}, "x_test has no samples (shape (0, 3))"),
    ({"x_train": X[:, :0], "x_test": X[:2, :0]}, "x_train has no features (shape (8, 0))"),
    ({"x_train": X[:, 0]}, "x_train has shape (8,): (samples, features...) is needed"),
    ({"x_test": X[:2, :2]}, "x_train has samples of shape (3,), x_test of (2,): they must be the same"),
    ({"y_test": np.array([0, 5])}, "y_test has labels that y_train never shows: '5'"),
    (
        {"y_train": np.array([0, 1, 1])},
        "x_train has 8 samples, but y_train has 3 labels; give one label for each sample, in the same order",
    ),
    ({"x_train": X.astype(str)}, "x_train holds text: features must be numbers; encode them as such"),
    ({"x_train": X + 1j}, "x_train holds complex128 values: features must be numbers; encode them as such"),
    (
        {"y_train": np.eye(2)[GOOD["y_train"]]},
        "y_train has shape (8, 2): one label per sample is needed (one-hot labels: take the argmax)",
    ),
    (
        {"y_train": GOOD["y_train"] + 0.5},
        "y_train has the label 0.5: labels are whole numbers or strings; for numbers to predict, "
        'data.task = "regression"',
    ),
    (
        {"y_test": np.array([np.nan, 1])},
        "y_test has the label nan: labels are whole numbers or strings; for numbers to predict, "
        'data.task = "regression"',
    ),
    (
        {"y_train": GOOD["y_train"].astype(complex)},
        "y_train holds complex128 values: labels are whole numbers or strings; give such",
    ),
]


@pytest.mark.parametrize(("changed", "message"), BAD, ids=lambda value: None if isinstance(value, dict) else value[:30])
def test_bad_arrays(tmp_path, changed, message):
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        datasets.load(None, saved(tmp_path, **changed))


def test_missing_arrays_are_named(tmp_path):
    path = saved(tmp_path, y_train=None, x_test=None)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))} lacks y_train, x_test; present: x_train, y_test$"):
        datasets.load(None, path)


def test_object_arrays_are_refused(tmp_path):
    path = saved(tmp_path, y_train=np.array([0, "a"] * 4, dtype=object))
    message = f"{path}: y_train is an array of Python objects: save plain numbers or strings"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        datasets.load(None, path)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 broken"])
def test_unreadable_files(tmp_path, content):
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    message = (
        " is no .npz archive: save one with numpy" if content == b"text" else " cannot be read as an .npz archive: "
    )
    with pytest.raises(DataError, match=f"^{re.escape(str(path) + message)}"):
        datasets.load(None, path)


def test_truncated_archive(tmp_path):
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=f"^{re.escape(str(path))} cannot be read as an .npz archive: "):
        datasets.load(None, path)


def test_single_array_file(tmp_path):
    path = tmp_path / "x.npz"
    with path.open("wb") as file:
        np.save(file, X)
    message = f"{path} is not an .npz archive: save one with numpy.savez(path, x_train=..., ...)"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        datasets.load(None, path)


def test_no_such_file():
    message = "no such file: nowhere/x.npz"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        datasets.load(None, "nowhere/x.npz")


def test_unknown_name_suggests():
    message = "unknown dataset 'minst': did you mean mnist?; a file of your own: data.path = 'x.npz'"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        datasets.load("minst")


@pytest.mark.parametrize(("given", "count"), [((None, None), "neither"), (("digits", "x.npz"), "both")])
def test_name_or_path(given, count):
    with pytest.raises(DataError, match=f"^give either data.name or data.path, not {count}$"):
        datasets.load(*given)


def test_failed_download_says_how_to_go_on(monkeypatch, tmp_path):
    from quant.tf import keras

    def fail():
        raise Exception("URL fetch failure")  # noqa: TRY002  # what Keras raises

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(keras.datasets.mnist, "load_data", fail)
    said = []
    file = tmp_path / ".keras/datasets"
    message = (
        'mnist could not be downloaded: URL fetch failure. Give a local file instead: data.path = "mnist.npz" '
        f"with the arrays x_train, y_train, x_test, y_test, or put Keras' own file at {file}/mnist.npz"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        datasets.load("mnist", announce=said.append)
    assert said == [f"downloading mnist to {file} (once)"]


def test_cached_download_is_not_announced(monkeypatch, tmp_path):
    from quant.tf import keras

    file = tmp_path / ".keras/datasets/mnist.npz"
    file.parent.mkdir(parents=True)
    file.touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    pair = (np.arange(8, dtype=np.uint8).reshape(2, 2, 2), np.array([0, 1], np.uint8))
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: (pair, pair))
    said = []
    assert datasets.load("mnist", announce=said.append).features == 4
    assert said == []


def test_openml_failure(monkeypatch, tmp_path):
    import sklearn.datasets

    def fail(name, **options):
        assert name == "jets"
        raise OSError("no route to host")

    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fail)
    message = (
        'openml:jets could not be fetched: no route to host. Give a local file instead: data.path = "x.npz" '
        "with the arrays x_train, y_train, x_test, y_test"
    )
    said = []
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        datasets.load("openml:jets", announce=said.append)
    assert said == [f"fetching openml:jets from openml.org unless it is already in {tmp_path}"]


def test_openml_keeps_label_names(monkeypatch, tmp_path):
    import sklearn.datasets
    from sklearn.utils import Bunch

    bunch = Bunch(data=np.arange(40.0).reshape(20, 2), target=np.array(["w", "z"] * 10, dtype=object))
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", lambda name, **options: bunch)
    dataset = datasets.load("openml:jets", announce=lambda text: None)
    assert dataset.class_names == ("w", "z")
    assert (len(dataset.x_train), np.bincount(dataset.y_test).tolist()) == (16, [2, 2])


def test_split_is_stratified_seeded_and_never_holds_the_test_set():
    dataset = datasets.load("digits")
    first, again, other = (datasets.split(dataset, 0.2, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.x_val, again.x_val)
    assert not np.array_equal(first.x_val, other.x_val)
    assert len(first.x_train) + len(first.x_val) == len(dataset.x_train)
    assert np.abs(np.bincount(first.y_val) / np.bincount(dataset.y_train) - 0.2).max() < 0.005
    seen = {row.tobytes() for row in np.concatenate([first.x_train, first.x_val])}
    assert not any(row.tobytes() in seen for row in dataset.x_test)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_impossible_validation_share(share):
    with pytest.raises(DataError, match=f"^data.validation must lie between 0 and 1, not {share}$"):
        datasets.split(datasets.load("digits"), share, 0)


def test_too_few_samples_to_split(tmp_path):
    dataset = datasets.load(None, saved(tmp_path))
    message = (
        "data.validation = 0.1 of 8 training samples in 2 classes leaves one part empty, as each class keeps a sample "
        "for training: give another share or more samples"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        datasets.split(dataset, 0.1, 0)
