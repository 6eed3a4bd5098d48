"""Random QKeras networks: QKeras = Graph = simulated RTL on all, = hls4ml's C simulation on the canonical ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fuzz
import pytest
from fuzz import Network, checked, failure, reduce
from networks import random_model

from codesign.errors import MismatchError

# QKeras serializes quantizers as constraints, and reads their names with an old call of pyparsing
pytestmark = [
    pytest.mark.filterwarnings("ignore:The `keras.constraints.serialize:UserWarning"),
    pytest.mark.filterwarnings("ignore:'[a-zA-Z]+' deprecated:DeprecationWarning"),
]


@pytest.mark.parametrize("seed", range(20))
def test_small_random_networks_agree_on_every_level(seed: int, tmp_path: Path) -> None:
    checked(random_model(seed, widest=12, deepest=3), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 2000))
def test_random_networks_agree_on_every_level(seed: int, tmp_path: Path) -> None:
    checked(random_model(seed, widest=64 if seed % 10 == 0 else 20, deepest=5), tmp_path)


def test_networks_that_once_failed_agree(tmp_path: Path) -> None:
    for path in sorted(fuzz.REGRESSIONS.glob("*.json")):
        error = failure(Network.from_json(path.read_text()), tmp_path)
        assert error is None, f"{path}: {error}"


def test_networks_are_plain_data_and_differ_by_seed() -> None:
    network = random_model(7, widest=12, deepest=3)
    assert Network.from_json(network.to_json()) == network == random_model(7, widest=12, deepest=3)
    assert network != random_model(8, widest=12, deepest=3)


def test_a_planted_fault_is_found_reduced_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(network: Network, _: Path) -> None:
        if any(1 in row for layer in network.layers for row in layer.trits) and network.vectors > 3:
            raise MismatchError("a trit of +1")

    monkeypatch.setattr(fuzz, "check", faulty)
    monkeypatch.setattr(fuzz, "REGRESSIONS", tmp_path / "regressions")
    with pytest.raises(AssertionError, match=r"seed 3 fails, reduced in .*seed-3\.json: MismatchError"):
        checked(random_model(3, widest=12, deepest=3), tmp_path)
    small = Network.from_json((tmp_path / "regressions" / "seed-3.json").read_text())
    assert [len(layer.trits) * layer.units for layer in small.layers] == [1]
    assert (small.layers[0].trits, small.vectors) == ([[1]], 6)
    assert (small.layers[0].bias, small.layers[0].norms, small.layers[0].activation) == (None, [], None)


def test_reducing_stops_after_its_attempts() -> None:
    tried: list[Any] = []
    reduce(random_model(5, widest=12, deepest=3), lambda network: bool(tried.append(network)), attempts=5)
    assert len(tried) == 5
