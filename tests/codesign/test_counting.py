from __future__ import annotations

import numpy as np
import pytest

from codesign.counting import held, noun, number_of


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 networks"), (1, "1 network"), (0.6, "1 network"), (2, "2 networks"), (12345, "12,345 networks")],
)
def test_one_is_singular(count, words):
    assert number_of(count, "network") == words


def test_a_plural_of_its_own():
    assert [noun(count, "network") for count in (0, 1, 2)] == ["networks", "network", "networks"]
    assert [number_of(count, "process", "processes") for count in (1, 2)] == ["1 process", "2 processes"]


def test_what_an_array_holds():
    arrays = np.array(["a"]), np.array([b"ab"]), np.array([1j])
    assert [held(array) for array in arrays] == ["text", "text", "complex128 values"]
