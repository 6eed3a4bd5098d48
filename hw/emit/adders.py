"""Constant ternary matrix -> adders of two and three inputs with shared sub-sums, each as wide as its exact range."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.emit.pipeline import Operand, Pipeline, Signal
from hw.emit.sharing import share
from hw.graph import FixedType, reach

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Word:
    """Bits that hold an integer: ``value`` is ``sign * v + offset``, 0 or more, with ``flip`` xor-ed into the bits.

    ``v`` is the sum of inputs with ``coefficients``; ``low`` and ``high`` bound ``value``. Without sign bits nothing
    is extended by more than zeros, and negation is inversion: both are free in the LUTs of an adder.
    """

    bits: int
    flip: int
    sign: int
    offset: int
    low: int
    high: int
    depth: int
    coefficients: Ints
    name: str | None = None
    sum: Sum | None = None

    @property
    def full(self) -> int:
        """All bits set."""
        return (1 << self.bits) - 1


@dataclass(frozen=True)
class Sum:
    """``operands`` added modulo ``2**bits``: each a word, the mask xor-ed into its extended bits, and its extension."""

    operands: tuple[tuple[Word, int, bool], ...]
    plus: int


@dataclass(frozen=True)
class Bounds:
    """Range of each input."""

    low: Ints
    high: Ints

    def of(self, coefficients: Ints) -> tuple[int, int]:
        """Smallest and largest sum."""
        low, high = reach(coefficients, self.low, self.high)
        return int(low), int(high)


Part = tuple[Word, int]
"""A word, and the sign with which its ``v`` is added."""


def add(parts: Sequence[Part], bounds: Bounds, sign: int | None = None) -> Word:
    """The sum of two or three parts as a word of the fewest bits; ``sign`` is chosen where it is not given."""
    signs = (1, -1) if sign is None else (sign,)
    return min((_add(parts, bounds, choice) for choice in signs), key=lambda word: (word.bits, _inverted(word)))


def _inverted(word: Word) -> int:
    assert word.sum is not None
    return sum(bool(mask & 1) for _, mask, _ in word.sum.operands)


def _add(parts: Sequence[Part], bounds: Bounds, sign: int) -> Word:
    coefficients = sum((part.coefficients * by for part, by in parts), np.zeros_like(parts[0][0].coefficients))
    ends = sorted(sign * end for end in bounds.of(coefficients))
    masks, offset, negated = [], 0, 0
    for word, by in parts:
        same = sign * by * word.sign > 0
        masks.append(word.flip if same else word.flip ^ word.full)
        offset += word.offset if same else word.full - word.offset
        negated += not same
    bits = (ends[1] + offset).bit_length()
    plus = 0
    if len(parts) == 2:  # any constant is free: use it where it saves a bit
        if (ends[1] - ends[0]).bit_length() < bits:
            plus = -(ends[0] + offset)
        elif (ends[1] + offset + negated).bit_length() == bits:
            plus = negated
    else:
        # constants are free above the narrowest operand
        narrowest = min(range(len(parts)), key=lambda index: parts[index][0].bits)
        step = parts[narrowest][0].bits
        spare = (ends[0] + offset) >> step << step
        if (ends[1] + offset - spare).bit_length() < bits:
            offset -= spare
            bits = (ends[1] + offset).bit_length()
            masks[narrowest] ^= -spare % (1 << bits)
        plus = min(negated, 2)
        if (ends[1] + offset + plus).bit_length() > bits:
            plus = 0
    offset += plus
    low, high = ends[0] + offset, ends[1] + offset
    assert low >= 0, (parts, low)
    bits = high.bit_length()
    operands = tuple((word, mask % (1 << bits), False) for (word, _), mask in zip(parts, masks, strict=True))
    depth = 1 + max(word.depth for word, _ in parts)
    total = Sum(operands, plus % (1 << bits) if len(parts) == 2 else plus)
    return Word(max(1, bits), 0, sign, offset, low, high, depth, coefficients, None, total)


def exact(parts: Sequence[Part], bounds: Bounds, constant: int) -> Word | None:
    """The sum of the parts plus ``constant`` itself, in two's complement; None where it takes another adder."""
    coefficients = sum((part.coefficients * by for part, by in parts), np.zeros_like(parts[0][0].coefficients))
    low, high = (end + constant for end in bounds.of(coefficients))
    bits = FixedType.holding(low, high).bits
    variants = [None, *(index for index, (word, _) in enumerate(parts) if word.flip)]
    for extended in variants if len(parts) > 1 else variants[::-1]:
        operands, rest = [], constant
        for index, (word, by) in enumerate(parts):
            same = by * word.sign > 0
            flip = 0 if index == extended else word.flip  # sign-extended, it is the input itself
            every = (1 << bits) - 1 if index == extended else word.full
            operands.append((word, flip if same else flip ^ every, index == extended))
            offset = 0 if index == extended else word.offset
            rest -= offset if same else (-1 if index == extended else word.full) - offset
        total = _balanced(operands, rest % (1 << bits), bits)
        if total is not None:
            depth = 1 + max(word.depth for word, _ in parts)
            return Word(bits, 0, 1, constant, low, high, depth, coefficients, None, total)
    return None


def _balanced(operands: Sequence[tuple[Word, int, bool]], rest: int, bits: int) -> Sum | None:
    """``operands`` and the constant ``rest`` as one adder, if there is room for it."""
    cut = [(word, mask % (1 << bits), signed) for word, mask, signed in operands]
    if len(cut) < 3:
        return Sum(tuple(cut), rest)
    plain = [index for index, (word, _, signed) in enumerate(cut) if not signed]
    narrowest = min(plain, key=lambda index: cut[index][0].bits)
    step = min(cut[narrowest][0].bits, bits)
    plus = rest % (1 << step)
    if plus > 2:
        return None
    word, mask, signed = cut[narrowest]
    cut[narrowest] = (word, mask ^ (rest - plus), signed)
    return Sum(tuple(cut), plus)


def column(parts: Sequence[Part], bounds: Bounds, constant: int | None) -> Word:
    """Two or more parts added up, as a word of its own lattice; or any, ``constant`` more, in two's complement."""
    if constant is None:
        return _reduced(parts, 1, bounds)[0][0][0]
    for left in (3, 2):
        ends, made = _reduced(parts, left, bounds)
        # a sum made here may have the other sign where the last adder has no room for three negations
        for index in (None, *range(len(ends))):
            if index is not None and id(ends[index][0]) not in made:
                continue
            last = list(ends)
            if index is not None:
                word, by = ends[index]
                last[index] = (add(made[id(word)], bounds, -word.sign), by)
            total = exact(last, bounds, constant)
            if total is not None:
                return total
    raise AssertionError("two parts take any constant")


def _reduced(parts: Sequence[Part], left: int, bounds: Bounds) -> tuple[list[Part], dict[int, list[Part]]]:
    """Add the lowest and narrowest up until ``left`` remain; also what each new word was made of, by its id."""
    made: dict[int, list[Part]] = {}
    waiting = sorted(parts, key=_order)
    while len(waiting) > left:
        count = 3 if (len(waiting) - left) % 2 == 0 else 2
        word = add(waiting[:count], bounds)
        made[id(word)] = waiting[:count]
        waiting = sorted([*waiting[count:], (word, 1)], key=_order)
    return waiting, made


def _order(part: Part) -> tuple[int, int]:
    return part[0].depth, part[0].bits


def add_matrix(
    pipeline: Pipeline, inputs: Sequence[str], weights: NDArray[np.int8], constants: Sequence[int | None], carry: int
) -> list[Word | None]:
    """Append the adders that compute ``x @ weights``; the named word of each column, None where it is all zero.

    ``inputs``: names of the signals of all rows of ``weights`` (rows, columns). ``constants``: what is to be added to
    a column's sum, which then is in two's complement; None where any lattice will do. ``carry``: bits of a carry cell.
    """
    signals = [pipeline.signals[name] for name in inputs]
    bounds = Bounds(np.array([signal.low for signal in signals]), np.array([signal.high for signal in signals]))
    unit = np.eye(len(inputs), dtype=np.int64)
    words = [_leaf(signal, row) for signal, row in zip(signals, unit, strict=True)]
    plan = share(weights, (bounds.high - bounds.low).tolist())
    for members in plan.sums:
        words.append(add([(words[index], sign) for index, sign in members], bounds))
    builder = _Builder(pipeline, carry)
    for number, word in enumerate(words[len(inputs) :]):
        builder.names[id(word)] = f"shared{number}"
    found: list[Word | None] = []
    for number, (members, constant) in enumerate(zip(plan.columns, constants, strict=True)):
        if not members:
            found.append(None)
        elif len(members) == 1 and constant is None:
            ((index, sign),) = members
            word = builder.place(words[index], "")
            found.append(dataclasses.replace(word, sign=sign * word.sign))
        else:
            word = column([(words[index], sign) for index, sign in members], bounds, constant)
            found.append(builder.place(word, f"sum{number}"))
    return found


def _leaf(signal: Signal, coefficients: Ints) -> Word:
    """An input: the sign bit of two's complement is inverted, which makes it ``x + 2**(bits - 1)``."""
    offset = 1 << (signal.bits - 1) if signal.signed else 0
    low, high = signal.low + offset, signal.high + offset
    return Word(signal.bits, offset, 1, offset, low, high, 0, coefficients, signal.name)


class _Builder:
    """Writes words as signals of the pipeline; ``names`` of those that are known before, by id."""

    def __init__(self, pipeline: Pipeline, carry: int) -> None:
        self.pipeline, self.carry = pipeline, carry
        self.names: dict[int, str] = {}
        self.placed: dict[int, Word] = {}
        self.kept: list[Word] = []  # so that no other word gets its id

    def place(self, word: Word, prefix: str) -> Word:
        """``word`` with its name, after those that it is made of."""
        if word.sum is None:
            return word
        if id(word) in self.placed:
            return self.placed[id(word)]
        operands = tuple((self.place(operand, prefix), mask, signed) for operand, mask, signed in word.sum.operands)
        name = self.names.get(id(word), prefix)
        number = 0
        while name in self.pipeline.signals:
            number += 1
            name = f"{prefix}_{number}"
        total = Sum(operands, word.sum.plus)
        sources = tuple(operand.name or "" for operand, _, _ in operands)
        free = len(operands) == 1 and not total.plus and not operands[0][1]
        kind = 0 if free else None
        statement = _Statement(total, self.carry)
        self.pipeline.add(Signal(name, word.low, word.high, sources, statement, kind, len(operands)))
        self.placed[id(word)] = dataclasses.replace(word, name=name, sum=total)
        self.kept.append(word)
        return self.placed[id(word)]


@dataclass(frozen=True)
class _Statement:
    """Writes the adder of a sum."""

    sum: Sum
    carry: int

    def __call__(self, name: str, operands: Sequence[Operand], bits: int) -> str:
        """The statement that drives ``name``."""
        if len(operands) == 1:
            return self._alone(name, operands[0], bits)
        parameters, ports = [], []
        for letter, operand, (_, mask, signed) in zip("abc", operands, self.sum.operands, strict=False):
            width = min(operand.bits, bits)
            parameters.append(f".{letter.upper()}_W({width})")
            if signed:
                parameters.append(f".{letter.upper()}_SIGNED(1'b1)")
            if mask:
                parameters.append(f".{letter.upper()}_INV({bits}'h{mask:x})")
            ports.append(f".{letter}({operand.text if width == operand.bits else f'{operand.text}[{width - 1}:0]'})")
        parameters.append(f".Y_W({bits})")
        if self.sum.plus:
            plus = f"{self.sum.plus}" if len(operands) == 3 else f"{bits}'h{self.sum.plus:x}"
            parameters.append(f".PLUS({plus})")
        if self.carry != 4:
            parameters.append(f".CARRY({self.carry})")
        ports.append(f".y({name})")
        return f"cdg_add{len(operands)} #({', '.join(parameters)}) add_{name} ({', '.join(ports)});"

    def _alone(self, name: str, operand: Operand, bits: int) -> str:
        ((_, mask, signed),) = self.sum.operands
        plain = operand.signed and not signed and operand.bits != bits
        text = f"{bits}'({{{operand.text}}})" if plain else operand.extended(bits)
        if mask:
            text = f"({text} ^ {bits}'h{mask:x})"
        if self.sum.plus:
            text = f"{text} + {bits}'h{self.sum.plus:x}"
        return f"assign {name} = {text};"
