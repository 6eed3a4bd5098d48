from __future__ import annotations

import re

import numpy as np
import pytest

from quant import compare


@pytest.fixture
def easy_file(tmp_path):
    """Two clouds far apart: any network that learns at all separates them."""
    rng = np.random.default_rng(0)
    y = np.arange(300) % 2
    x = rng.normal(size=(300, 4)) + 6 * y[:, None]
    path = tmp_path / "clouds.npz"
    np.savez(path, x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])
    return path


def test_table_has_every_network_with_its_errors(easy_file, capsys):
    compare.main([str(easy_file), "--hidden", "8", "--epochs", "8", "--seeds", "2"])
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head == "clouds, 4-8-2, 8 epochs, 2 seeds, 100 test samples"
    assert [row[:33].rstrip() for row in rows] == [label for label, _ in compare.KINDS]
    for row in rows:
        mean, spread, size = map(float, re.fullmatch(r".{34}\s*([\d.]+) ± ([\d.]+) ± ([\d.]+)", row).groups())
        assert mean <= 5
        assert spread < 5
        assert size == pytest.approx(np.sqrt(mean / 100 * (1 - mean / 100) / 100) * 100, abs=0.01)


def test_the_float_network_repeats_bit_for_bit(digits):
    options = {"hidden": (8,), "dataset": digits, "epochs": 1, "seeds": 1}
    first, again = (compare.errors_of(None, **options) for _ in range(2))
    assert first == again
    assert first[0] < 0.6
