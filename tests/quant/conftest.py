from __future__ import annotations

import pytest

from quant import datasets, scaling


@pytest.fixture(scope="session")
def digits():
    return datasets.load("digits")


@pytest.fixture(scope="session")
def split(digits):
    return datasets.split(digits, 0.2, 1)


@pytest.fixture(scope="session")
def input_format(digits, split):
    return scaling.fit(split.x_train, "minmax", 4, digits.image_shape)
