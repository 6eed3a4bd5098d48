"""Users' files of samples: what is none is told by its name, and by what to do."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from codesign.errors import DataError
from hw.samples import read_archive, read_array


def of_objects(path):
    with path.open("wb") as file:
        if path.suffix == ".npy":
            np.save(file, np.array([{}, {}]))
        else:
            np.savez(file, x=np.array([{}, {}]))


def cut(path):
    of_zeros(path)
    path.write_bytes(path.read_bytes()[:-40])


def of_zeros(path):
    with path.open("wb") as file:
        if path.suffix == ".npy":
            np.save(file, np.zeros((5, 3)))
        else:
            np.savez(file, x=np.zeros((5, 3)), other=np.array([{}]))


BAD = {
    "none": (lambda path: None, "cannot read {}: No such file or directory"),
    "folder": (Path.mkdir, "cannot read {}: Is a directory"),
    "empty": (Path.touch, "{} is no {kind}: {how}"),
    "text": (lambda path: path.write_text("1,2\n3,4\n"), "{} is no {kind}: {how}"),
    "cut": (cut, "{} is a damaged {kind}, or one that was cut short: {how}"),
    "objects": (of_objects, "{} holds Python objects: save plain numbers"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize(
    ("name", "read", "kind", "how"),
    [
        ("x.npy", read_array, ".npy file", "write one with numpy.save(path, x)"),
        (
            "x.npz",
            lambda path: read_archive(path, ("x",), "x=..."),
            ".npz archive",
            "save one with numpy.savez(path, x=...)",
        ),
    ],
)
def test_files_that_cannot_be_read(tmp_path, case, name, read, kind, how):
    make, message = BAD[case]
    path = tmp_path / name
    make(path)
    with pytest.raises(DataError, match=re.escape(message.format(path, kind=kind, how=how))):
        read(path)


def test_files_of_the_other_kind(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    np.savez(tmp_path / "x.npz", x=np.zeros(3))
    with pytest.raises(DataError, match=r"x\.npz is no \.npy file: write one"):
        read_array(tmp_path / "x.npz")
    with pytest.raises(DataError, match=r"x\.npy is not an \.npz archive: save one with numpy\.savez\(path"):
        read_archive(tmp_path / "x.npy", ("x",), "x=...")


def test_what_is_read(tmp_path):
    for name in ("x.npy", "x.npz"):
        of_zeros(tmp_path / name)
    assert isinstance(read_array(tmp_path / "x.npy"), np.memmap)
    found = read_archive(tmp_path / "x.npz", ("x",), "x=...")
    assert {key: value.shape for key, value in found.items()} == {"x": (5, 3), "other": (0,)}  # not read: of objects
