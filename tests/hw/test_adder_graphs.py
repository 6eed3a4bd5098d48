"""The adders of a constant matrix: what their bits come to for random inputs, without any simulator."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hw.emit.adders import Word, add_matrix
from hw.emit.pipeline import Operand, Pipeline, Signal
from hw.emit.sharing import share


def bits_of(word: Word, x: np.ndarray) -> int:
    """What the RTL's adders give for inputs ``x``, as plain binary."""
    if word.sum is None:
        return int(x[np.flatnonzero(word.coefficients)[0]]) & word.full
    total = word.sum.plus
    for operand, mask, signed in word.sum.operands:
        value = bits_of(operand, x)
        if signed and value >> (operand.bits - 1):
            value -= 1 << operand.bits
        total += (value & word.full) ^ mask
    return total & word.full


def added(weights: np.ndarray, low: int, high: int, constants: list[int | None]) -> tuple[Pipeline, list[Word | None]]:
    pipeline = Pipeline()
    names = [pipeline.add(Signal(f"x{row}", low, high, (), None, 0)) for row in range(len(weights))]
    return pipeline, add_matrix(pipeline, names, weights, constants, 4)


def hold(weights: np.ndarray, low: int, high: int, constants: list[int | None], rng: np.random.Generator) -> None:
    _, words = added(weights, low, high, constants)
    vectors = rng.integers(low, high + 1, (12, len(weights)))
    vectors[:2] = np.array([low, high])[:, None]
    vectors[2:5] = rng.choice([low, high], (3, len(weights)))
    for x in vectors:
        for word, constant, total in zip(words, constants, (x @ weights).tolist(), strict=True):
            if word is None:
                assert total == 0
                continue
            value = bits_of(word, x)
            if constant is None:
                assert value ^ word.flip == word.sign * total + word.offset
            else:
                value -= (1 << word.bits) if word.low < 0 and value >> (word.bits - 1) else 0
                assert value == total + constant
            assert word.low <= value ^ (word.flip if constant is None else 0) <= word.high


@pytest.mark.parametrize("seed", range(150))
def test_adders_give_the_sums(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(1, 24, 2)
    density = float(rng.choice([0.2, 0.5, 0.9]))
    weights = rng.choice([-1, 0, 1], (rows, columns), p=[density / 2, 1 - density, density / 2]).astype(np.int8)
    bits = int(rng.integers(1, 6))
    ranges = [(0, 2**bits - 1), (-(2**bits), 2**bits - 1), (-1, 1), (0, int(rng.integers(1, 20))), (-(2**bits) + 1, 5)]
    low, high = ranges[rng.integers(len(ranges))]
    choices = [None, 0, int(rng.integers(-99, 99))]
    constants = [choices[rng.integers(3)] for _ in range(columns)]
    hold(weights, low, high, constants, rng)


def rendered(text: str, values: dict[str, int], bits: int) -> tuple[int, int]:
    """What the written adder gives, modulo 2**bits, and what the formula above it says."""
    formula = re.match(r"// \w+ = (.*)\n", text)
    assert formula
    given = {
        name: int(value.split("'h")[-1], 16) if "'h" in value else int(value.split("'b")[-1])
        for name, value in re.findall(r"\.(\w+)\(([\w']+)\)", text)
        if name.isupper()
    }
    total = given.get("PLUS", 0)
    for letter, name in re.findall(r"\.([abc])\((\w+)", text):
        width = given[f"{letter.upper()}_W"]
        value = values[name] % (1 << width)
        if given.get(f"{letter.upper()}_SIGNED") and value >> (width - 1):
            value -= 1 << width
        total += (value % (1 << bits)) ^ given.get(f"{letter.upper()}_INV", 0)
    return total % (1 << bits), eval(formula[1], {}, values)


@pytest.mark.parametrize(("low", "high"), [(0, 15), (-8, 7), (-1, 1)])
def test_the_formula_beside_an_adder_is_what_it_gives(low: int, high: int) -> None:
    rng = np.random.default_rng(5)
    weights = rng.choice([-1, 0, 1], (24, 16)).astype(np.int8)
    pipeline, _ = added(weights, low, high, [0, None] * 8)
    for _ in range(20):
        values: dict[str, int] = {}
        for signal in pipeline.signals.values():
            if signal.render is None:
                values[signal.name] = int(rng.integers(low, high + 1))
                continue
            sources = [pipeline.signals[name] for name in signal.sources]
            operands = [Operand(source.name, source.bits, source.signed) for source in sources]
            text = signal.render(signal.name, operands, signal.bits)
            bits, values[signal.name] = rendered(text, values, signal.bits)
            assert values[signal.name] % (1 << signal.bits) == bits, text
            assert signal.low <= values[signal.name] <= signal.high


def test_equal_and_opposite_columns_are_added_once() -> None:
    column = np.array([1, -1, 0, 1, 1, -1, 1, 0, -1], np.int8)
    weights = np.stack([column, column, -column], axis=1)
    pipeline, words = added(weights, 0, 7, [None] * 3)
    assert len(pipeline.signals) - len(weights) == 3  # seven terms
    assert len({word.name for word in words if word}) == 1


def test_three_inputs_take_one_adder_of_their_exact_width() -> None:
    pipeline, (word,) = added(np.array([[1], [1], [-1]], np.int8), 0, 5, [0])
    assert word is not None
    assert (word.low, word.high, word.bits) == (-5, 10, 5)
    assert [signal.operands for signal in pipeline.signals.values() if signal.render] == [3]


def test_sharing_is_deterministic_and_whole() -> None:
    rng = np.random.default_rng(1)
    weights = rng.choice([-1, 0, 1], (40, 24)).astype(np.int8)
    plan = share(weights, [15] * 40)
    assert plan == share(weights, [15] * 40)
    rows = [np.eye(40, dtype=np.int64)[row] for row in range(40)]
    for members in plan.sums:
        rows.append(sum(sign * rows[index] for index, sign in members))
    found = [sum(sign * rows[index] for index, sign in members) for members in plan.columns]
    assert np.array_equal(np.stack(found, axis=1), weights)
    assert len(plan.sums) > 20
