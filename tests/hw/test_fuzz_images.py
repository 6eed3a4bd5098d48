"""Random networks over images, branches and mixed modes: QKeras = Graph = simulated RTL, and cycles as scheduled."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz_images import check

pytestmark = [
    # QKeras serializes quantizers as constraints, and reads their names with an old call of pyparsing
    pytest.mark.filterwarnings("ignore:The `keras.constraints.serialize:UserWarning"),
    pytest.mark.filterwarnings("ignore:'[a-zA-Z]+' deprecated:DeprecationWarning"),
]


@pytest.mark.parametrize("seed", range(10))
def test_small_random_networks_of_images_agree(seed: int, tmp_path: Path) -> None:
    check(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 2000))
def test_random_networks_of_images_agree(seed: int, tmp_path: Path) -> None:
    check(seed, tmp_path)
