"""Datasets: named ones and ``.npz`` files, checked and as plain arrays."""

from __future__ import annotations

import hashlib
import math
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codesign.counting import held, number_of
from codesign.errors import DataError, nearest

from .names import KERAS_FILES
from .regression import checked_targets, require_varying

Array = NDArray[Any]

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
NAMES = ("digits", *KERAS_FILES, "openml:NAME")
HELD_OUT = 0.2
"""Share of samples that become the test set where a dataset comes without one."""


@dataclass(frozen=True)
class Dataset:
    """A checked dataset.

    ``x_*`` have shape (samples, features), real values: uint8 where the source is (images are large),
    float64 otherwise; images are flattened row by row and ``image_shape`` is (height, width, channels).
    ``y_*`` are int64 indices into ``class_names``; of a regression, which has none, float64 (samples, targets).
    """

    name: str
    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int] | None = None

    @property
    def features(self) -> int:
        """Number of input features."""
        return int(self.x_train.shape[1])

    @property
    def targets(self) -> int:
        """Number of values to predict in a regression; 0 in a classification."""
        return 0 if self.class_names else int(self.y_train.shape[1])

    def digest(self) -> str:
        """SHA-256 of the content, in hex; the name is not part of it."""
        sha = hashlib.sha256(repr((self.class_names, self.image_shape)).encode())
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            sha.update(repr((array.dtype.str, array.shape)).encode())
            sha.update(np.ascontiguousarray(array).data)
        return sha.hexdigest()


@dataclass(frozen=True)
class Split:
    """Training and validation samples; the test set is deliberately not here."""

    x_train: Array
    y_train: Array
    x_val: Array
    y_val: Array


def load(
    name: str | None,
    path: str | Path | None = None,
    *,
    regression: bool = False,
    announce: Callable[[str], object] = lambda text: print(text, file=sys.stderr),  # noqa: T201
) -> Dataset:
    """Load the dataset ``name`` or the file ``path`` (exactly one of them) and check it; ``regression`` takes a file.

    ``announce`` is told before anything is downloaded. Raises DataError with what is wrong and what to do.
    """
    if (name is None) == (path is None):
        raise DataError(f"give either data.name or data.path, not {'neither' if name is None else 'both'}")
    if path is not None:
        return _from_npz(Path(path), regression=regression)
    assert name is not None
    if regression:
        raise DataError(
            f"{name} is a classification dataset; a regression needs data.path, an .npz file with {', '.join(ARRAYS)}"
        )
    if name == "digits":
        return _digits()
    if name in KERAS_FILES:
        return _from_keras(name, announce)
    if name.startswith("openml:") and name != "openml:":
        return _from_openml(name, announce)
    raise DataError(f"unknown dataset {name!r}: {nearest(name, NAMES)}; a file of your own: data.path = 'x.npz'")


def split(dataset: Dataset, validation: float, seed: int) -> Split:
    """Hold out the share ``validation`` of the training samples, class by class; DataError if a part is empty."""
    if not 0 < validation < 1:
        raise DataError(f"data.validation must lie between 0 and 1, not {validation}")
    labels = dataset.y_train if dataset.class_names else np.zeros(len(dataset.y_train), np.int64)
    held = stratified(labels, validation, seed)
    if not held.any() or held.all():
        raise DataError(
            f"data.validation = {validation} of {held.size} training samples in {np.unique(labels).size} classes "
            "leaves one part empty, as each class keeps a sample for training: give another share or more samples"
        )
    x, y = dataset.x_train, dataset.y_train
    return Split(x[~held], y[~held], x[held], y[held])


def stratified(labels: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """Mark ``share`` of the samples at random, of every class its part; a class always keeps one sample unmarked."""
    rng = np.random.default_rng(seed)
    marked = np.zeros(labels.size, dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        marked[members[: min(math.floor(share * members.size + 0.5), members.size - 1)]] = True
    return marked


def checked(name: str, arrays: Mapping[str, Array]) -> Dataset:
    """Make a Dataset of the four arrays ``x_train, y_train, x_test, y_test``, or raise DataError."""
    x_train, x_test = _both_features(arrays)
    labels = {key: _labels(key, arrays[key]) for key in ("y_train", "y_test")}
    _require_pairs(arrays, "label")
    classes = np.unique(labels["y_train"])
    if classes.size < 2:
        raise DataError(f"y_train has only one class, {_named(classes[0])!r}: there is nothing to tell apart")
    unseen = [_named(label) for label in np.unique(labels["y_test"]) if label not in classes]
    if unseen:
        raise DataError(f"y_test has labels that y_train never shows: {', '.join(map(repr, unseen[:5]))}")
    y_train, y_test = (np.searchsorted(classes, labels[key]).astype(np.int64) for key in ("y_train", "y_test"))
    return Dataset(
        name=name,
        x_train=x_train.reshape(len(x_train), -1),
        y_train=y_train,
        x_test=x_test.reshape(len(x_test), -1),
        y_test=y_test,
        class_names=tuple(_named(label) for label in classes),
        image_shape=_image_shape(x_train.shape[1:]),
    )


def checked_regression(name: str, arrays: Mapping[str, Array]) -> Dataset:
    """Make a Dataset of a regression of the four arrays, or raise DataError."""
    x_train, x_test = _both_features(arrays)
    y_train, y_test = (checked_targets(key, arrays[key]) for key in ("y_train", "y_test"))
    _require_pairs(arrays, "target")
    if y_train.shape[1] != y_test.shape[1]:
        train, test = number_of(y_train.shape[1], "target"), y_test.shape[1]
        raise DataError(f"y_train has {train} but y_test {test}: they must be the same")
    require_varying("y_train", y_train)
    flat = (values.reshape(len(values), -1) for values in (x_train, x_test))
    return Dataset(name, next(flat), y_train, next(flat), y_test, (), _image_shape(x_train.shape[1:]))


def _both_features(arrays: Mapping[str, Array]) -> tuple[Array, Array]:
    x_train, x_test = (_features(key, arrays[key]) for key in ("x_train", "x_test"))
    if x_train.shape[1:] != x_test.shape[1:]:
        raise DataError(
            f"x_train has samples of shape {x_train.shape[1:]}, x_test of {x_test.shape[1:]}: they must be the same"
        )
    return x_train, x_test


def _require_pairs(arrays: Mapping[str, Array], what: str) -> None:
    for x_key, y_key in (("x_train", "y_train"), ("x_test", "y_test")):
        if len(arrays[x_key]) != len(arrays[y_key]):
            samples, others = number_of(len(arrays[x_key]), "sample"), number_of(len(arrays[y_key]), what)
            raise DataError(
                f"{x_key} has {samples}, but {y_key} has {others}; give one {what} for each sample, in the same order"
            )


def _named(label: Any) -> str:
    return label.decode(errors="replace") if isinstance(label, bytes) else str(label)


def _image_shape(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    if len(shape) == 2:
        return shape[0], shape[1], 1
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else None


def _features(key: str, x: Array) -> Array:
    if x.dtype.kind not in "biuf":
        raise DataError(f"{key} holds {held(x)}: features must be numbers; encode them as such")
    if x.ndim < 2:
        raise DataError(f"{key} has shape {x.shape}: (samples, features...) is needed")
    if len(x) == 0:
        raise DataError(f"{key} has no samples (shape {x.shape})")
    if x[0].size == 0:
        raise DataError(f"{key} has no features (shape {x.shape})")
    if x.dtype == np.uint8:
        return x
    x = x.astype(np.float64)
    bad = ~np.isfinite(x)
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise DataError(
            f"{key} has {number_of(bad.sum(), 'value')} not finite, the first at index {first}: "
            f"{x[first]}; remove or fill these samples"
        )
    return x


def _labels(key: str, y: Array) -> Array:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(f"{key} has shape {y.shape}: one label per sample is needed (one-hot labels: take the argmax)")
    if y.dtype.kind in "US":
        return y
    if y.dtype.kind == "f":
        wrong = y[(y != np.floor(y)) | (np.abs(y) > 2.0**53)]  # also NaN and infinity
        if wrong.size:
            raise DataError(
                f"{key} has the label {wrong[0]}: labels are whole numbers or strings; for numbers to predict, "
                'data.task = "regression"'
            )
        return y.astype(np.int64)
    if y.dtype.kind not in "biu":
        raise DataError(f"{key} holds {held(y)}: labels are whole numbers or strings; give such")
    return y.astype(np.int64)


def _from_npz(path: Path, *, regression: bool) -> Dataset:
    arrays: dict[str, Array] = {}
    key = ""
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise DataError(f"{path} is not an .npz archive: save one with numpy.savez(path, x_train=..., ...)")
            missing = [key for key in ARRAYS if key not in archive.files]
            if missing:
                present = ", ".join(archive.files) or "nothing"
                raise DataError(f"{path} lacks {', '.join(missing)}; present: {present}")
            for key in ARRAYS:
                arrays[key] = archive[key]
    except FileNotFoundError as error:
        raise DataError(f"no such file: {path}") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if "Object arrays" in str(error):
            raise DataError(f"{path}: {key} is an array of Python objects: save plain numbers or strings") from error
        if "pickled" in str(error):  # NumPy's guess at any file that is not its own
            raise DataError(f"{path} is no .npz archive: save one with numpy.savez(path, x_train=..., ...)") from error
        raise DataError(f"{path} cannot be read as an .npz archive: {error}") from error
    return (checked_regression if regression else checked)(path.stem, arrays)


def _held_out(name: str, x: Array, y: Array, codes: NDArray[np.int64]) -> Dataset:
    """A dataset that comes without a test set: always the same samples are held out, whatever the study's seed."""
    test = stratified(codes, HELD_OUT, seed=0)
    return checked(name, {"x_train": x[~test], "y_train": y[~test], "x_test": x[test], "y_test": y[test]})


def _digits() -> Dataset:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return _held_out("digits", bunch.images, bunch.target, bunch.target)


def _from_keras(name: str, announce: Callable[[str], object]) -> Dataset:
    folder = Path.home() / ".keras" / "datasets"
    if not any((folder / file).exists() for file in (KERAS_FILES[name], f"{KERAS_FILES[name]}_extracted")):
        announce(f"downloading {name} to {folder} (once)")
    from .tf import keras

    try:
        (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, name).load_data()
    except Exception as error:  # the downloader raises plain Exception
        raise DataError(
            f'{name} could not be downloaded: {error}. Give a local file instead: data.path = "{name}.npz" '
            f"with the arrays {', '.join(ARRAYS)}, or put Keras' own file at {folder / KERAS_FILES[name]}"
        ) from error
    return checked(name, {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test})


def _from_openml(name: str, announce: Callable[[str], object]) -> Dataset:
    from sklearn.datasets import fetch_openml, get_data_home

    announce(f"fetching {name} from openml.org unless it is already in {get_data_home()}")
    try:
        bunch = fetch_openml(name.removeprefix("openml:"), as_frame=False, parser="liac-arff")
    except Exception as error:  # network, server, parser and sparse-data errors share no base class
        raise DataError(
            f'{name} could not be fetched: {error}. Give a local file instead: data.path = "x.npz" '
            f"with the arrays {', '.join(ARRAYS)}"
        ) from error
    y = np.asarray(bunch.target)
    if y.dtype == object:
        y = y.astype(str)
    return _held_out(name, np.asarray(bunch.data), y, np.unique(y, return_inverse=True)[1].astype(np.int64))
