"""Samples in a user's own files: .npy arrays and .npz archives, and what of them no network can take."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codesign.counting import held, number_of
from codesign.errors import DataError

Array = NDArray[Any]
_ARRAY, _ARCHIVE = b"\x93NUMPY", b"PK"
_DAMAGED = (ValueError, EOFError, zipfile.BadZipFile, zlib.error)


def read_array(path: Path) -> Array:
    """The array in a .npy file, mapped and not read: it may be larger than the memory. DataError where it is none."""
    try:
        return np.lib.format.open_memmap(path, "r")
    except OSError as error:
        raise _unreadable(path, error) from None
    except _DAMAGED as error:
        raise _unusable(path, error, ".npy file", _ARRAY, "write one with numpy.save(path, x)") from None


def read_archive(path: Path, wanted: Sequence[str], example: str) -> dict[str, Array]:
    """Those arrays of an .npz file that are ``wanted``; of others, which are not read, an empty one under their name.

    ``example``: how they are saved, such as ``x=...``, for the DataError where the file cannot be used.
    """
    found: dict[str, Array] = {}
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise DataError(f"{path} is not an .npz archive: save one with numpy.savez(path, {example})")
            for key in archive.files:
                found[key] = archive[key] if key in wanted else np.zeros(0)
    except OSError as error:
        raise _unreadable(path, error) from None
    except _DAMAGED as error:
        raise _unusable(path, error, ".npz archive", _ARCHIVE, f"save one with numpy.savez(path, {example})") from None
    return found


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"cannot read {path}: {error.strerror or error}")


def _unusable(path: Path, error: Exception, kind: str, begins: bytes, how: str) -> DataError:
    """``begins``: what whole ones and those that were cut short begin with."""
    if "Python objects" in str(error) or "Object arrays" in str(error):
        return DataError(f"{path} holds Python objects: save plain numbers")
    with path.open("rb") as file:
        if file.read(len(begins)) == begins:
            return DataError(f"{path} is a damaged {kind}, or one that was cut short: {how}")
    return DataError(f"{path} is no {kind}: {how}")


def require_samples(where: str, x: Array, features: int) -> None:
    """DataError unless ``x`` holds numbers of shape (n, ...), n > 0, with that many ``features`` a sample."""
    if x.dtype.kind not in "biuf":
        raise DataError(f"{where} holds {held(x)}: features must be numbers")
    if not x.size:
        raise DataError(f"{where} has shape {x.shape}: there are no samples in it")
    if x.shape == (features,):
        raise DataError(f"{where} has shape {x.shape}: one sample is an array of shape (1, {features}); reshape it")
    if x.ndim < 2 or x[0].size != features:
        each = " x ".join(map(str, x.shape[1:])) or "no"
        raise DataError(
            f"{where} has shape {x.shape}, {each} features a sample: this network takes (samples, {features})"
        )


def finite(where: str, x: Array, kind: type[np.floating[Any]], begin: int = 0) -> Array:
    """``x`` (n, ...) as (n, features) of ``kind``; DataError where one is no finite number, or too large for one.

    ``begin``: the number of the first sample, where ``x`` is a piece of them.
    """
    x = x.reshape(len(x), -1)
    with np.errstate(over="ignore"):
        found = x.astype(kind)
    bad = np.argwhere(~np.isfinite(found))
    if len(bad):
        row, column = bad[0]
        raise DataError(
            f"{where} has {number_of(len(bad), 'value')} not finite in {np.dtype(kind)}, the first in sample "
            f"{begin + row}, feature {column}: {x[row, column]}; remove or fill these samples"
        )
    return found
