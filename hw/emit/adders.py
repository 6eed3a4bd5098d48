"""Constant ternary matrix -> adders of two and three inputs with shared sub-sums, each as wide as its exact range."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hw.emit.pipeline import Operand, Pipeline, Signal
from hw.emit.sharing import share
from hw.graph import FixedType, reach

Ints = NDArray[np.int64]

# cdg_add3 adds 0, 1 or 2 besides its operands
_MOST_CARRIES = 2
_WIDEST = 64


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
    """Range of each input. ``step``: what offsets are kept multiples of, so that in the end they can be taken away."""

    low: Ints
    high: Ints
    step: int

    def of(self, coefficients: Ints) -> tuple[int, int]:
        """Smallest and largest sum."""
        low, high = reach(coefficients, self.low, self.high)
        return int(low), int(high)


Part = tuple[Word, int]
"""A word, and the sign with which its ``v`` is added."""


@dataclass(frozen=True)
class _Way:
    """Parts as operands: ``sign`` of the result, which part is extended by its sign, what all that adds to it."""

    sign: int
    operands: tuple[tuple[Word, int, bool], ...]
    offset: int

    @property
    def room(self) -> int:
        """Bit from which on a constant is free: the narrowest operand has only zeros there."""
        return min(word.bits for word, _, extended in self.operands if not extended)

    @property
    def inverted(self) -> int:
        """How many operands are negated."""
        return sum(mask & 1 for _, mask, _ in self.operands)

    def total(self, constant: int, bits: int) -> Sum | None:
        """The adder of ``bits`` that adds ``constant`` as well, if it has room for it."""
        cut = [(word, mask % (1 << bits), extended) for word, mask, extended in self.operands]
        constant %= 1 << bits
        if len(cut) < 3:
            return Sum(tuple(cut), constant)
        plus = constant % (1 << min(self.room, bits))
        if plus > _MOST_CARRIES:
            return None
        index = next(i for i, (word, _, extended) in enumerate(cut) if not extended and word.bits == self.room)
        word, mask, extended = cut[index]
        cut[index] = (word, mask ^ (constant - plus), extended)
        return Sum(tuple(cut), plus)


def _ways(parts: Sequence[Part], signs: Sequence[int]) -> Iterator[_Way]:
    """An input in two's complement can be extended by its sign, or by zeros with that inverted; at most one is."""
    inputs = [index for index, (word, _) in enumerate(parts) if word.flip]
    for sign in signs:
        for chosen in (None, *inputs) if len(parts) > 1 else (*inputs, None):
            operands, offset = [], 0
            for index, (word, by) in enumerate(parts):
                extended = index == chosen
                mask, own = (0, 0) if extended else (word.flip, word.offset)
                if sign * by * word.sign < 0:
                    # extended by its sign it is inverted as far as any adder is wide
                    mask ^= (1 << _WIDEST) - 1 if extended else word.full
                    own = (-1 if extended else word.full) - own
                operands.append((word, mask, extended))
                offset += own
            yield _Way(sign, tuple(operands), offset)


def add(parts: Sequence[Part], bounds: Bounds, sign: int | None = None, carries: int = 0) -> Word:
    """The sum of two or three parts as a word of the fewest bits; ``sign`` is chosen where it is not given.

    Of those the one whose offset is a multiple of the bounds' step, and ``carries`` more, or as near below as can be.
    """
    coefficients = _coefficients(parts)
    ends = bounds.of(coefficients)
    best: tuple[tuple[int, int, int], Word] | None = None
    for way in _ways(parts, (1, -1) if sign is None else (sign,)):
        low, high = ends if way.sign > 0 else (-ends[1], -ends[0])
        for constant in _constants(way, low, bounds.step):
            offset = way.offset + constant
            bits = max(1, (high + offset).bit_length())
            key = (bits, (carries - offset) % bounds.step, way.inverted)
            if best is None or key < best[0]:
                total = way.total(constant, bits)
                if total is not None:
                    word = Word(bits, 0, way.sign, offset, low + offset, high + offset, _above(parts), coefficients)
                    best = key, dataclasses.replace(word, sum=total)
    assert best is not None, parts
    return best[1]


def _constants(way: _Way, low: int, step: int) -> Iterator[int]:
    """Constants to choose from: the smallest that leave no value negative."""
    if len(way.operands) < 3:
        least = -(low + way.offset)
        yield least + (-(least + way.offset)) % step
        return
    room = 1 << way.room
    for plus in range(_MOST_CARRIES + 1):
        yield -((low + way.offset + plus) // room) * room + plus


def _coefficients(parts: Sequence[Part]) -> Ints:
    return sum((part.coefficients * by for part, by in parts), np.zeros_like(parts[0][0].coefficients))


def _above(parts: Sequence[Part]) -> int:
    return 1 + max(word.depth for word, _ in parts)


def exact(parts: Sequence[Part], bounds: Bounds, constant: int) -> Word | None:
    """The sum of the parts plus ``constant`` itself, in two's complement; None where it takes another adder."""
    coefficients = _coefficients(parts)
    low, high = (end + constant for end in bounds.of(coefficients))
    bits = FixedType.holding(low, high).bits
    for way in _ways(parts, (1,)):
        total = way.total(constant - way.offset, bits)
        if total is not None:
            return Word(bits, 0, 1, constant, low, high, _above(parts), coefficients, None, total)
    return None


def column(parts: Sequence[Part], bounds: Bounds, constant: int | None) -> Word:
    """Two or more parts added up, as a word of its own lattice; or any, ``constant`` more, in two's complement."""
    if constant is None:
        return _reduced(parts, 1, bounds)[0][0][0]
    # the narrowest part in the last adder leaves most room for constants; two parts take any
    for kept, left in ((1, 3), (0, 3), (0, 2)):
        for last in _endings(sorted(parts, key=_order), kept, left, bounds):
            total = exact(last, bounds, constant)
            if total is not None:
                return total
    raise AssertionError("two parts take any constant")


def _endings(parts: Sequence[Part], kept: int, left: int, bounds: Bounds) -> Iterator[list[Part]]:
    """Parts of the last adder, of which the first ``kept`` were not added to others; then with one otherwise made."""
    ends, made = _reduced(parts[kept:], left - kept, bounds)
    yield [*parts[:kept], *ends]
    for index, (word, by) in enumerate(ends):
        if id(word) in made:
            # inputs whose sign bit is inverted add half a step each
            choices = itertools.product((word.sign, -word.sign), (0, bounds.step // 2), range(_MOST_CARRIES + 1))
            for sign, half, carries in choices:
                other = add(made[id(word)], bounds, sign, half + carries)
                yield [*parts[:kept], *ends[:index], (other, by), *ends[index + 1 :]]


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
    free = all(constant is None for constant in constants) or not weights.any()
    step = 1 if free else 1 << min(signals[row].bits for row in np.flatnonzero(weights.any(axis=1)))
    bounds = Bounds(np.array([signal.low for signal in signals]), np.array([signal.high for signal in signals]), step)
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
        kinds = tuple((mask, signed) for _, mask, signed in operands)
        statement = _Statement(kinds, total.plus, self.carry, _formula(word, operands))
        self.pipeline.add(Signal(name, word.low, word.high, sources, statement, kind, len(operands)))
        self.placed[id(word)] = dataclasses.replace(word, name=name, sum=total)
        self.kept.append(word)
        return self.placed[id(word)]


def _formula(word: Word, operands: Sequence[tuple[Word, int, bool]]) -> str:
    """What a sum is, for readers of the RTL: inputs as they are, sums by what their bits hold."""
    text, constant = "", word.offset
    for operand, mask, extended in operands:
        sign = -1 if (mask ^ (0 if extended else operand.flip)) & 1 else 1
        constant -= sign * (operand.offset if operand.sum else 0)
        text += f" {'-' if sign < 0 else '+'} {operand.name}"
    if constant:
        text += f" {'-' if constant < 0 else '+'} {abs(constant)}"
    return text.removeprefix(" + ").strip()


@dataclass(frozen=True)
class _Statement:
    """Writes the adder of a sum, and its formula beside it; keeps none of the words, which hold all coefficients.

    ``kinds``: of each operand, the mask and the extension; ``plus`` as in :class:`Sum`.
    """

    kinds: tuple[tuple[int, bool], ...]
    plus: int
    carry: int
    formula: str

    def __call__(self, name: str, operands: Sequence[Operand], bits: int) -> str:
        """The statement that drives ``name``."""
        if len(operands) == 1:
            return self._alone(name, operands[0], bits)
        parameters, ports = [], []
        for letter, operand, (mask, signed) in zip("abc", operands, self.kinds, strict=False):
            width = min(operand.bits, bits)
            parameters.append(f".{letter.upper()}_W({width})")
            if signed:
                parameters.append(f".{letter.upper()}_SIGNED(1'b1)")
            if mask:
                parameters.append(f".{letter.upper()}_INV({bits}'h{mask:x})")
            ports.append(f".{letter}({operand.text if width == operand.bits else f'{operand.text}[{width - 1}:0]'})")
        parameters.append(f".Y_W({bits})")
        if self.plus:
            plus = f"{self.plus}" if len(operands) == 3 else f"{bits}'h{self.plus:x}"
            parameters.append(f".PLUS({plus})")
        if self.carry != 4:
            parameters.append(f".CARRY({self.carry})")
        ports.append(f".y({name})")
        instance = f"cdg_add{len(operands)} #({', '.join(parameters)}) add_{name} ({', '.join(ports)});"
        return f"// {name} = {self.formula}\n  {instance}"

    def _alone(self, name: str, operand: Operand, bits: int) -> str:
        ((mask, signed),) = self.kinds
        plain = operand.signed and not signed and operand.bits != bits
        text = f"{bits}'({{{operand.text}}})" if plain else operand.extended(bits)
        if mask:
            text = f"({text} ^ {bits}'h{mask:x})"
        if self.plus:
            text = f"{text} + {bits}'h{self.plus:x}"
        return f"assign {name} = {text};"
